import type { Context } from '../context.ts';
import { visible } from '../output/escape.ts';
import { table } from '../output/table.ts';
import { DRIFT, hasDrifted, readLock, requireVerified } from './lock.ts';
import { type GlobalOptions, openSession } from './session.ts';

/** `ax tasks`: what is signed, and nothing that is not. */
export async function tasks(context: Context, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  const lock = readLock(session);
  const verified = await requireVerified(session, lock);
  const { project, version, expiresAt, tasks: signed } = verified.manifest;
  const { output } = session;
  if (hasDrifted(lock, verified.manifest)) output.warn(DRIFT);
  const rows = Object.entries(signed).map(([name, task]) => ({
    name,
    title: task.title ?? '',
    run: task.run ?? null,
    shell: task.shell ?? null,
    needs: task.needs ?? [],
    params: Object.entries(task.params ?? {}).map(([param, { pattern, default: fallback }]) => ({
      name: param,
      pattern: pattern ?? null,
      default: fallback ?? null,
    })),
  }));
  output.line(
    table(
      ['TASK', 'NEEDS', 'INPUTS', 'RUNS'],
      rows.map((row) => [
        visible(row.name),
        row.needs.map(visible).join(' '),
        row.params
          .map(({ name, default: fallback }) => visible(fallback === null ? name : `${name}=${fallback}`))
          .join(' '),
        visible(row.title === '' ? (row.shell ?? (row.run ?? []).join(' ')) : row.title),
      ]),
      output.style,
    ),
  );
  output.document({ schema: 'ax.tasks/1', project, version, expiresAt, tasks: rows });
  return 0;
}
