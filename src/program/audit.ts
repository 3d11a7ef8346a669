import { Option } from 'commander';
import { count } from './options.ts';
import type { Tree } from './tree.ts';

/** `ax audit`: the append-only log. */
export function addAudit({ add, group, context }: Tree): void {
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
    async (options: object) => (await import('../commands/audit.ts')).listCommand(context, options),
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
    async (options: object) => (await import('../commands/audit.ts')).verifyCommand(context, options),
  );
}
