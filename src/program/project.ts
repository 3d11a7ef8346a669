import { Option } from 'commander';
import type { Tree } from './tree.ts';

/** The commands of a project: from ax.yaml to what may run. */
export function addProject({ add, root: program, context }: Tree): void {
  add(
    program,
    {
      name: 'init',
      summary: 'start a project: ax.yaml, keys, trust',
      description:
        'Scaffold ax.yaml, make a signing, a receipt and a host key where there are none, trust the signing key ' +
        'for this project, and add .ax/ to .gitignore. Overwrites nothing.',
      arguments: [['[dir]', 'the folder to start in (default: this one)']],
      examples: ['ax init', 'ax init services/web'],
    },
    async (dir: string | undefined, options: object) =>
      (await import('../commands/init.ts')).init(context, dir, options),
  );

  add(
    program,
    {
      name: 'sign',
      summary: 'sign ax.yaml into ax.lock',
      description:
        'Compile ax.yaml, digest every dependency, raise the version, sign, and replace ax.lock in one step. Shows ' +
        'what changed since the version that was signed before, and asks, or wants --yes. The first signature of ' +
        'a project by a key of this keyring also trusts that key for the project on this machine.',
      options: [
        new Option('--add', 'add a signature to the ax.lock that is here, leaving what it says untouched'),
        new Option(
          '--key <kid>',
          'the signing key to use, by the beginning of its kid (default: the active one)',
        ),
        new Option('-y, --yes', 'do not ask'),
      ],
      examples: ['ax sign', 'ax sign --yes', 'ax sign --add --key 3q2-7w'],
    },
    async (options: object) => (await import('../commands/sign.ts')).sign(context, options),
  );

  add(
    program,
    {
      name: 'verify',
      summary: 'check all that `ax run` checks, and start nothing',
      description:
        'Verify the signatures, project, dates and version of ax.lock, every dependency digest, and that a ' +
        'receipt could be sealed. Reports every failure, not the first alone; exits with the first one’s code.',
      examples: ['ax verify', 'ax verify --json'],
    },
    async (options: object) => (await import('../commands/verify.ts')).verify(context, options),
  );

  add(
    program,
    {
      name: 'tasks',
      summary: 'list the signed tasks',
      examples: ['ax tasks', 'ax tasks --json'],
    },
    async (options: object) => (await import('../commands/tasks.ts')).tasks(context, options),
  );
}
