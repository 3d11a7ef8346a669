import { AxError } from '../errors.ts';
import { isObject } from '../security/json-shape.ts';
import { listAudit } from '../store/audit.ts';
import type { Place } from '../store/audit-position.ts';
import type { Database } from '../store/database.ts';
import type { KeyEntry } from '../store/keyring.ts';
import { describeRevocation } from '../store/revocations.ts';

/** What has become of the host key since it signed a receipt; it was good then in each of them. */
export type Standing = 'current' | 'superseded' | 'revoked-later';

/** What is known of a key here. */
export type KeyStanding = Pick<KeyEntry, 'kid' | 'state' | 'revocation'>;

/**
 * Tells a receipt that was signed while its key was good from one that was signed after the key's revocation.
 *
 * Whoever stole the key can date a statement at will, so what counts is where the audit log has the receipt: before
 * the record of the revocation, or, where that was made in another store, at an earlier time than it. A receipt that
 * the log does not have is not believed. Whoever can write the store as well can write its log anew; that shows only
 * against a head that was noted elsewhere.
 *
 * @throws KEY_REVOKED when it cannot be shown that the receipt is from before the revocation
 */
export function standingOf(
  receipt: { id: string; runId: string; place: Place | undefined },
  key: KeyStanding,
  revocations: Revocations,
): Standing {
  const { revocation, kid } = key;
  if (revocation === null) return key.state === 'active' ? 'current' : 'superseded';
  const { place } = receipt;
  const revoked = revocations.get(kid);
  const before =
    place !== undefined && (revoked === undefined ? place.at < revocation.at : place.seq < revoked.seq);
  if (before) return 'revoked-later';
  const found = place === undefined ? 'the audit log does not have it' : 'it was signed after that';
  throw new AxError(
    'KEY_REVOKED',
    `receipt ${receipt.id}: its key ${kid} was ${describeRevocation(revocation)}, and ${found}`,
    { hint: `do not believe it; see what the log has of its run: ax audit list --run ${receipt.runId}` },
  );
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
