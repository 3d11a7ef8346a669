import type { Context } from '../context.ts';
import { visible } from '../output/escape.ts';
import { table } from '../output/table.ts';
import { livenessOf } from '../runtime/supervisor-identity.ts';
import { findRun, listRuns, type Run } from '../store/runs.ts';
import { type GlobalOptions, openSession, type Session, withExistingStore, withStore } from './session.ts';

/** `ax runs`: what ran and is running, the newest first. */
export async function runs(context: Context, options: GlobalOptions & { limit?: number }): Promise<number> {
  const session = await openSession(context, options);
  show(session, await withExistingStore(session, [], (database) => listRuns(database, options.limit ?? 20)));
  return 0;
}

/** `ax status <run>`. */
export async function status(context: Context, id: string, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  show(session, [await withStore(session, (database) => findRun(database, id.toUpperCase()))]);
  return 0;
}

function show({ context, output }: Session, found: readonly Run[]): void {
  const rows = found.map((run) => ({
    runId: run.id,
    task: run.task,
    project: run.project,
    state: run.state,
    outcome: run.outcome,
    exitCode: run.exitCode,
    attempt: run.attempt,
    actor: run.actor,
    startedAt: new Date(run.startedAt).toISOString(),
    supervisorAlive: run.outcome === null && livenessOf(run.supervisor, context) === 'alive',
  }));
  output.line(
    table(
      ['RUN', 'TASK', 'STATE', 'OUTCOME', 'ATTEMPT', 'BY', 'STARTED'],
      rows.map((row) => [
        row.runId,
        visible(row.task),
        row.state,
        row.outcome ?? (row.supervisorAlive ? 'running' : 'supervisor lost'),
        String(row.attempt),
        visible(row.actor.name),
        row.startedAt,
      ]),
      output.style,
    ),
  );
  output.document({ schema: 'ax.runs/1', runs: rows });
}
