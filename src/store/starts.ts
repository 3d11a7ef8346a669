import type { Database } from './database.ts';
import { HORIZON_MS, MAX_STARTS } from './horizon.ts';

/** Starts of tasks, for guards that count them: a row for each, in the order in which they were committed. */

/** One attempt of one run. */
export interface StartId {
  readonly runId: string;
  /** 1 for the first. */
  readonly attempt: number;
}

/** An attempt of a task, and the wall clock in milliseconds since the epoch. */
export interface TaskStart extends StartId {
  readonly project: string;
  readonly task: string;
  readonly now: number;
}

export interface Usage {
  /** When the task was started, milliseconds since the epoch, the newest first. */
  readonly starts: readonly number[];
  /** Runs of the task that are executing. */
  readonly running: number;
}

/**
 * Records that an attempt starts: inside `database.write`, in the very transaction that commits its transition to
 * EXECUTING. Rows beyond the horizon of 25 days are deleted, their submissions with them.
 */
export function recordStart(database: Database, { project, task, runId, attempt, now }: TaskStart): void {
  database.prepare('DELETE FROM starts WHERE at < ?').run(now - HORIZON_MS);
  database
    .prepare('INSERT INTO starts (project, task, run_id, attempt, at) VALUES (?, ?, ?, ?, ?)')
    .run(project, task, runId, attempt, now);
}

/**
 * Takes a start back that was refused before anything was spawned: it never happened, and neither did its
 * submission. Inside `database.write`, in the transaction that takes the run out of EXECUTING: between two, others
 * would count it as running.
 */
export function withdrawStart(database: Database, { runId, attempt }: StartId): void {
  database.prepare('DELETE FROM starts WHERE run_id = ? AND attempt = ?').run(runId, attempt);
}

/**
 * What other attempts have used up, on one snapshot of the store; not inside a transaction.
 *
 * Before the attempt's own start is recorded, that is all of them; afterwards, only those committed before it. So of
 * processes that have each recorded a start, and then ask whether there was room for it, the first sees none of the
 * others and the last sees all: exactly as many find room as there is. The order is that of the commits; clocks are
 * not asked, since two processes may read one millisecond, and a clock can be set.
 *
 * Starts older than 25 days are left out, those of the future (a clock that was set back) are not. Of all of
 * them there are the newest `most`: a guard that allows no more than that decides by the newest that it allows, so it
 * decides as if it had seen them all. A run that is executing counts however long ago it started, one of another host too.
 */
export function usageOf(
  database: Database,
  { project, task, runId, attempt, now }: TaskStart,
  most: number = MAX_STARTS,
): Usage {
  return database.read(() => {
    const before = placeOf(database, { runId, attempt }) ?? Number.MAX_SAFE_INTEGER;
    const starts = database
      .prepare(
        `SELECT at FROM starts WHERE project = ? AND task = ? AND at >= ? AND place < ?
         ORDER BY at DESC LIMIT ?`,
      )
      .all(project, task, now - HORIZON_MS, before, most)
      .map(({ at }) => Number(at));
    // A run without a row (its start is beyond the horizon, or from before the store counted) is before everyone.
    const running = database
      .prepare(
        `SELECT count(*) AS n FROM runs LEFT JOIN starts ON starts.run_id = runs.id AND starts.attempt = runs.attempt
         WHERE runs.outcome IS NULL AND runs.state = 'EXECUTING' AND runs.project = ? AND runs.task = ?
           AND runs.id <> ? AND coalesce(starts.place, 0) < ?`,
      )
      .get(project, task, runId, before);
    return { starts, running: Number(running?.n) };
  });
}

/** Where an attempt's start stands in the order of all; null when none is recorded. */
export function placeOf(database: Database, { runId, attempt }: StartId): number | null {
  const row = database
    .prepare('SELECT place FROM starts WHERE run_id = ? AND attempt = ?')
    .get(runId, attempt);
  return row === undefined ? null : Number(row.place);
}
