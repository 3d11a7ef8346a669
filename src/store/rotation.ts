import type { Database } from './database.ts';

/**
 * The rotation that a store is in the middle of: one row, written before the first receipt moves and gone with the
 * last. Whoever rotates works on what it says, so a rotation that was cut short is known for one, and several
 * processes at once do the same work.
 */
export interface Rotation {
  /** rewrap: content keys go under the new key. reencrypt: they are replaced, and the ciphertexts with them. */
  readonly kind: 'rewrap' | 'reencrypt';
  /** The key that receipts move to. */
  readonly kid: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** How many receipts there were to move when it began, and how many have; more may have come meanwhile. */
  readonly total: number;
  readonly done: number;
  /** Keys whose owners are to be able to read no more; of a re-encryption. */
  readonly leftOut: readonly string[];
}

/** Null when none is under way. */
export function currentRotation(database: Database): Rotation | null {
  const row = database.prepare('SELECT * FROM rotation').get();
  if (row === undefined) return null;
  return {
    kind: row.kind as Rotation['kind'],
    kid: String(row.kid),
    startedAt: Number(row.started_at),
    total: Number(row.total),
    done: Number(row.done),
    leftOut: JSON.parse(String(row.left_out)) as string[],
  };
}

/** Begins a rotation, in the place of one that is under way; inside `database.write`. */
export function startRotation(database: Database, rotation: Omit<Rotation, 'done'>): void {
  const { kind, kid, startedAt, total, leftOut } = rotation;
  database
    .prepare(
      `INSERT OR REPLACE INTO rotation (one, kind, kid, started_at, total, done, left_out)
       VALUES (1, ?, ?, ?, ?, 0, ?)`,
    )
    .run(kind, kid, startedAt, total, JSON.stringify(leftOut));
}

/** Counts receipts that have moved; inside the transaction that moves them. */
export function advanceRotation(database: Database, moved: number): void {
  database.prepare('UPDATE rotation SET done = done + ?').run(moved);
}

/** Inside `database.write`. */
export function endRotation(database: Database): void {
  database.prepare('DELETE FROM rotation').run();
}
