import type { Actor } from '../context.ts';
import { AxError } from '../errors.ts';
import { isUlidPrefix } from '../security/ulid.ts';
import type { Database } from './database.ts';

/** Runs: one row for each attempt at a task, refused ones included. */

export type OutcomeName =
  | 'completed'
  | 'failed'
  | 'timed-out'
  | 'canceled'
  | 'refused'
  | 'deferred'
  | 'skipped'
  /** Of a receipt that an older store left; nothing was run by ax. */
  | 'imported';

/** How often, and how, a run lets itself be canceled; from the signed policy. Milliseconds. */
export interface CancelPolicy {
  readonly max: number;
  readonly perMs: number;
  readonly confirmWithinMs: number;
}

export interface Run {
  readonly id: string;
  readonly traceId: string;
  /** The span that this run is, in W3C trace context. */
  readonly spanId: string;
  /** The span that ax was started in; null where the trace began with ax. */
  readonly parentSpanId: string | null;
  readonly project: string;
  readonly task: string;
  /** 1 for the first; a retry is the next attempt of the same run. */
  readonly attempt: number;
  readonly manifestDigest: string;
  readonly manifestVersion: number;
  /** SHA-256, hex, of the ax.lock that was read. */
  readonly lockSha256: string;
  /** SHA-256, hex, of what the run was given: a retry is given the same. */
  readonly inputsSha256: string;
  readonly actor: Actor;
  readonly state: string;
  /** The sequence number of the last committed event. */
  readonly seq: number;
  readonly outcome: OutcomeName | null;
  readonly exitCode: number | null;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  readonly supervisor: Supervisor;
  /** Path of the socket on which the supervisor listens. */
  readonly channel: string | null;
  /** Authenticates this run's events and cancel requests; erased when the run ends. */
  readonly sessionKey: Uint8Array | null;
  readonly cancelPolicy: CancelPolicy;
}

/** A process, told apart from a later one that was given the same number, and from one of another machine. */
export interface Supervisor {
  readonly host: string;
  readonly pid: number;
  readonly start: string;
}

export type NewRun = Omit<Run, 'seq' | 'finishedAt'>;

