import { Option } from 'commander';
import { approvalOption, count, inputOption, quietOption, waitOption } from './options.ts';
import type { Tree } from './tree.ts';

/** The commands that start runs, look at them and end them. */
export function addRuns({ add, root: program, context, passThrough }: Tree): void {
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
      (await import('../commands/run.ts')).run(context, { tasks, args: passThrough }, options),
  );

  add(
    program,
    {
      name: 'runs',
      summary: 'list runs, the newest first',
      options: [new Option('-l, --limit <n>', 'how many (default: 20)').argParser(count(1, 10_000))],
      examples: ['ax runs', 'ax runs --limit 100 --json'],
    },
    async (options: object) => (await import('../commands/runs.ts')).runs(context, options),
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
      (await import('../commands/runs.ts')).status(context, run, options),
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
      (await import('../commands/run.ts')).retry(context, { id, args: passThrough }, options),
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
          'the key to use, by the beginning of its kid (default: the active approval key, else signing key)',
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
      (await import('../commands/approve.ts')).approve(context, { target, args: passThrough }, options),
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
      (await import('../commands/cancel.ts')).cancel(context, run, options),
  );
}
