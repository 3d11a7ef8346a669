import { isObject } from '../security/json-shape.ts';
import { firstUlid } from '../security/ulid.ts';
import { RECEIPT_RECORDS } from './audit-position.ts';
import type { Database } from './database.ts';
import { pruneRecord, type Tombstone, tombstonesDigest } from './pruned-receipts.ts';

/** A receipt that should be in the store, or whose absence nothing explains. */
export interface MissingReceipt {
  readonly id: string;
  readonly message: string;
}

/**
 * Tells `found` of every receipt that the audit log names and the store neither has nor has pruned, and of every one
 * whose tombstone is not what the audit log says was removed. On one snapshot, in an order of its own; with `since`
 * only those that were made then or later (milliseconds since the epoch, as in their ids).
 *
 * It believes the records that name receipts; that they are as they were written is for `verifyAudit` to say.
 */
export function findMissing(
  database: Database,
  since: number | undefined,
  found: (missing: MissingReceipt) => void,
): void {
  const from = since === undefined ? '' : firstUlid(since);
  database.read(() => {
    for (const { id, seq } of namedAndGone(database)) {
      if (id >= from) {
        const message = `receipt ${id}: record ${seq} of the audit log names it, and it is neither stored nor pruned`;
        found({ id, message });
      }
    }
    for (const { id, seq } of unrecorded(database)) {
      if (id >= from) {
        const message = `receipt ${id}: its tombstone is not among what record ${seq} of the audit log says was pruned`;
        found({ id, message });
      }
    }
  });
}

interface Named {
  readonly id: string;
  readonly seq: string;
}

function* namedAndGone(database: Database): Generator<Named> {
  // Records that are no JSON any more name nothing; without the check they would end the query.
  const rows = database
    .prepare(
      `SELECT seq, id FROM (
         SELECT seq, CASE WHEN json_valid(data) THEN json_extract(data, '$.receiptId') END AS id
         FROM audit WHERE type IN ${RECEIPT_RECORDS}
       ) AS named
       WHERE id IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM receipts WHERE receipts.id = named.id)
         AND NOT EXISTS (SELECT 1 FROM pruned_receipts WHERE pruned_receipts.id = named.id)`,
    )
    .iterate();
  for (const { seq, id } of rows) yield { seq: String(seq), id: String(id) };
}

/** Tombstones come by the records that they name: all of one record have the digest that it has, or none is believed. */
function* unrecorded(database: Database): Generator<Named> {
  const statement = database.prepare(
    'SELECT audit_seq, id, run_id, attempt, sha256 FROM pruned_receipts ORDER BY audit_seq, id',
  );
  // Else a number beyond what JavaScript counts to would be an error of another kind.
  statement.setReadBigInts(true);
  let group: Tombstone[] = [];
  let seq: bigint | undefined;
  for (const row of statement.iterate()) {
    if (row.audit_seq !== seq) {
      if (seq !== undefined) yield* groupProblems(database, seq, group);
      [seq, group] = [row.audit_seq as bigint, []];
    }
    group.push({
      id: String(row.id),
      runId: String(row.run_id),
      attempt: Number(row.attempt),
      sha256: String(row.sha256),
    });
  }
  if (seq !== undefined) yield* groupProblems(database, seq, group);
}

function* groupProblems(database: Database, seq: bigint, group: readonly Tombstone[]): Generator<Named> {
  const data = pruneRecord(database, Number(seq))?.data;
  if (isObject(data) && data.sha256 === tombstonesDigest(group)) return;
  for (const { id } of group) yield { id, seq: String(seq) };
}
