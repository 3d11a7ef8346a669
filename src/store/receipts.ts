import { AxError } from '../errors.ts';
import { encodeBase64url } from '../security/base64.ts';
import type { Jwe, JweRecipient } from '../security/jwe.ts';
import { isUlidPrefix } from '../security/ulid.ts';
import type { Database } from './database.ts';
import type { OutcomeName } from './runs.ts';

/**
 * Sealed receipts. The columns beside the ciphertext are what `receipts list` shows without a key; they are a
 * copy for convenience, and verification holds them against the signed statement inside.
 */
export interface ReceiptRow {
  readonly id: string;
  readonly runId: string;
  readonly attempt: number;
  readonly project: string;
  readonly task: string;
  readonly outcome: OutcomeName;
  readonly startedAt: number;
  readonly durationMs: number;
}

export interface StoredReceipt extends ReceiptRow {
  readonly jwe: Jwe;
}

/** Adds a receipt; inside `database.write`. An attempt has one receipt: a second is refused by the key. */
export function insertReceipt(database: Database, receipt: StoredReceipt): void {
  database
    .prepare(
      `INSERT INTO receipts (id, run_id, attempt, project, task, outcome, started_at, duration_ms,
         protected, iv, ciphertext, tag) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      receipt.id,
      receipt.runId,
      receipt.attempt,
      receipt.project,
      receipt.task,
      receipt.outcome,
      receipt.startedAt,
      receipt.durationMs,
      receipt.jwe.protected,
      receipt.jwe.iv,
      Buffer.from(receipt.jwe.ciphertext, 'base64url'),
      receipt.jwe.tag,
    );
  for (const recipient of receipt.jwe.recipients) insertRecipient(database, receipt.id, recipient);
}

function insertRecipient(database: Database, receiptId: string, recipient: JweRecipient): void {
  database
    .prepare('INSERT INTO receipt_recipients (receipt_id, kid, header, encrypted_key) VALUES (?, ?, ?, ?)')
    .run(receiptId, recipient.header.kid, JSON.stringify(recipient.header), recipient.encrypted_key);
}

/**
 * The receipt with this id or unique prefix; a run's id stands for the receipt of its last attempt.
 *
 * @throws RECEIPT_UNKNOWN, ID_AMBIGUOUS
 */
export function findReceipt(database: Database, prefix: string): StoredReceipt {
  return database.read(() => {
    const rows = isUlidPrefix(prefix)
      ? database
          .prepare(
            `SELECT * FROM receipts WHERE (id >= ?1 AND id < ?1 || '~') OR (run_id >= ?1 AND run_id < ?1 || '~')
             ORDER BY id DESC LIMIT 2`,
          )
          .all(prefix)
      : [];
    const row = rows[0];
    if (row === undefined) {
      throw new AxError('RECEIPT_UNKNOWN', `no receipt "${prefix}" in this store`, {
        hint: 'ax receipts list',
      });
    }
    const byRun = String(row.run_id).startsWith(prefix) && rows[1]?.run_id === row.run_id;
    if (rows.length > 1 && !byRun) {
      throw new AxError('ID_AMBIGUOUS', `more than one receipt begins with "${prefix}"`, {
        hint: 'give more of its characters; ax receipts list shows them',
      });
    }
    return { ...toRow(row), jwe: toJwe(database, row) };
  });
}

/** True when a receipt with exactly this id is stored. */
export function hasReceipt(database: Database, id: string): boolean {
  return database.prepare('SELECT 1 FROM receipts WHERE id = ?').get(id) !== undefined;
}

export interface ListedReceipt extends ReceiptRow {
  /** The key ids that can open it. */
  readonly recipients: readonly string[];
}

/** The newest first; `before` continues after a page's last id. */
export function listReceipts(
  database: Database,
  page: { limit: number; before?: string | undefined },
): ListedReceipt[] {
  return database.read(() =>
    database
      .prepare(
        `SELECT id, run_id, attempt, project, task, outcome, started_at, duration_ms,
           (SELECT json_group_array(kid) FROM receipt_recipients WHERE receipt_id = receipts.id) AS kids
         FROM receipts WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2`,
      )
      .all(page.before ?? null, page.limit)
      .map((row) => ({ ...toRow(row), recipients: JSON.parse(String(row.kids)) as string[] })),
  );
}

export interface WrappedKey {
  readonly receiptId: string;
  readonly recipient: JweRecipient;
}

/** Up to `limit` content keys that are wrapped under `kid`. */
export function wrappedUnder(database: Database, kid: string, limit: number): WrappedKey[] {
  return database
    .prepare('SELECT receipt_id, header, encrypted_key FROM receipt_recipients WHERE kid = ? LIMIT ?')
    .all(kid, limit)
    .map((row) => ({ receiptId: String(row.receipt_id), recipient: toRecipient(row) }));
}

/** How many receipts each key opens. */
export function countByKey(database: Database): Map<string, number> {
  const rows = database.read(() =>
    database.prepare('SELECT kid, count(*) AS n FROM receipt_recipients GROUP BY kid').all(),
  );
  return new Map(rows.map((row) => [String(row.kid), Number(row.n)]));
}

/** Replaces one recipient of a receipt by another; inside `database.write`. */
export function replaceRecipient(database: Database, wrapped: WrappedKey, replacement: JweRecipient): void {
  database
    .prepare('DELETE FROM receipt_recipients WHERE receipt_id = ? AND kid IN (?, ?)')
    .run(wrapped.receiptId, wrapped.recipient.header.kid, replacement.header.kid);
  insertRecipient(database, wrapped.receiptId, replacement);
}

function toRow(row: Record<string, unknown>): ReceiptRow {
  return {
    id: String(row.id),
    runId: String(row.run_id),
    attempt: Number(row.attempt),
    project: String(row.project),
    task: String(row.task),
    outcome: row.outcome as OutcomeName,
    startedAt: Number(row.started_at),
    durationMs: Number(row.duration_ms),
  };
}

function toJwe(database: Database, row: Record<string, unknown>): Jwe {
  return {
    protected: String(row.protected),
    iv: String(row.iv),
    ciphertext: encodeBase64url(row.ciphertext as Uint8Array),
    tag: String(row.tag),
    recipients: database
      .prepare('SELECT header, encrypted_key FROM receipt_recipients WHERE receipt_id = ? ORDER BY kid')
      .all(String(row.id))
      .map(toRecipient),
  };
}

function toRecipient(row: Record<string, unknown>): JweRecipient {
  return {
    header: JSON.parse(String(row.header)) as JweRecipient['header'],
    encrypted_key: String(row.encrypted_key),
  };
}
