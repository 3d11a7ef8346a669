import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { Context } from './context.ts';

/**
 * The one declaration of commands, options and help. Help texts, man pages and completion are made from it;
 * what a command does is loaded when it is used.
 */

export interface ProgramOptions {
  readonly version: string;
  /** What stands after `--` on the command line of `ax run`, `ax retry` and `ax approve`. */
  readonly passThrough: readonly string[];
  readonly onExit: (code: number) => void;
}

/** A command with what its help and man page add to commander's. */
interface Spec {
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly arguments?: readonly (readonly [string, string])[];
  readonly options?: readonly Option[];
  readonly examples: readonly string[];
}

const examplesOf = new WeakMap<Command, readonly string[]>();

/** The examples of a command, for its man page. */
export function commandExamples(command: Command): readonly string[] {
  return examplesOf.get(command) ?? [];
}

export function buildProgram(context: Context, { version, passThrough, onExit }: ProgramOptions): Command {
  const program = new Command('ax')
    .description('Run only what was signed. Prove what was run.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showSuggestionAfterError()
    .enablePositionalOptions();

  /** Adds a command. Its action gets commander's arguments and gives the exit code. */
  const add = (parent: Command, spec: Spec, action: (...args: never[]) => Promise<number>): Command => {
    const command = parent.command(spec.name).summary(spec.summary);
    command.description(spec.description ?? `${capital(spec.summary)}.`);
    for (const [name, help] of spec.arguments ?? []) command.argument(name, help);
    for (const option of [...(spec.options ?? []), ...globalOptions()]) command.addOption(option);
    command.addHelpText('after', `\nExamples:\n${spec.examples.map((line) => `  $ ${line}`).join('\n')}`);
    examplesOf.set(command, spec.examples);
    return command.action(async (...args: unknown[]) => onExit(await action(...(args as never[]))));
  };

  const group = (name: string, summary: string): Command =>
    program
      .command(name)
      .summary(summary)
      .description(`${capital(summary)}.`);

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
      (await import('./commands/init.ts')).init(context, dir, options),
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
    async (options: object) => (await import('./commands/sign.ts')).sign(context, options),
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
    async (options: object) => (await import('./commands/verify.ts')).verify(context, options),
  );

  add(
    program,
    {
      name: 'tasks',
      summary: 'list the signed tasks',
      examples: ['ax tasks', 'ax tasks --json'],
    },
    async (options: object) => (await import('./commands/tasks.ts')).tasks(context, options),
  );

  add(
    program,
    {
      name: 'run',
      summary: 'run signed tasks and leave receipts',
      description:
        'Verify ax.lock, check the digests of everything the tasks depend on, run what they need and then the ' +
        'tasks, and write an encrypted receipt for every attempt, refused ones too. The exit status is the first ' +
        'failing task’s own; what ax itself has to say uses 64 and above (see EXIT STATUS in ax(1)).',
      arguments: [
        ['<tasks...>', 'the tasks to run; `-- args` passes arguments to tasks whose signed `args` take them'],
      ],
      options: [
        inputOption(),
        approvalOption(),
        waitOption(),
        new Option('-j, --jobs <n>', 'how many tasks may run at once').argParser(count(1, 99)),
        new Option('-k, --keep-going', 'after a failure, go on with tasks that do not need the failed one'),
        new Option('--timeout <duration>', 'shorten the signed timeout, such as 30s or 10m'),
        new Option('-n, --dry-run', 'verify everything, print what would run, and start nothing'),
        quietOption(),
      ],
      examples: [
        'ax run build',
        'ax run lint test --jobs 2 --keep-going',
        'ax run deploy --input target=staging',
        'ax run test -- --grep login',
        'ax run deploy --wait=30m --approval ana.approval.json',
        'ax run build --json | jq -r \'select(.type == "result").outcome\'',
      ],
    },
    async (tasks: string[], options: object) =>
      (await import('./commands/run.ts')).run(context, { tasks, args: passThrough }, options),
  );

  add(
    program,
    {
      name: 'runs',
      summary: 'list runs, the newest first',
      options: [new Option('-l, --limit <n>', 'how many (default: 20)').argParser(count(1, 10_000))],
      examples: ['ax runs', 'ax runs --limit 100 --json'],
    },
    async (options: object) => (await import('./commands/runs.ts')).runs(context, options),
  );

  add(
    program,
    {
      name: 'status',
      summary: 'show one run',
      arguments: [['<run>', 'its id, or a unique beginning of it']],
      examples: ['ax status 01JDZ8'],
    },
    async (run: string, options: object) =>
      (await import('./commands/runs.ts')).status(context, run, options),
  );

  add(
    program,
    {
      name: 'retry',
      summary: 'attempt a failed or canceled run again',
      description:
        'Another attempt of the same run, verified anew, with a receipt of its own. It takes the inputs and ' +
        'arguments that the run had; with others it is refused. What the task needs is not run again.',
      arguments: [['<run>', 'its id, or a unique beginning of it']],
      options: [inputOption(), approvalOption(), waitOption(), quietOption()],
      examples: ['ax retry 01JDZ8', 'ax retry 01JDZ8 --input target=staging'],
    },
    async (id: string, options: object) =>
      (await import('./commands/run.ts')).retry(context, { id, args: passThrough }, options),
  );

  add(
    program,
    {
      name: 'approve',
      summary: 'approve one task of the signed manifest',
      description:
        'Verify ax.lock, show a task with its command and inputs, ask, or want --yes, and sign an approval of ' +
        'exactly that: this manifest, this task, these inputs and arguments, for a time. The approval is a file ' +
        'for whoever runs the task. It takes no secret and starts nothing. With the id of a run, it is of what ' +
        'that run was given; the store keeps no inputs, so those that are not the defaults have to be given again.',
      arguments: [
        [
          '<task>',
          'the task, or the id of a run of it (10 characters or more); `-- args` approves it with arguments',
        ],
      ],
      options: [
        inputOption(),
        new Option('--expires <duration>', 'how long it holds, at most 30d (default: 24h)'),
        new Option(
          '--key <kid>',
          'the signing key to use, by the beginning of its kid (default: the active one)',
        ),
        new Option(
          '-o, --output <file>',
          'the file to make (default: <task>.<kid>.approval.json, shortened)',
        ),
        new Option('-y, --yes', 'do not ask'),
      ],
      examples: [
        'ax approve deploy --input target=staging',
        'ax approve deploy --expires 2h --yes --output deploy.approval.json',
        'ax approve test -- --grep login',
        'ax approve 01JDZ8M3Q0',
      ],
    },
    async (target: string, options: object) =>
      (await import('./commands/approve.ts')).approve(context, { target, args: passThrough }, options),
  );

  add(
    program,
    {
      name: 'cancel',
      summary: 'cancel a run of another process',
      description:
        'Ask the process that supervises a run to cancel it. A run that is EXECUTING takes a second word: a yes on ' +
        'the terminal, or the single-use token that the refusal shows. Ten requests a minute for each user; every ' +
        'one is in the audit log.',
      arguments: [['<run>', 'its id, or a unique beginning of it']],
      options: [new Option('--confirm <token>', 'the token that a first request gave')],
      examples: ['ax cancel 01JDZ8', 'ax cancel 01JDZ8 --confirm "$TOKEN"'],
    },
    async (run: string, options: object) =>
      (await import('./commands/cancel.ts')).cancel(context, run, options),
  );

  const receipts = group('receipts', 'inspect the evidence in the store');
  const receiptId: readonly [string, string] = [
    '<id>',
    'the id of a receipt or of its run, or a unique beginning',
  ];
  add(
    receipts,
    {
      name: 'list',
      summary: 'list receipts, the newest first; needs no key',
      options: [
        new Option('-l, --limit <n>', 'how many (default: 50)').argParser(count(1, 10_000)),
        new Option('--before <id>', 'go on after the last id of a page'),
        new Option('--task <name>', 'only of this task'),
        new Option('--outcome <name>', 'only with this outcome').choices([
          'completed',
          'failed',
          'timed-out',
          'canceled',
          'refused',
          'deferred',
          'skipped',
        ]),
        new Option('--actor <user>', 'only by this OS user: a name, or uid:N'),
        new Option('--run <id>', 'only of this run'),
        new Option('--since <when>', 'only made since then: 7d, 2026-01-31 or 2026-01-31T12:00:00Z'),
        new Option('--until <when>', 'only made before then'),
      ],
      examples: [
        'ax receipts list',
        'ax receipts list --task deploy --outcome failed --since 7d',
        'ax receipts list --limit 10 --json',
      ],
    },
    async (options: object) => (await import('./commands/receipts.ts')).listCommand(context, options),
  );
  add(
    receipts,
    {
      name: 'show',
      summary: 'show a receipt as it is stored, sealed; needs no key',
      description: 'Show what the store holds beside the ciphertext; with --json also the JWE itself.',
      arguments: [receiptId],
      examples: ['ax receipts show 01JDZ8', 'ax receipts show 01JDZ8 --json | jq .jwe'],
    },
    async (id: string, options: object) =>
      (await import('./commands/receipts.ts')).showCommand(context, id, options),
  );
  add(
    receipts,
    {
      name: 'decrypt',
      summary: 'decrypt a receipt and print its statement',
      description: 'Print the in-toto Statement, or with --raw the signed DSSE envelope around it.',
      arguments: [receiptId],
      options: [new Option('--raw', 'print the DSSE envelope')],
      examples: ['ax receipts decrypt 01JDZ8', 'ax receipts decrypt 01JDZ8 --raw > receipt.dsse.json'],
    },
    async (id: string, options: object) =>
      (await import('./commands/receipts.ts')).decryptCommand(context, id, options),
  );
  add(
    receipts,
    {
      name: 'verify',
      summary: 'verify receipts: seal, signature, row, and place in the audit log',
      description:
        'Verify a receipt, or with --all or --since many: that its seal holds and binds it to its row, that a host ' +
        'key of this keyring signed it, that the row says what the statement says, that the audit log has the ' +
        'record which the receipt covers and one that names the receipt. Outputs are held against the files that ' +
        'are there; files that changed since say nothing against a receipt. Of many, exits with 76 when any was ' +
        'tampered with, else with 77 when one is signed by nobody known here, or with 66 when no key here opens one.',
      arguments: [['[id]', 'the id of a receipt or of its run, or a unique beginning']],
      options: [
        new Option('--all', 'every receipt of the store'),
        new Option('--since <when>', 'those made since then: 7d, 2026-01-31 or 2026-01-31T12:00:00Z'),
        new Option('--offline', 'do not look at files'),
      ],
      examples: [
        'ax receipts verify 01JDZ8',
        'ax receipts verify --all',
        'ax receipts verify --since 7d --json',
      ],
    },
    async (id: string | undefined, options: object) =>
      (await import('./commands/receipts-verify.ts')).verifyCommand(context, id, options),
  );
  add(
    receipts,
    {
      name: 'export',
      summary: 'export receipts in formats that other tools read',
      description:
        'Write receipts as JSON Lines, one a line: dsse the signed envelope, in-toto the statement in it, slsa ' +
        'SLSA Provenance v1 signed again by the host key, jwe the sealed receipt as it is stored (needs no key), ' +
        'ndjson the statement with what the store says of it. age is the envelopes, encrypted to age recipients; ' +
        'html is one page to look at. A file is made whole or not at all, and every receipt that is read is ' +
        'recorded in the audit log.',
      arguments: [['[ids...]', 'the ids of receipts or of their runs, or unique beginnings']],
      options: [
        new Option('--all', 'all receipts of the store, the oldest first'),
        new Option(
          '--since <time>',
          'those of attempts that began since, such as 7d or 2026-01-31T12:00:00Z',
        ),
        new Option('-f, --format <format>', 'what to make of them')
          .choices(['dsse', 'in-toto', 'slsa', 'jwe', 'age', 'ndjson', 'html'])
          .makeOptionMandatory(),
        new Option(
          '-r, --recipient <age1…>',
          'who can open an age file; may be given again, any one of them can',
        ).argParser(several),
        new Option('-o, --output <file>', 'the file to make (default: standard output)'),
        new Option('--force', 'replace that file if it is there'),
      ],
      examples: [
        'ax receipts export 01JDZ8 --format slsa -o provenance.jsonl',
        'ax receipts export --since 7d --format html -o week.html',
        'ax receipts export --all --format age --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p -o all.age',
      ],
    },
    async (ids: readonly string[], options: import('./commands/receipts-export.ts').ExportOptions) =>
      (await import('./commands/receipts-export.ts')).exportCommand(context, ids, options),
  );
  add(
    receipts,
    {
      name: 'import',
      summary: 'take over the receipts of an older store',
      description:
        'Read a folder of receipts that an older orchestrator wrote, sealed with AES-256-GCM or in clear, and ' +
        'keep each as a statement that this host has imported it: scrubbed, signed and sealed anew. The folder ' +
        'is not changed. What cannot be read, or was tampered with, is reported, the rest imported, and the ' +
        'status is then 65. What was imported before is left as it is. Keys are best given in files or in ' +
        'AX_LEGACY_KEY (several with white space between them): every user of a machine sees its command lines.',
      options: [
        new Option('--legacy <dir>', 'the folder of the older store').makeOptionMandatory(),
        new Option(
          '--key-file <file>',
          'a private file with keys of that store, base64 or hex; may be given again',
        ).argParser(several),
        new Option('--key <key>', 'such a key itself, seen by every user; may be given again').argParser(
          several,
        ),
      ],
      examples: [
        'ax receipts import --legacy old/receipts --key-file old.key',
        'ax receipts import --legacy old/receipts --json',
      ],
    },
    async (options: import('./commands/receipts-import.ts').ImportOptions) =>
      (await import('./commands/receipts-import.ts')).importCommand(context, options),
  );

  const keys = group('keys', 'manage the keyring');
  const rotating = ['signing', 'host', 'receipt'];
  const role = (help: string, roles: string[]) => new Option('--role <role>', help).choices(roles);
  const algorithm = new Option('--algorithm <name>', 'for signing keys (default: ed25519)').choices([
    'ed25519',
    'hmac',
  ]);
  add(
    keys,
    {
      name: 'list',
      summary: 'list keys with state, age, due date and how many receipts each opens',
      examples: ['ax keys list', 'ax keys list --json'],
    },
    async (options: object) => (await import('./commands/keys.ts')).listCommand(context, options),
  );
  add(
    keys,
    {
      name: 'generate',
      summary: 'make the first key of a role, or another recipient',
      description:
        'Make the first key of a role; the next one is made by `ax keys rotate`. A recipient is an X25519 pair that ' +
        'receipts are sealed to, beside the receipt key or in its place; there may be up to 15. Export its public ' +
        'part to machines that are to write receipts without being able to read them.',
      options: [role('what the key is for (default: signing)', [...rotating, 'recipient']), algorithm],
      examples: [
        'ax keys generate',
        'ax keys generate --role receipt',
        'ax keys generate --role recipient',
        'ax keys generate --algorithm hmac',
      ],
    },
    async (options: object) => (await import('./commands/keys.ts')).generateCommand(context, options),
  );
  add(
    keys,
    {
      name: 'rotate',
      summary: 'put a new key in the place of a role’s current one',
      description:
        'Make a new key. For the receipt key (the default), every receipt of this store is re-wrapped for it; a ' +
        'rotation that was cut short is finished by the next one. For the signing key, what the old one signed ' +
        'still verifies, and ax.lock wants a new signature. Rotation cannot take back what was copied: whoever has ' +
        'the old key and an old copy of the store can still read those receipts.',
      options: [role('which key (default: receipt)', rotating), algorithm],
      examples: ['ax keys rotate', 'ax keys rotate --role signing'],
    },
    async (options: object) => (await import('./commands/keys.ts')).rotateCommand(context, options),
  );
  add(
    keys,
    {
      name: 'export',
      summary: 'print a public key as a JWK',
      arguments: [['[kid]', 'the beginning of its kid (default: the active key of --role)']],
      options: [role('which key, where no kid is given (default: signing)', [...rotating, 'recipient'])],
      examples: ['ax keys export > alice.jwk', 'ax keys export --role recipient > reader.jwk'],
    },
    async (kid: string | undefined, options: object) =>
      (await import('./commands/keys.ts')).exportCommand(context, kid, options),
  );
  add(
    keys,
    {
      name: 'import',
      summary: 'seal receipts to a reader’s public key',
      description:
        'Put the public X25519 key of a file, a JWK such as `ax keys export --role recipient` prints, into the keyring. ' +
        'Receipts are sealed to it from now on, and opened where its private part is. A keyring with recipients and ' +
        'without a receipt key writes receipts that it cannot read. A private key is refused.',
      arguments: [['<file>', 'a public JWK']],
      examples: ['ax keys import reader.jwk'],
    },
    async (file: string, options: object) =>
      (await import('./commands/keys-import.ts')).importCommand(context, file, options),
  );
  add(
    keys,
    {
      name: 'protect',
      summary: 'put the private keys under a passphrase, or change it',
      description:
        'Encrypt the private parts of the keyring under a passphrase (scrypt, AES-256-GCM). From then on commands that ' +
        'sign, run or decrypt take it from AX_KEYRING_PASSPHRASE or ask for it on a terminal, and new keys are ' +
        'protected too. Where all keys are protected, the passphrase is changed: the new one is asked for, or taken ' +
        'from AX_KEYRING_NEW_PASSPHRASE. Cut short, it is finished by running it again. A task runs as you and ' +
        'can read what ax has in its environment and memory: this protects keys at rest.',
      examples: ['ax keys protect'],
    },
    async (options: object) => (await import('./commands/keys-protect.ts')).protectCommand(context, options),
  );
  add(
    keys,
    {
      name: 'unprotect',
      summary: 'take the passphrase off the private keys',
      examples: ['ax keys unprotect'],
    },
    async (options: object) =>
      (await import('./commands/keys-protect.ts')).unprotectCommand(context, options),
  );
  add(
    keys,
    {
      name: 'revoke',
      summary: 'make a key count no more, from the next verification on',
      description:
        'Revoke a key of the keyring, or one that is trusted here. What a revoked signing key signed does not run, and ' +
        'no approval by it counts, whatever date it bears: a thief can write any. A revoked host key verifies the ' +
        'receipts that the audit log has from before the revocation, and no others. A revoked receipt or recipient key ' +
        'seals nothing new and still opens what was sealed to it. Asks, or wants --yes; it cannot be taken back. It ' +
        'holds on this machine: other machines that trust the key revoke it themselves.',
      arguments: [['<kid>', 'the beginning of its kid']],
      options: [
        new Option('--reason <text>', 'one line that is kept with it'),
        new Option('-y, --yes', 'do not ask'),
      ],
      examples: ['ax keys revoke 3q2-7w --reason "laptop stolen"', 'ax keys revoke 3q2-7w --yes'],
    },
    async (kid: string, options: object) =>
      (await import('./commands/keys-revoke.ts')).revokeCommand(context, kid, options),
  );

  const trust = group('trust', 'decide whose signatures count, and for which project');
  add(
    trust,
    { name: 'list', summary: 'list projects and their trusted keys', examples: ['ax trust list'] },
    async (options: object) => (await import('./commands/trust.ts')).listCommand(context, options),
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
        ['[file]', 'a JWK; for an HMAC key, the shared secret'],
      ],
      options: [
        new Option('--key <kid>', 'the fingerprint (RFC 7638 thumbprint) of the key'),
        new Option('--threshold <n>', 'how many distinct keys must sign').argParser(count(1, 64)),
        new Option('--min-version <n>', 'refuse versions below this one, on fresh machines too').argParser(
          count(1, Number.MAX_SAFE_INTEGER),
        ),
      ],
      examples: [
        'ax trust add acme/web alice.jwk',
        'ax trust add acme/web bob.jwk --threshold 2',
        'ax trust add acme/web --key kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
      ],
    },
    async (project: string, file: string | undefined, options: object) =>
      (await import('./commands/trust.ts')).addCommand(context, { project, file }, options),
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
      (await import('./commands/trust.ts')).removeCommand(context, { project, kid }, options),
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
      (await import('./commands/trust.ts')).exportCommand(context, project, options),
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
      (await import('./commands/trust.ts')).importCommand(context, file, options),
  );

  const policy = group('policy', 'ask the guards of tasks, running nothing');
  add(
    policy,
    {
      name: 'check',
      summary: 'say what each guard would say now',
      description:
        'Verify ax.lock and ask every guard of the tasks (default: of all tasks), about the checkout, the clock and ' +
        'the store as they are now. Starts and records nothing. Exits with 0 when all would pass, 75 when some ' +
        'would make a task wait, 77 when one would refuse.',
      arguments: [['[task...]', 'tasks that are signed (default: all)']],
      options: [inputOption(), approvalOption()],
      examples: ['ax policy check', 'ax policy check deploy --input target=web --json'],
    },
    async (tasks: string[], options: object) =>
      (await import('./commands/policy.ts')).checkCommand(context, { tasks, args: passThrough }, options),
  );
  add(
    policy,
    {
      name: 'explain',
      summary: 'explain what the guards of a task would say now, and why',
      description:
        'Verify ax.lock and print each guard of the task with its settings, its answer at this moment, and its ' +
        'reason. With --json or --verbose also everything that the guards saw. Starts and records nothing.',
      arguments: [['<task>', 'a task that is signed']],
      options: [inputOption(), approvalOption()],
      examples: ['ax policy explain deploy', 'ax policy explain deploy --approval ana.approval.json'],
    },
    async (task: string, options: object) =>
      (await import('./commands/policy.ts')).explainCommand(
        context,
        { tasks: [task], args: passThrough },
        options,
      ),
  );

  const audit = group('audit', 'read the append-only log');
  add(
    audit,
    {
      name: 'list',
      summary: 'list records, the newest last',
      options: [
        new Option('-l, --limit <n>', 'how many (default: 100)').argParser(count(1, 1_000_000)),
        new Option('--type <type>', 'only this type, such as cancel.request'),
        new Option('--run <id>', 'only this run'),
      ],
      examples: ['ax audit list', 'ax audit list --type run.transition --json'],
    },
    async (options: object) => (await import('./commands/audit.ts')).listCommand(context, options),
  );
  add(
    audit,
    {
      name: 'verify',
      summary: 'recompute the hash chain',
      description:
        'Recompute every hash of the log. Finds records that were changed, moved, inserted or removed from the ' +
        'middle; a tail that was cut off shows only against a head that was noted elsewhere.',
      examples: ['ax audit verify'],
    },
    async (options: object) => (await import('./commands/audit.ts')).verifyCommand(context, options),
  );

  const config = group('config', 'preferences; nothing here can relax trust');
  const settingArgument: readonly [string, string] = [
    '<name>',
    'color, jobs, signingKeyDays or receiptKeyDays',
  ];
  add(
    config,
    {
      name: 'get',
      summary: 'print a setting',
      arguments: [settingArgument],
      examples: ['ax config get jobs'],
    },
    async (name: string, options: object) =>
      (await import('./commands/config.ts')).getCommand(context, name, options),
  );
  add(
    config,
    {
      name: 'set',
      summary: 'change a setting',
      arguments: [settingArgument, ['<value>', 'see ax config list']],
      examples: ['ax config set jobs 4', 'ax config set color never', 'ax config set signingKeyDays 30'],
    },
    async (name: string, value: string, options: object) =>
      (await import('./commands/config.ts')).setCommand(context, name, value, options),
  );
  add(
    config,
    { name: 'list', summary: 'list the settings', examples: ['ax config list'] },
    async (options: object) => (await import('./commands/config.ts')).listCommand(context, options),
  );
  add(
    config,
    { name: 'path', summary: 'print where the settings are kept', examples: ['ax config path'] },
    async (options: object) => (await import('./commands/config.ts')).pathCommand(context, options),
  );
  return program;
}

