import { AxError } from '../errors.ts';
import { RECEIPT_RECORDS } from '../store/audit-position.ts';
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
  database: Database,
  { key, receipt }: { key: KeyStanding; receipt: { id: string; runId: string } },
): Standing {
  const { revocation, kid } = key;
  if (revocation === null) return key.state === 'active' ? 'current' : 'superseded';
  const place = placeOfReceipt(database, receipt);
  const revoked = placeOfRevocation(database, kid);
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
