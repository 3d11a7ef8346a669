import type { Database } from './database.ts';
import type { Supervisor } from './runs.ts';

/** How many rollbacks may go on at once over all processes of a store (spec: security, T5). */
export const MAX_ROLLBACKS = 5;

/** Takes a place in the queue; its order is the order of arrival. */
export function queueRollback(
  database: Database,
  place: { runId: string; supervisor: Supervisor; now: number },
): void {
  const { runId, supervisor, now } = place;
  database.write(() =>
    database
      .prepare(
        `INSERT INTO rollbacks (run_id, supervisor_host, supervisor_pid, supervisor_start, queued_at)
         VALUES (?, ?, ?, ?, ?) ON CONFLICT (run_id) DO NOTHING`,
      )
      .run(runId, supervisor.host, supervisor.pid, supervisor.start, now),
  );
}

/**
 * Starts a queued rollback when it is its turn: it is among the first MAX_ROLLBACKS of those that are left.
 * Places of processes that are gone are given up, so a killed rollback holds nobody up.
 */
export function rollbackMayStart(
  database: Database,
  runId: string,
  isLost: (supervisor: Supervisor) => boolean,
): boolean {
  return database.write(() => {
    for (const row of database.prepare('SELECT * FROM rollbacks').all()) {
      const supervisor = {
        host: String(row.supervisor_host),
        pid: Number(row.supervisor_pid),
        start: String(row.supervisor_start),
      };
      if (isLost(supervisor))
        database.prepare('DELETE FROM rollbacks WHERE run_id = ?').run(String(row.run_id));
    }
    const first = database
      .prepare('SELECT run_id FROM rollbacks ORDER BY place LIMIT ?')
      .all(MAX_ROLLBACKS)
      .map((row) => String(row.run_id));
    return first.includes(runId);
  });
}

/** Gives the place to the next. */
export function endRollback(database: Database, runId: string): void {
  database.write(() => database.prepare('DELETE FROM rollbacks WHERE run_id = ?').run(runId));
}
