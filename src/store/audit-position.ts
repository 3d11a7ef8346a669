import type { JsonValue } from '../security/json.ts';
import { isRecordWhole } from './audit.ts';
import type { Database } from './database.ts';

/** The types of records that name a receipt as it is stored; as in the index that finds them. */
export const RECEIPT_RECORDS = "('run.attempt', 'run.finished', 'receipt.import')";

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
 * its hash, and a later record of the end of an attempt of its run, or of its import, names the receipt. That the records between hold
 * together is for `verifyAudit` to say.
 *
 * @returns what is wrong; null when nothing is
 */
export function auditPositionProblem(database: Database, position: AuditPosition): string | null {
  const { receiptId, runId, seq, hash } = position;
  if (seq !== 0 && !isRecordWhole(database, seq, hash)) {
    return `the audit log has no record ${seq} with the hash that the receipt covers`;
  }
  const ends = database
    .prepare(`SELECT data FROM audit WHERE run_id = ? AND type IN ${RECEIPT_RECORDS} AND seq > ?`)
    .all(runId, seq);
  if (ends.some(({ data }) => receiptIdOf(data) === receiptId)) return null;
  return 'no record of the audit log names the receipt as that of an attempt of its run';
}

function receiptIdOf(data: unknown): JsonValue | undefined {
  try {
    const value = JSON.parse(String(data)) as { receiptId?: JsonValue } | null;
    return value?.receiptId;
  } catch {
    return undefined;
  }
}