/**
 * What commander made of a command line that it could not follow; null for other errors. Help and version end
 * that way too, with status 0.
 */
export function usageProblem(error: unknown): { status: number; message: string } | null {
  if (!(error instanceof CommanderError)) return null;
  if (error.code === 'commander.help') return { status: 1, message: 'expected a command, found none' };
  const message = error.message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)/, '; did you mean $1?');
  return { status: error.exitCode, message };
}

function globalOptions(): Option[] {
  return [
    new Option('--json', 'print JSON on stdout, and nothing else there'),
    new Option('--store <dir>', 'where receipts, runs and the audit log are (default: .ax beside ax.yaml)'),
    new Option('--home <dir>', 'where keys and trust are (default: the XDG folders)'),
    new Option('--no-color', 'print no colour'),
    new Option('--verbose', 'say more on stderr'),
  ];
}

function several(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

function inputOption(): Option {
  return new Option(
    '-i, --input <name=value>',
    'a value for a parameter of the tasks; may be given again',
  ).argParser(several);
}

function approvalOption(): Option {
  return new Option('--approval <file>', 'an approval that `ax approve` made; may be given again').argParser(
    several,
  );
}

function waitOption(): Option {
  return new Option(
    '--wait [duration]',
    'wait while guards defer, for as long as it takes or for --wait=10m, instead of exiting with 75',
  );
}

function quietOption(): Option {
  return new Option('-q, --quiet', 'print the tasks’ output alone, without prefixes');
}

function count(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}`);
  };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