/** Adds a run; inside `database.write`. */
export function insertRun(database: Database, run: NewRun): void {
  database
    .prepare(
      `INSERT INTO runs (id, trace_id, span_id, parent_span_id, project, task, attempt, manifest_digest, manifest_version, lock_sha256, inputs_sha256,
         actor, state, outcome, exit_code, started_at, supervisor_host, supervisor_pid, supervisor_start, channel, session_key, cancel_policy)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      run.id,
      run.traceId,
      run.spanId,
      run.parentSpanId,
      run.project,
      run.task,
      run.attempt,
      run.manifestDigest,
      run.manifestVersion,
      run.lockSha256,
      run.inputsSha256,
      JSON.stringify(run.actor),
      run.state,
      run.outcome,
      run.exitCode,
      run.startedAt,
      run.supervisor.host,
      run.supervisor.pid,
      run.supervisor.start,
      run.channel,
      run.sessionKey,
      JSON.stringify(run.cancelPolicy),
    );
}

/**
 * Moves a run from one state to the next, if it still is where the caller believes; inside `database.write`.
 *
 * @returns false when another process has moved it meanwhile
 */
export function advanceRun(
  database: Database,
  step: { id: string; seq: number; fromState: string; toState: string },
): boolean {
  const { changes } = database
    .prepare('UPDATE runs SET seq = ?, state = ? WHERE id = ? AND seq = ? AND state = ? AND outcome IS NULL')
    .run(step.seq, step.toState, step.id, step.seq - 1, step.fromState);
  return changes === 1;
}

/**
 * Opens an ended run for another attempt, with a session of its own; inside `database.write`.
 *
 * @returns false when it has been opened, or is gone, meanwhile
 */
export function reopenRun(
  database: Database,
  run: Run,
  session: {
    supervisor: Supervisor;
    channel: string | null;
    sessionKey: Uint8Array;
    trace: Pick<Run, 'traceId' | 'spanId' | 'parentSpanId'>;
  },
): boolean {
  const { supervisor, channel, sessionKey, trace } = session;
  const { changes } = database
    .prepare(
      `UPDATE runs SET outcome = NULL, exit_code = NULL, finished_at = NULL, attempt = attempt + 1,
         supervisor_host = ?, supervisor_pid = ?, supervisor_start = ?, channel = ?, session_key = ?,
         trace_id = ?, span_id = ?, parent_span_id = ?
       WHERE id = ? AND attempt = ? AND outcome IS NOT NULL`,
    )
    .run(
      supervisor.host,
      supervisor.pid,
      supervisor.start,
      channel,
      sessionKey,
      trace.traceId,
      trace.spanId,
      trace.parentSpanId,
      run.id,
      run.attempt,
    );
  return changes === 1;
}

/** Counts the next attempt of a run that goes on; inside `database.write`. */
export function nextAttempt(database: Database, id: string): void {
  database.prepare('UPDATE runs SET attempt = attempt + 1 WHERE id = ? AND outcome IS NULL').run(id);
}

/** Gives a run its outcome and erases its session key, once; inside `database.write`. */
export function finishRun(
  database: Database,
  end: { id: string; outcome: OutcomeName; exitCode: number; at: number },
): boolean {
  const { changes } = database
    .prepare(
      `UPDATE runs SET outcome = ?, exit_code = ?, finished_at = ?, session_key = NULL, channel = NULL
       WHERE id = ? AND outcome IS NULL`,
    )
    .run(end.outcome, end.exitCode, end.at, end.id);
  return changes === 1;
}

/**
 * The run whose id this is, or whose id alone begins with it.
 *
 * @throws RUN_UNKNOWN, ID_AMBIGUOUS
 */
export function findRun(database: Database, prefix: string): Run {
  return database.read(() => {
    const rows = isUlidPrefix(prefix)
      ? database.prepare("SELECT * FROM runs WHERE id >= ?1 AND id < ?1 || '~' LIMIT 2").all(prefix)
      : [];
    const row = rows[0];
    if (row === undefined) {
      throw new AxError('RUN_UNKNOWN', `no run "${prefix}" in this store`, { hint: 'ax runs' });
    }
    if (rows.length > 1) {
      throw new AxError('ID_AMBIGUOUS', `more than one run begins with "${prefix}"`, {
        hint: 'give more of its characters; ax runs lists them',
      });
    }
    return toRun(row);
  });
}

/** The run with exactly this id; null when there is none. Inside `database.write` or `read`. */
export function loadRun(database: Database, id: string): Run | null {
  const row = database.prepare('SELECT * FROM runs WHERE id = ?').get(id);
  return row === undefined ? null : toRun(row);
}

/** Runs that have no outcome yet, the oldest first. */
export function unfinishedRuns(database: Database): Run[] {
  return database.read(() =>
    database.prepare('SELECT * FROM runs WHERE outcome IS NULL ORDER BY id').all().map(toRun),
  );
}

/** The id of a run that has no outcome yet, of several the oldest's; inside `database.write` or `read`. */
export function oldestUnfinished(database: Database): string | null {
  const row = database.prepare('SELECT id FROM runs WHERE outcome IS NULL ORDER BY id LIMIT 1').get();
  return row === undefined ? null : String(row.id);
}

/**
 * Makes another process the supervisor of a run that has no outcome; inside `database.write`.
 *
 * @returns false when someone else has taken it over, or ended it, meanwhile
 */
export function takeOverRun(database: Database, run: Run, supervisor: Supervisor): boolean {
  const { changes } = database
    .prepare(
      `UPDATE runs SET supervisor_host = ?, supervisor_pid = ?, supervisor_start = ?, channel = NULL
       WHERE id = ? AND supervisor_pid = ? AND supervisor_start = ? AND outcome IS NULL`,
    )
    .run(supervisor.host, supervisor.pid, supervisor.start, run.id, run.supervisor.pid, run.supervisor.start);
  return changes === 1;
}

/** The newest runs first, those of ax alone. */
export function listRuns(database: Database, limit: number): Run[] {
  return database.read(() =>
    database
      .prepare("SELECT * FROM runs WHERE outcome IS NOT 'imported' ORDER BY id DESC LIMIT ?")
      .all(limit)
      .map(toRun),
  );
}

function toRun(row: Record<string, unknown>): Run {
  return {
    id: String(row.id),
    traceId: String(row.trace_id),
    spanId: String(row.span_id),
    parentSpanId: row.parent_span_id === null ? null : String(row.parent_span_id),
    project: String(row.project),
    task: String(row.task),
    attempt: Number(row.attempt),
    manifestDigest: String(row.manifest_digest),
    manifestVersion: Number(row.manifest_version),
    lockSha256: String(row.lock_sha256),
    inputsSha256: String(row.inputs_sha256),
    actor: JSON.parse(String(row.actor)) as Actor,
    state: String(row.state),
    seq: Number(row.seq),
    outcome: row.outcome as OutcomeName | null,
    exitCode: row.exit_code === null ? null : Number(row.exit_code),
    startedAt: Number(row.started_at),
    finishedAt: row.finished_at === null ? null : Number(row.finished_at),
    supervisor: {
      host: String(row.supervisor_host),
      pid: Number(row.supervisor_pid),
      start: String(row.supervisor_start),
    },
    channel: row.channel === null ? null : String(row.channel),
    sessionKey: row.session_key === null ? null : (row.session_key as Uint8Array),
    cancelPolicy: JSON.parse(String(row.cancel_policy)) as CancelPolicy,
  };
}
