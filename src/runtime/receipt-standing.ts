import { AxError } from '../errors.ts';
import { describeExpiry, isExpired } from '../security/expiry.ts';
import { RECEIPT_RECORDS } from '../store/audit-position.ts';
import type { Database } from '../store/database.ts';
import type { KeyEntry } from '../store/keyring.ts';
import { describeRevocation, type Revocation } from '../store/revocations.ts';

/**
 * What has become of the host key since it signed a receipt; it was good then in each of them. Superseded: it is in use
 * no more, since another took its place or it has expired.
 */
export type Standing = 'current' | 'superseded' | 'revoked-later';

/** What is known of a key here. */
export type KeyStanding = Pick<KeyEntry, 'kid' | 'state' | 'revocation' | 'expiresAt'>;

/**
 * Tells a receipt that was signed while its key was good from one that was signed after its revocation or expiry.
 *
 * Whoever stole the key can date a statement at will, so what counts is where the audit log has the receipt: before
 * the record of the revocation, or, where that was made in another store, at an earlier time than it; and at an
 * earlier time than the expiry. A receipt that the log does not have is not believed. Whoever can write the store as
 * well can write its log anew; that shows only against a head that was noted elsewhere.
 *
 * @param now milliseconds since the epoch
 * @throws KEY_REVOKED when it cannot be shown that the receipt is from before the revocation
 * @throws KEY_EXPIRED when the key has expired, and it cannot be shown that the receipt is from before that
 */
export function standingOf(
  database: Database,
  { key, receipt, now }: { key: KeyStanding; receipt: { id: string; runId: string }; now: number },
): Standing {
  const { revocation, kid } = key;
  const expired = isExpired(key, now);
  if (revocation === null && !expired) return key.state === 'active' ? 'current' : 'superseded';
  const place = placeOfReceipt(database, receipt);
  if (revocation !== null && !isBefore(place, { revocation, record: placeOfRevocation(database, kid) })) {
    throw notBefore('KEY_REVOKED', { receipt, key: `${kid} was ${describeRevocation(revocation)}`, place });
  }
  if (expired && !(place !== undefined && place.at < key.expiresAt)) {
    throw notBefore('KEY_EXPIRED', { receipt, key: `${kid} ${describeExpiry(key)}`, place });
  }
  return revocation === null ? 'superseded' : 'revoked-later';
}

function isBefore(
  place: Place | undefined,
  { revocation, record }: { revocation: Revocation; record: Place | undefined },
): boolean {
  if (place === undefined) return false;
  return record === undefined ? place.at < revocation.at : place.seq < record.seq;
}

function notBefore(
  code: 'KEY_REVOKED' | 'KEY_EXPIRED',
  { receipt, key, place }: { receipt: { id: string; runId: string }; key: string; place: Place | undefined },
): AxError {
  const found = place === undefined ? 'the audit log does not have it' : 'it was signed after that';
  return new AxError(code, `receipt ${receipt.id}: its key ${key}, and ${found}`, {
    hint: `do not believe it; see what the log has of its run: ax audit list --run ${receipt.runId}`,
  });
}

interface Place {
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

function placeOfReceipt(database: Database, receipt: { id: string; runId: string }): Place | undefined {
  return toPlace(
    database
      .prepare(
        `SELECT seq, at FROM audit WHERE run_id = ? AND type IN ${RECEIPT_RECORDS}
           AND json_extract(data, '$.receiptId') = ? ORDER BY seq LIMIT 1`,
      )
      .get(receipt.runId, receipt.id),
  );
}

/** The first record of it: one without a revocation is what a crash may have left, and the next made good. */
function placeOfRevocation(database: Database, kid: string): Place | undefined {
  return toPlace(
    database
      .prepare(
        `SELECT seq, at FROM audit WHERE type = 'key.change' AND json_extract(data, '$.change') = 'revoke'
           AND json_extract(data, '$.kid') = ? ORDER BY seq LIMIT 1`,
      )
      .get(kid),
  );
}

function toPlace(row: Record<string, unknown> | undefined): Place | undefined {
  return row === undefined ? undefined : { seq: Number(row.seq), at: Number(row.at) };
}
