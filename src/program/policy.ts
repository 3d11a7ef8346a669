import { approvalOption, inputOption } from './options.ts';
import type { Tree } from './tree.ts';

/** `ax policy`: the guards, asked without running anything. */
export function addPolicy({ add, group, context, passThrough }: Tree): void {
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
      (await import('../commands/policy.ts')).checkCommand(context, { tasks, args: passThrough }, options),
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
      (await import('../commands/policy.ts')).explainCommand(
        context,
        { tasks: [task], args: passThrough },
        options,
      ),
  );
}
