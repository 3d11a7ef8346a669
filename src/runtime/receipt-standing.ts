import { AxError } from '../errors.ts';
import { describeExpiry, isExpired } from '../security/expiry.ts';
import { isObject } from '../security/json-shape.ts';
import { listAudit } from '../store/audit.ts';
import type { Place } from '../store/audit-position.ts';
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
  receipt: { id: string; runId: string; place: Place | undefined },
  key: KeyStanding,
  { revocations, now }: { revocations: Revocations; now: number },
): Standing {
  const { revocation, kid } = key;
  const expired = isExpired(key, now);
  if (revocation === null && !expired) return key.state === 'active' ? 'current' : 'superseded';
  const { place } = receipt;
  if (revocation !== null && !isBefore(place, { revocation, record: revocations.get(kid) })) {
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

/** Where the audit log has the revocation of a key, by its kid. */
export type Revocations = ReadonlyMap<string, Place>;

/**
 * Looks through the audit log, once for all the keys, and not at all where none is revoked. Of each key it is the first
 * record: one without a revocation is what a crash may have left, and the next made good.
 *
 * @throws AUDIT_TAMPERED when a record of a change of keys cannot be read
 */
export function revocationsIn(database: Database, keys: readonly KeyStanding[]): Revocations {
  const places = new Map<string, Place>();
  if (keys.every(({ revocation }) => revocation === null)) return places;
  for (const { seq, at, data } of listAudit(database, { type: 'key.change' })) {
    const { change, kid } = isObject(data) ? data : {};
    if (change === 'revoke' && typeof kid === 'string' && !places.has(kid)) places.set(kid, { seq, at });
  }
  return places;
}
