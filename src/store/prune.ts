import type { Actor } from '../context.ts';
import { encodeBase64url } from '../security/base64.ts';
import { firstUlid } from '../security/ulid.ts';
import { appendAudit, auditHead } from './audit.ts';
import type { Database } from './database.ts';
import { insertTombstones, sealDigest, type Tombstone, tombstonesDigest } from './pruned-receipts.ts';
import { integerOf } from './receipts.ts';

/** Small enough that a run which wants to write in between waits some tens of milliseconds, not seconds. */
const BATCH = 1000;
/** Of ciphertexts, which may have a quarter of a megabyte each. */
const BATCH_BYTES = 16 * 1024 * 1024;

/** A run that goes on, or is yet to be settled, keeps the receipts of its attempts; there are never many of these. */
const PRUNABLE = `id < ? AND id NOT IN
  (SELECT receipts.id FROM runs CROSS JOIN receipts ON receipts.run_id = runs.id WHERE runs.outcome IS NULL)`;

export interface Span {
  readonly count: number;
  /** Ids; null where there is none. */
  readonly first: string | null;
  readonly last: string | null;
}

/** What a prune of what was made before `before` would remove now: milliseconds since the epoch, as in ids. */
export function prunable(database: Database, before: number): Span {
  const row = database.read(() =>
    database
      .prepare(`SELECT count(*) AS n, min(id) AS first, max(id) AS last FROM receipts WHERE ${PRUNABLE}`)
      .get(firstUlid(before)),
  );
  const textOf = (value: unknown) => (typeof value === 'string' ? value : null);
  return { count: Number(row?.n), first: textOf(row?.first), last: textOf(row?.last) };
}

export interface Pruning {
  /** Receipts made before this moment go: milliseconds since the epoch, as in their ids. */
  readonly before: number;
  readonly actor: Actor;
  readonly now: () => number;
  readonly onProgress?: (done: number) => void;
}

export interface Pruned extends Span {
  /** The numbers of the audit records that say what was removed. */
  readonly records: readonly number[];
}

/**
 * Removes sealed receipts, the oldest first, and leaves evidence of each: a tombstone with the digest of what was
 * sealed, and an audit record with the digest of the tombstones. It needs no key, and looks into no receipt.
 *
 * Each batch is one transaction: killed at any moment, a receipt is either there or has its evidence, and calling this
 * again does the rest. Until `reclaimSpace`, the journal may still have what was deleted.
 *
 * @throws RECEIPT_TAMPERED when a row holds what no receipt was ever written with; its batch stays
 */
export function pruneReceipts(database: Database, pruning: Pruning): Pruned {
  const records: number[] = [];
  let [count, first, last]: [number, string | null, string | null] = [0, null, null];
  for (;;) {
    const batch = database.write(() => pruneBatch(database, pruning));
    if (batch === null) return { count, first, last, records };
    records.push(batch.auditSeq);
    count += batch.count;
    first ??= batch.first;
    last = batch.last;
    pruning.onProgress?.(count);
  }
}

function pruneBatch(database: Database, { before, actor, now }: Pruning) {
  const tombstones = nextTombstones(database, before);
  const [first, last, count] = [tombstones[0], tombstones.at(-1), tombstones.length];
  if (first === undefined || last === undefined) return null;
  appendAudit(database, now(), {
    type: 'receipt.prune',
    runId: null,
    actor,
    data: {
      count,
      first: first.id,
      last: last.id,
      sha256: tombstonesDigest(tombstones),
      before: new Date(before).toISOString(),
    },
  });
  const auditSeq = auditHead(database).seq;
  insertTombstones(database, auditSeq, tombstones);
  // SQLite overwrites what it deletes, but not what it leaves in a page when it moves rows to another: so the zeros
  // come first, and it is them that are moved.
  const blank = database.prepare(
    'UPDATE receipts SET ciphertext = zeroblob(length(ciphertext)) WHERE id = ?',
  );
  for (const { id } of tombstones) blank.run(id);
  const remove = database.prepare('DELETE FROM receipts WHERE id = ?');
  for (const { id } of tombstones) remove.run(id);
  return { auditSeq, count, first: first.id, last: last.id };
}

function nextTombstones(database: Database, before: number): Tombstone[] {
  const rows = database
    .prepare(`SELECT id FROM receipts WHERE ${PRUNABLE} ORDER BY id LIMIT ?`)
    .all(firstUlid(before), BATCH);
  const tombstones: Tombstone[] = [];
  let bytes = 0;
  for (const { id } of rows) {
    if (bytes >= BATCH_BYTES) break;
    const { tombstone, size } = tombstoneOf(database, String(id));
    tombstones.push(tombstone);
    bytes += size;
  }
  return tombstones;
}

function tombstoneOf(database: Database, id: string): { tombstone: Tombstone; size: number } {
  const statement = database.prepare(
    'SELECT id, run_id, attempt, protected, iv, ciphertext, tag FROM receipts WHERE id = ?',
  );
  statement.setReadBigInts(true);
  const row = statement.get(id) ?? {};
  const ciphertext = row.ciphertext as Uint8Array;
  const sha256 = sealDigest({
    protected: String(row.protected),
    iv: String(row.iv),
    ciphertext: encodeBase64url(ciphertext),
    tag: String(row.tag),
  });
  return {
    tombstone: { id, runId: String(row.run_id), attempt: integerOf(row, 'attempt'), sha256 },
    size: ciphertext.length,
  };
}
