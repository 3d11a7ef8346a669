import type { Database } from './database.ts';
import { countUnder } from './receipts.ts';
import { recordRemoved } from './removed-keys.ts';
import { currentRotation } from './rotation.ts';
import { oldestUnfinished } from './runs.ts';

/** What of a store keeps a key: receipts that it opens, a run that may yet leave one, or a rotation to it. */
export type Hold =
  | { readonly kind: 'receipts'; readonly count: number }
  | { readonly kind: 'run'; readonly runId: string }
  | { readonly kind: 'rotation' };

/** Null when this store can do without the key; inside a transaction. */
export function holdOn(database: Database, kid: string): Hold | null {
  const count = countUnder(database, kid);
  if (count > 0) return { kind: 'receipts', count };
  if (currentRotation(database)?.kid === kid) return { kind: 'rotation' };
  // What a run seals to was decided when it began. To refuse its receipt would lose the evidence of what it did.
  const runId = oldestUnfinished(database);
  return runId === null ? null : { kind: 'run', runId };
}

/**
 * Shuts a key out of this store for good, unless something keeps it; inside `database.write`, so that nothing comes
 * between the look and the decision.
 *
 * @returns what keeps it; null when it is shut out
 */
export function shutOut(database: Database, kid: string, now: number): Hold | null {
  const hold = holdOn(database, kid);
  if (hold === null) recordRemoved(database, kid, now);
  return hold;
}
