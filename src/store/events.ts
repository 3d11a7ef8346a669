import type { Database } from './database.ts';

/** The events that a run has accepted, with what each did. */
export interface StoredEvent {
  readonly runId: string;
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  /** JSON text. */
  readonly payload: string;
  readonly source: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly mac: string;
  readonly status: string;
  readonly fromState: string;
  readonly toState: string;
  readonly reason: string | null;
}

/** Adds an event; inside `database.write`. A second event with the same run and sequence is refused by the key. */
export function insertEvent(database: Database, event: StoredEvent): void {
  database
    .prepare(
      `INSERT INTO events (run_id, seq, id, type, payload, source, trace_id, span_id, parent_span_id, at, mac,
         status, from_state, to_state, reason)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      event.runId,
      event.seq,
      event.id,
      event.type,
      event.payload,
      event.source,
      event.traceId,
      event.spanId,
      event.parentSpanId,
      event.at,
      event.mac,
      event.status,
      event.fromState,
      event.toState,
      event.reason,
    );
}

/** A run's events in sequence. */
export function listEvents(database: Database, runId: string): StoredEvent[] {
  return database.read(() =>
    database
      .prepare('SELECT * FROM events WHERE run_id = ? ORDER BY seq')
      .all(runId)
      .map((row) => ({
        runId: String(row.run_id),
        seq: Number(row.seq),
        id: String(row.id),
        type: String(row.type),
        payload: String(row.payload),
        source: String(row.source),
        traceId: String(row.trace_id),
        spanId: String(row.span_id),
        parentSpanId: String(row.parent_span_id),
        at: Number(row.at),
        mac: String(row.mac),
        status: String(row.status),
        fromState: String(row.from_state),
        toState: String(row.to_state),
        reason: row.reason === null ? null : String(row.reason),
      })),
  );
}
