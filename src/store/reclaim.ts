import type { Database } from './database.ts';

/** Pages of 4 KiB that are given back in one transaction: a run that wants to write waits some tens of milliseconds. */
const STEP_PAGES = 1000;

/**
 * Gives the space of what was deleted back to the file system, and empties the journal: what was deleted is then in no
 * file of the store. A store that was made without auto-vacuum keeps its size and uses the space again.
 *
 * Each step is a transaction of its own; killed between two, the rest is done by calling this again.
 *
 * @throws STORE_BUSY when another process reads for so long that the journal cannot be emptied
 */
export function reclaimSpace(database: Database): void {
  while (database.write(() => returnPages(database)) > 0);
  database.emptyJournal();
}

function returnPages(database: Database): number {
  const before = freePages(database);
  // One page a row: all of them have to be asked for.
  database.prepare(`PRAGMA incremental_vacuum(${STEP_PAGES})`).all();
  return before - freePages(database);
}

function freePages(database: Database): number {
  return Number(database.prepare('PRAGMA freelist_count').get()?.freelist_count);
}
