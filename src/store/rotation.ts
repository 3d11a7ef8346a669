import type { ReceiptKey } from '../security/encryption-keys.ts';
import { type JweRecipient, rewrap } from '../security/jwe.ts';
import type { Database } from './database.ts';
import { countByKey, replaceRecipient, wrappedUnder } from './receipts.ts';

/** Small enough that a run which wants to write in between waits a few milliseconds, not seconds. */
const BATCH = 1000;

export interface Rewrap {
  /** The retired keys. */
  readonly from: readonly ReceiptKey[];
  readonly to: ReceiptKey;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Wraps the content key of every receipt that a retired key opens for the new key instead. The ciphertexts stay
 * as they are.
 *
 * Each batch is one transaction, and a receipt is either before or after its own: killed at any moment, every
 * receipt opens with the old key or the new one, and calling this again does the rest. Both keys are in the
 * keyring before the first batch begins.
 *
 * @returns how many receipts were re-wrapped
 * @throws RECEIPT_TAMPERED when a wrapped key does not unwrap; those before it have moved, it has not
 */
export function rewrapReceipts(database: Database, { from, to, onProgress }: Rewrap): number {
  const counts = countByKey(database);
  const total = from.reduce((sum, key) => sum + (counts.get(key.kid) ?? 0), 0);
  let done = 0;
  for (const key of from) {
    for (;;) {
      const moved = database.write(() => {
        const batch = wrappedUnder(database, key.kid, BATCH);
        const replacements = rewrap(
          batch.map(({ recipient }) => recipient),
          { from: key, to },
        );
        for (const [index, wrapped] of batch.entries()) {
          replaceRecipient(database, wrapped, replacements[index] as JweRecipient);
        }
        return batch.length;
      });
      if (moved === 0) break;
      done += moved;
      onProgress?.(done, total);
    }
  }
  return done;
}
