import type { JsonValue } from '../security/json.ts';
import { isRecordWhole } from './audit.ts';
import type { Database } from './database.ts';

/** The types of records that name a receipt as it is stored; as in the index that finds them. */
export const RECEIPT_RECORDS = "('run.attempt', 'run.finished', 'receipt.import')";

/** Where a record stands in the audit log. */
export interface Place {
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** The records that may name a receipt of some runs, by run, oldest first. */
export type RunEnds = ReadonlyMap<string, readonly (Place & { receiptId: JsonValue | undefined })[]>;

/** The ends of attempts of these runs, and their imports; one query for however many runs. */
export function readEnds(database: Database, runIds: readonly string[]): RunEnds {
  const statement = database.prepare(
    `SELECT run_id, seq, at, data FROM audit
     WHERE run_id IN (SELECT value FROM json_each(?)) AND type IN ${RECEIPT_RECORDS} ORDER BY seq`,
  );
  // Else a number beyond what JavaScript counts to would be an error, of all the runs.
  statement.setReadBigInts(true);
  const ends = statement.all(JSON.stringify(runIds)).map((row) => ({
    runId: String(row.run_id),
    seq: Number(row.seq),
    at: Number(row.at),
    receiptId: receiptIdOf(row.data),
  }));
  return Map.groupBy(ends, ({ runId }) => runId);
}

function receiptIdOf(data: unknown): JsonValue | undefined {
  try {
    const value = JSON.parse(String(data)) as { receiptId?: JsonValue } | null;
    return value?.receiptId;
  } catch {
    return undefined;
  }
}

/** Where a receipt says that it stands in the audit log. */
export interface AuditPosition {
  readonly receiptId: string;
  readonly runId: string;
  /** The last record before the receipt, which the receipt covers: 0 and 64 zeros for an empty log. */
  readonly seq: number;
  readonly hash: string;
}

/**
 * Whether a receipt stands in the audit log where it says: the record that it names is there and has the content of
 * its hash, and a later record of the end of an attempt of its run, or of its import, names the receipt. That the
 * records between hold together is for `verifyAudit` to say.
 *
 * @param ends of the receipt's run, among others
 * @returns what is wrong; null when nothing is
 */
export function auditPositionProblem(
  database: Database,
  ends: RunEnds,
  { receiptId, runId, seq, hash }: AuditPosition,
): string | null {
  if (seq !== 0 && !isRecordWhole(database, seq, hash)) {
    return `the audit log has no record ${seq} with the hash that the receipt covers`;
  }
  const named = ends.get(runId)?.some((end) => end.receiptId === receiptId && end.seq > seq);
  return named === true
    ? null
    : 'no record of the audit log names the receipt as that of an attempt of its run';
}

/** Of the records that name a receipt as it is stored the first; undefined when none does. */
export function placeOfReceipt(
  ends: RunEnds,
  { id, runId }: { id: string; runId: string },
): Place | undefined {
  return ends.get(runId)?.find(({ receiptId }) => receiptId === id);
}
