import { Option } from 'commander';
import { count } from './options.ts';
import type { Tree } from './tree.ts';

/** `ax trust`: whose signatures count. */
export function addTrust({ add, group, context }: Tree): void {
  const trust = group('trust', 'decide whose signatures count, and for which project');
  add(
    trust,
    { name: 'list', summary: 'list projects and their trusted keys', examples: ['ax trust list'] },
    async (options: object) => (await import('../commands/trust.ts')).listCommand(context, options),
  );
  add(
    trust,
    {
      name: 'add',
      summary: 'trust a key for a project',
      description:
        'Trust a public key from a file; or, by its full fingerprint, one of this keyring or the one that signed ' +
        'the ax.lock here. Compare the fingerprint with its owner first: that comparison is all there is.',
      arguments: [
        ['<project>', 'such as acme/web'],
        ['[file]', 'a JWK, or an ssh-ed25519 public key; for an HMAC key, the shared secret'],
      ],
      options: [
        new Option('--key <kid>', 'the fingerprint (RFC 7638 thumbprint) of the key'),
        new Option(
          '--for <what>',
          'what its signature counts for (default: manifests, and approvals)',
        ).choices(['manifests', 'approvals']),
        new Option('--threshold <n>', 'how many distinct keys must sign').argParser(count(1, 64)),
        new Option('--min-version <n>', 'refuse versions below this one, on fresh machines too').argParser(
          count(1, Number.MAX_SAFE_INTEGER),
        ),
      ],
      examples: [
        'ax trust add acme/web alice.jwk',
        'ax trust add acme/web bob.pub --threshold 2',
        'ax trust add acme/web carol.jwk --for approvals',
        'ax trust add acme/web --key kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
      ],
    },
    async (project: string, file: string | undefined, options: object) =>
      (await import('../commands/trust.ts')).addCommand(context, { project, file }, options),
  );
  add(
    trust,
    {
      name: 'remove',
      summary: 'stop trusting a key, or everyone, for a project',
      arguments: [
        ['<project>', 'such as acme/web'],
        ['[kid]', 'the beginning of a kid (default: the whole project)'],
      ],
      examples: ['ax trust remove acme/web 3q2-7w', 'ax trust remove acme/web'],
    },
    async (project: string, kid: string | undefined, options: object) =>
      (await import('../commands/trust.ts')).removeCommand(context, { project, kid }, options),
  );
  add(
    trust,
    {
      name: 'export',
      summary: 'print a trust file, for AX_TRUST or another machine',
      arguments: [['[project]', 'only this one']],
      examples: ['ax trust export acme/web > trust.json'],
    },
    async (project: string | undefined, options: object) =>
      (await import('../commands/trust.ts')).exportCommand(context, project, options),
  );
  add(
    trust,
    {
      name: 'import',
      summary: 'trust the projects of a trust file that are not known here yet',
      description:
        'Adds projects that nobody is trusted for yet. A project that is known here with other keys is refused: ' +
        'whoever could bring a file would decide who is trusted.',
      arguments: [['<file>', 'a trust file']],
      options: [new Option('-y, --yes', 'do not ask')],
      examples: ['ax trust import trust.json'],
    },
    async (file: string, options: object) =>
      (await import('../commands/trust.ts')).importCommand(context, file, options),
  );
}
