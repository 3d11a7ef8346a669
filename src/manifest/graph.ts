import { AxError } from '../errors.ts';
import type { Task } from './schema.ts';

export type Tasks = Readonly<Record<string, Task>>;

/** The task of that name. @throws TASK_UNKNOWN */
export function taskNamed(tasks: Tasks, name: string): Task {
  const task = Object.hasOwn(tasks, name) ? tasks[name] : undefined;
  if (task === undefined) {
    throw new AxError(
      'TASK_UNKNOWN',
      `no task "${name}" in ax.lock; it has ${Object.keys(tasks).join(', ')}`,
      {
        hint: 'ax tasks',
      },
    );
  }
  return task;
}

/**
 * The named tasks and everything they need, each once, every task after the ones it needs; otherwise in the
 * order given.
 *
 * @throws TASK_UNKNOWN
 * @throws MANIFEST_INVALID when tasks need each other in a circle
 */
export function orderTasks(tasks: Tasks, names: readonly string[]): string[] {
  const order: string[] = [];
  const done = new Set<string>();
  // An explicit stack: how deep a graph goes is the manifest's choice, how deep we recurse is not.
  const stack: { name: string; next: number }[] = [];
  const open = new Set<string>();
  for (const name of names) {
    push(name);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const need = taskNamed(tasks, top.name).needs?.[top.next];
      if (need !== undefined) {
        top.next += 1;
        push(need);
      } else {
        stack.pop();
        open.delete(top.name);
        done.add(top.name);
        order.push(top.name);
      }
    }
  }
  return order;

  function push(name: string): void {
    if (done.has(name)) return;
    if (open.has(name)) {
      const circle = [
        ...stack.map((frame) => frame.name).slice(stack.findIndex((f) => f.name === name)),
        name,
      ];
      throw new AxError('MANIFEST_INVALID', `tasks need each other in a circle: ${circle.join(' -> ')}`, {
        hint: 'take one of these `needs` out of ax.yaml, then: ax sign',
      });
    }
    taskNamed(tasks, name);
    open.add(name);
    stack.push({ name, next: 0 });
  }
}
