import { Option } from 'commander';
import { count, several } from './options.ts';
import type { Tree } from './tree.ts';

/** `ax receipts`: the evidence in the store. */
export function addReceipts({ add, group, context }: Tree): void {
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
    async (options: object) => (await import('../commands/receipts.ts')).listCommand(context, options),
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
      (await import('../commands/receipts.ts')).showCommand(context, id, options),
  );
  add(
    receipts,
    {
      name: 'decrypt',
      summary: 'decrypt a receipt and print its statement',
      description:
        'Print the in-toto Statement, or with --raw the signed DSSE envelope around it: of a receipt in the store, or ' +
        'of one in a file that ax receipts export --format jwe wrote. That needs no store, only the key; an id says ' +
        'which, where the file has several. Who signed it is what ax receipts verify tells, of a store.',
      arguments: [['[id]', receiptId[1]]],
      options: [
        new Option('--raw', 'print the DSSE envelope'),
        new Option('-f, --file <file>', 'a file of sealed receipts, in the place of the store'),
      ],
      examples: [
        'ax receipts decrypt 01JDZ8',
        'ax receipts decrypt 01JDZ8 --raw > receipt.dsse.json',
        'ax receipts decrypt --file receipts.jwe',
      ],
    },
    async (id: string | undefined, options: object) =>
      (await import('../commands/receipts.ts')).decryptCommand(context, id, options),
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
        'are there; files that changed since say nothing against a receipt. Of many, receipts are missing which ' +
        'the audit log names and the store neither has nor has pruned; exits with 76 when any is, or was ' +
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
      (await import('../commands/receipts-verify.ts')).verifyCommand(context, id, options),
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
    async (ids: readonly string[], options: import('../commands/receipts-export.ts').ExportOptions) =>
      (await import('../commands/receipts-export.ts')).exportCommand(context, ids, options),
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
    async (options: import('../commands/receipts-import.ts').ImportOptions) =>
      (await import('../commands/receipts-import.ts')).importCommand(context, options),
  );
  add(
    receipts,
    {
      name: 'prune',
      summary: 'remove old receipts, and leave evidence of each; needs no key',
      description:
        'Remove receipts that were made longer ago than a duration, at least 1d, and are not of a run that goes on. ' +
        'What is left of each is a digest of what was sealed; the audit log, which is never pruned, says how many ' +
        'were removed, by whom and when. Their bytes are overwritten, and the space goes back to the file system. ' +
        'It cannot be undone, so it asks, or wants --yes.',
      options: [
        new Option(
          '--older-than <duration>',
          'made longer ago than this, such as 400d',
        ).makeOptionMandatory(),
        new Option('--dry-run', 'say what would be removed, and remove nothing'),
        new Option('-y, --yes', 'do not ask'),
      ],
      examples: [
        'ax receipts prune --older-than 400d --dry-run',
        'ax receipts prune --older-than 400d --yes',
      ],
    },
    async (options: import('../commands/receipts-prune.ts').PruneOptions) =>
      (await import('../commands/receipts-prune.ts')).pruneCommand(context, options),
  );
}
