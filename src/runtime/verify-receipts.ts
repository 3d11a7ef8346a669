import type { AxError } from '../errors.ts';
import { readEnds } from '../store/audit-position.ts';
import type { Database } from '../store/database.ts';
import type { ReceiptFilter } from '../store/receipt-filter.ts';
import { type ReceiptRecord, receiptsAfter } from '../store/receipts.ts';
import { tampered } from './receipt.ts';
import { revocationsIn } from './receipt-standing.ts';
import { type Output, outputsOf } from './verify-outputs.ts';
import {
  type Against,
  type Verdict,
  type VerifyingKeys,
  verdictOf,
  verifyAgainst,
} from './verify-receipt.ts';

/** What one of many receipts comes to. */
export type Verification = { readonly id: string } & (
  | { readonly verdict: 'valid'; readonly outputs: readonly Output[] }
  | { readonly verdict: Exclude<Verdict, 'valid'>; readonly error: AxError }
);

/**
 * So many rows are in memory at a time, and of the receipts in them one. What lives for longer makes V8 widen the space
 * of young objects: with 64 at a time, 100,000 receipts took 180 MB instead of 140, and no less time.
 */
const PAGE = 8;

/**
 * Verifies the receipts of a store, oldest first, each as `verifyStored` would. A page of them is read at one moment,
 * with what the audit log has of it.
 *
 * @throws RECEIPT_TAMPERED when an id is such that it cannot go on; what else is not about one receipt, such as
 * STORE_UNUSABLE and AUDIT_TAMPERED
 */
export function* verifyReceipts(
  database: Database,
  filter: ReceiptFilter,
  keys: VerifyingKeys,
): Generator<Verification> {
  const revocations = revocationsIn(database, keys.keyring);
  for (let after = ''; ; ) {
    const page = database.read(() => {
      const records = receiptsAfter(database, { ...filter, after, limit: PAGE });
      const ends = readEnds(
        database,
        records.map(({ runId }) => runId),
      );
      return records.map((record) => verifyRecord(database, record, { keys, revocations, ends }));
    });
    const last = page.at(-1);
    if (last === undefined) return;
    yield* page;
    requireLater(last.id, after);
    after = last.id;
  }
}

/** An id that is no text in UTF-8 reads as another, and the page after it could be the same again, without end. */
function requireLater(id: string, after: string): void {
  if (Buffer.compare(Buffer.from(id), Buffer.from(after)) > 0) return;
  throw tampered(id, 'expected an id that can be read, found other bytes');
}

function verifyRecord(database: Database, record: ReceiptRecord, against: Against): Verification {
  const { id } = record;
  try {
    const { statement } = verifyAgainst(database, record.read(), against);
    return { id, verdict: 'valid', outputs: outputsOf(statement) };
  } catch (thrown) {
    return { id, ...verdictOf(thrown) };
  }
}
