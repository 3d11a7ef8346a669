import type { AxError } from '../errors.ts';
import { isFirstSigner } from '../security/dsse-verify.ts';
import { readEnds } from '../store/audit-position.ts';
import type { Database } from '../store/database.ts';
import type { ReceiptFilter } from '../store/receipt-filter.ts';
import { loadReceipt, type ReceiptRecord, receiptsAfter } from '../store/receipts.ts';
import { openReceipt, requireOwnRow, tampered } from './receipt.ts';
import { revocationsIn } from './receipt-standing.ts';
import { type Output, outputsOf } from './verify-outputs.ts';
import {
  placeSigned,
  type Surroundings,
  type Verdict,
  type VerifiedReceipt,
  type VerifyingKeys,
  verdictOf,
  verifyStored,
} from './verify-receipt.ts';

/** What one of many receipts comes to. */
export type Verification = { readonly id: string } & (
  | { readonly verdict: 'valid'; readonly outputs: readonly Output[] }
  | { readonly verdict: Exclude<Verdict, 'valid'>; readonly error: AxError }
);

/**
 * So many rows are in memory at a time, and of the receipts in them one. What lives for longer makes V8 widen the space
 * of young objects: with 16, a store of 100,000 receipts took 205 MB instead of 155 to 165.
 */
const PAGE = 8;

/**
 * Verifies the receipts of a store, oldest first, each as `verifyStored` would. A page of them is read at one moment,
 * with what the audit log has of it. Signatures are checked on other threads, and meanwhile all the rest is done here
 * as if they held; where one does not, the receipt is verified over again by itself.
 *
 * @throws RECEIPT_TAMPERED when an id is such that it cannot go on; what else is not about one receipt, such as
 * STORE_UNUSABLE and AUDIT_TAMPERED
 */
export async function* verifyReceipts(
  database: Database,
  filter: ReceiptFilter,
  keys: VerifyingKeys,
): AsyncGenerator<Verification> {
  const revocations = revocationsIn(database, keys.keyring);
  for (let after = ''; ; ) {
    const page = database.read(() => {
      const records = receiptsAfter(database, { ...filter, after, limit: PAGE });
      const runIds = records.map(({ runId }) => runId);
      const surroundings = { ...keys, revocations, ends: readEnds(database, runIds) };
      return records.map((record) => ({ id: record.id, ...expectationOf(database, record, surroundings) }));
    });
    const last = page.at(-1);
    if (last === undefined) return;
    const signed = await Promise.all(page.map((item) => item.signed));
    for (const [index, { id, expected }] of page.entries()) {
      const found = signed[index] === true && expected ? expected : verifyAlone(database, id, keys);
      if (found !== null) yield found;
    }
    requireLater(last.id, after);
    after = last.id;
  }
}

/** What a receipt comes to if its signature is by the key that it names, and whether it is. */
interface Expectation {
  readonly expected: Verification;
  readonly signed: Promise<boolean>;
}

/** Nothing is expected of a receipt that does not open, or names no key that is known here. */
function expectationOf(
  database: Database,
  record: ReceiptRecord,
  surroundings: Surroundings,
): Partial<Expectation> {
  try {
    const receipt = record.read();
    const opened = openReceipt(receipt, surroundings.identities);
    const key = surroundings.hosts.find(({ kid }) => kid === opened.envelope.signatures[0]?.keyid);
    if (key === undefined) return {};
    const signed = isFirstSigner(opened.envelope, key);
    const expected = verificationOf(receipt.id, () => {
      requireOwnRow(receipt, opened);
      return placeSigned(database, { receipt, opened, keyid: key.kid }, surroundings);
    });
    return { expected, signed };
  } catch (error) {
    // Verified alone, it is refused for the same reason; what is not about it ends all of it here.
    verdictOf(error);
    return {};
  }
}

/** Null when it is gone meanwhile. */
function verifyAlone(database: Database, id: string, keys: VerifyingKeys): Verification | null {
  try {
    const receipt = loadReceipt(database, id);
    return receipt === null ? null : verificationOf(id, () => verifyStored(database, receipt, keys));
  } catch (error) {
    return { id, ...verdictOf(error) };
  }
}

function verificationOf(id: string, verify: () => VerifiedReceipt): Verification {
  try {
    return { id, verdict: 'valid', outputs: outputsOf(verify().statement) };
  } catch (error) {
    return { id, ...verdictOf(error) };
  }
}

/** An id that is no text in UTF-8 reads as another, and the page after it could be the same again, without end. */
function requireLater(id: string, after: string): void {
  if (Buffer.compare(Buffer.from(id), Buffer.from(after)) > 0) return;
  throw tampered(id, 'expected an id that can be read, found other bytes');
}
