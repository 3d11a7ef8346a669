import type { Database } from './database.ts';

/** Which receipts of a store are meant, oldest first. Milliseconds since the epoch. */
export interface ReceiptSelection {
  /** Of attempts that began then or later. */
  readonly since?: number;
}

/** How many receipts a selection has. */
export function countReceipts(database: Database, { since }: ReceiptSelection): number {
  const row = database.read(() =>
    database
      .prepare('SELECT count(*) AS n FROM receipts WHERE ?1 IS NULL OR started_at >= ?1')
      .get(since ?? null),
  );
  return Number(row?.n);
}

/** The next ids of a selection, at most `limit`, after the last one that was given; none are left when it is empty. */
export function receiptIdsAfter(
  database: Database,
  { since }: ReceiptSelection,
  { after, limit }: { after: string; limit: number },
): string[] {
  return database.read(() =>
    database
      .prepare(
        `SELECT id FROM receipts WHERE id > ?1 AND (?2 IS NULL OR started_at >= ?2) ORDER BY id LIMIT ?3`,
      )
      .all(after, since ?? null, limit)
      .map((row) => String(row.id)),
  );
}
