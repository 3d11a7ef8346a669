import { AxError } from '../errors.ts';
import { sha256Canonical } from '../security/canonical.ts';
import type { JsonValue } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import { type AuditRecord, wholeRecord } from './audit.ts';
import type { Database } from './database.ts';

/** What is left of a receipt that was pruned. */
export interface Tombstone {
  readonly id: string;
  readonly runId: string;
  readonly attempt: number;
  /** SHA-256, hex, over the RFC 8785 form of `{ciphertext, iv, protected, tag}` as it was sealed: see `sealDigest`. */
  readonly sha256: string;
}

/**
 * The digest of a sealed receipt that needs no key, and does not change with the keys that it is wrapped under: by it
 * a copy that was exported earlier is known again.
 */
export function sealDigest(seal: { protected: string; iv: string; ciphertext: string; tag: string }): string {
  const { ciphertext, iv, tag } = seal;
  return sha256Canonical({ ciphertext, iv, protected: seal.protected, tag });
}

/** The digest of what one record removes: over the RFC 8785 form of the list of its tombstones, by id. */
export function tombstonesDigest(tombstones: readonly Tombstone[]): string {
  return sha256Canonical(
    tombstones.map(({ id, runId, attempt, sha256 }) => ({ id, runId, attempt, sha256 })),
  );
}

/** Adds tombstones; inside `database.write`, with the audit record of that number and the deletion. */
export function insertTombstones(
  database: Database,
  auditSeq: number,
  tombstones: readonly Tombstone[],
): void {
  const insert = database.prepare(
    'INSERT INTO pruned_receipts (audit_seq, id, run_id, attempt, sha256) VALUES (?, ?, ?, ?, ?)',
  );
  for (const { id, runId, attempt, sha256 } of tombstones) insert.run(auditSeq, id, runId, attempt, sha256);
}

/** True when a receipt with exactly this id was pruned. */
export function isPruned(database: Database, id: string): boolean {
  return database.prepare('SELECT 1 FROM pruned_receipts WHERE id = ?').get(id) !== undefined;
}

/** The record of a prune with this number; null when it is not there, is none, or is not as it was written. */
export function pruneRecord(database: Database, seq: number): AuditRecord | null {
  const record = wholeRecord(database, seq);
  return record?.type === 'receipt.prune' ? record : null;
}

/** A receipt that is not there any more, with what is known of it for `--json`. */
export class ReceiptPruned extends AxError {
  readonly pruned: { readonly [name: string]: JsonValue };

  constructor({ id, runId, attempt, sha256 }: Tombstone, { seq, at, actor }: AuditRecord) {
    const time = new Date(at).toISOString();
    const by = isObject(actor) ? `${String(actor.name)} (uid ${String(actor.uid)})` : 'someone';
    super(
      'RECEIPT_PRUNED',
      `receipt ${id} was pruned at ${time} by ${by}; what was sealed had SHA-256 ${sha256}`,
      { hint: 'what the audit log says of it: ax audit list --type receipt.prune' },
    );
    this.pruned = { id, runId, attempt, sha256, at: time, actor, auditSeq: seq };
  }
}

const TOMBSTONES = 'SELECT audit_seq, id, run_id, attempt, sha256 FROM pruned_receipts';

/**
 * Refuses an id that nothing stored has when one that was pruned has it; a run's id stands for its last receipt.
 *
 * @throws RECEIPT_PRUNED, ID_AMBIGUOUS
 * @throws RECEIPT_TAMPERED when the audit log does not have the record that the tombstone names
 */
export function refusePruned(database: Database, prefix: string): void {
  const [last, other] = database
    .prepare(
      `${TOMBSTONES} WHERE (id >= ?1 AND id < ?1 || '~') OR (run_id >= ?1 AND run_id < ?1 || '~')
       ORDER BY id DESC LIMIT 2`,
    )
    .all(prefix);
  if (last === undefined) return;
  const byRun = String(last.run_id).startsWith(prefix) && other?.run_id === last.run_id;
  if (other !== undefined && !byRun) {
    throw new AxError('ID_AMBIGUOUS', `more than one receipt that was pruned begins with "${prefix}"`, {
      hint: 'give more of its characters',
    });
  }
  throw prunedError(database, last);
}

function prunedError(database: Database, row: Record<string, unknown>): AxError {
  const record = pruneRecord(database, Number(row.audit_seq));
  const tombstone = {
    id: String(row.id),
    runId: String(row.run_id),
    attempt: Number(row.attempt),
    sha256: String(row.sha256),
  };
  if (record !== null) return new ReceiptPruned(tombstone, record);
  return new AxError(
    'RECEIPT_TAMPERED',
    `receipt ${tombstone.id}: expected record ${String(row.audit_seq)} of the audit log to say that it was pruned, found none that does`,
    { hint: 'ax receipts verify --all' },
  );
}
