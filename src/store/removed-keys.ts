import { AxError } from '../errors.ts';
import type { Database } from './database.ts';

/**
 * Keys that a store takes no receipts under any more, since they were removed from the keyring. A process may have
 * read the keyring while the key was in use, and end much later: what it would store is refused here.
 */

/** Shuts a key out for good; inside `database.write`. */
export function recordRemoved(database: Database, kid: string, now: number): void {
  database.prepare('INSERT OR IGNORE INTO removed_keys (kid, at) VALUES (?, ?)').run(kid, now);
}

/**
 * Call it inside `database.write`, before what is sealed to these keys is stored, or a run is opened whose receipt will
 * be.
 *
 * @throws KEY_UNKNOWN when one of them was shut out
 */
export function requireNotRemoved(database: Database, kids: readonly string[]): void {
  const removed = kids.find(
    (kid) => database.prepare('SELECT 1 FROM removed_keys WHERE kid = ?').get(kid) !== undefined,
  );
  if (removed === undefined) return;
  throw new AxError(
    'KEY_UNKNOWN',
    `the key ${removed} was removed, and no receipt is sealed to it any more`,
    {
      hint: 'run the command again, which takes the keys that there are now (AX_RECEIPT_KEY and AX_RECIPIENTS as they are)',
    },
  );
}
