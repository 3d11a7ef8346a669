import type { Actor } from '../context.ts';
import { AxError } from '../errors.ts';
import { encodeBase64url } from '../security/base64.ts';
import type { Jwe, JweRecipient } from '../security/jwe.ts';
import { isUlidPrefix } from '../security/ulid.ts';
import type { Database } from './database.ts';
import { refusePruned } from './pruned-receipts.ts';
import { type Conditions, conditionsOf, type ReceiptFilter } from './receipt-filter.ts';
import { requireNotRemoved } from './removed-keys.ts';
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
  readonly actor: Actor;
  readonly startedAt: number;
  readonly durationMs: number;
}

export interface StoredReceipt extends ReceiptRow {
  readonly jwe: Jwe;
}

/**
 * Adds a receipt; inside `database.write`. An attempt has one receipt: a second is refused by the key.
 *
 * @throws KEY_UNKNOWN when it is sealed to a key that was removed
 */
export function insertReceipt(database: Database, receipt: StoredReceipt): void {
  database
    .prepare(
      `INSERT INTO receipts (id, run_id, attempt, project, task, outcome, actor_uid, actor_name, started_at,
         duration_ms, protected, iv, ciphertext, tag) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      receipt.id,
      receipt.runId,
      receipt.attempt,
      receipt.project,
      receipt.task,
      receipt.outcome,
      receipt.actor.uid,
      receipt.actor.name,
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
  requireNotRemoved(database, [recipient.header.kid]);
  database
    .prepare('INSERT INTO receipt_recipients (receipt_id, kid, header, encrypted_key) VALUES (?, ?, ?, ?)')
    .run(receiptId, recipient.header.kid, JSON.stringify(recipient.header), recipient.encrypted_key);
}

/**
 * The receipt with this id or unique prefix; a run's id stands for the receipt of its last attempt.
 *
 * @throws RECEIPT_UNKNOWN, ID_AMBIGUOUS
 * @throws RECEIPT_PRUNED for one that was there
 * @throws RECEIPT_TAMPERED as `loadReceipt`
 */
export function findReceipt(database: Database, prefix: string): StoredReceipt {
  return database.read(() => {
    const rows = isUlidPrefix(prefix)
      ? database
          .prepare(
            `SELECT id, run_id FROM receipts WHERE (id >= ?1 AND id < ?1 || '~') OR (run_id >= ?1 AND run_id < ?1 || '~')
             ORDER BY id DESC LIMIT 2`,
          )
          .all(prefix)
      : [];
    const row = rows[0];
    if (row === undefined) {
      if (isUlidPrefix(prefix)) refusePruned(database, prefix);
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
    return readReceipt(database, String(row.id)) as StoredReceipt;
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

export interface ReceiptPage extends ReceiptFilter {
  /** -1 for all there are. */
  readonly limit: number;
  /** Continues after a page's last id. */
  readonly before?: string | undefined;
}

/** The newest first. What a page costs does not grow with the store, whatever single thing it is filtered by. */
export function listReceipts(database: Database, page: ReceiptPage): ListedReceipt[] {
  const { sql, values } = listQuery(page);
  return database.read(() =>
    database
      .prepare(sql)
      .all(...values)
      .map((row) => ({ ...toRow(row), recipients: JSON.parse(String(row.kids)) as string[] })),
  );
}

/** The query of a page, apart from running it: what it costs is in its plan. */
export function listQuery({ limit, before, ...filter }: ReceiptPage): Conditions {
  const { sql, values } = conditionsOf(filter, before);
  return {
    sql: `SELECT id, run_id, attempt, project, task, outcome, actor_uid, actor_name, started_at, duration_ms,
        (SELECT json_group_array(kid) FROM receipt_recipients WHERE receipt_id = receipts.id) AS kids
      FROM receipts WHERE ${sql} ORDER BY id DESC LIMIT ?`,
    values: [...values, limit],
  };
}

export interface WrappedKey {
  readonly receiptId: string;
  readonly recipient: JweRecipient;
}

/** Up to `limit` content keys that are wrapped under `kid`. */
export function wrappedUnder(database: Database, kid: string, limit: number): WrappedKey[] {
  return database
    .prepare('SELECT receipt_id, kid, header, encrypted_key FROM receipt_recipients WHERE kid = ? LIMIT ?')
    .all(kid, limit)
    .map((row) => ({ receiptId: String(row.receipt_id), recipient: toRecipient(row) }));
}

/** A receipt as it lies in the store. */
export interface ReceiptRecord {
  readonly id: string;
  readonly runId: string;
  /** @throws RECEIPT_TAMPERED when its row holds what no receipt was ever written with */
  read(): StoredReceipt;
}

/** Up to `limit` receipts after an id, the oldest first, in two queries; inside `database.read`. */
export function receiptsAfter(
  database: Database,
  { after, limit, ...filter }: ReceiptFilter & { after: string; limit: number },
): ReceiptRecord[] {
  const { sql, values } = conditionsOf(filter);
  return readRecords(database, {
    sql: `id > ? AND ${sql} ORDER BY id LIMIT ?`,
    values: [after, ...values, limit],
  });
}

/**
 * The receipt with exactly this id; null when there is none, or not any more.
 *
 * @throws RECEIPT_TAMPERED when its row holds what no receipt was ever written with
 */
export function loadReceipt(database: Database, id: string): StoredReceipt | null {
  return database.read(() => readReceipt(database, id));
}

/** The same inside a transaction. */
export function readReceipt(database: Database, id: string): StoredReceipt | null {
  const [record] = readRecords(database, { sql: 'id = ?', values: [id] });
  return record === undefined ? null : record.read();
}

function readRecords(database: Database, { sql, values }: Conditions): ReceiptRecord[] {
  const statement = database.prepare(`SELECT * FROM receipts WHERE ${sql}`);
  // Else one number beyond what JavaScript counts to would be an error of all the rows.
  statement.setReadBigInts(true);
  const rows = statement.all(...values);
  const recipients = Map.groupBy(
    database
      .prepare(
        `SELECT receipt_id, kid, header, encrypted_key FROM receipt_recipients
         WHERE receipt_id IN (SELECT value FROM json_each(?)) ORDER BY receipt_id, kid`,
      )
      .all(JSON.stringify(rows.map((row) => String(row.id)))),
    (recipient) => String(recipient.receipt_id),
  );
  return rows.map((row) => {
    const id = String(row.id);
    return {
      id,
      runId: String(row.run_id),
      read: () => ({ ...toRow(row), jwe: toJwe(row, recipients.get(id) ?? []) }),
    };
  });
}

/** How many receipts each key opens. */
export function countByKey(database: Database): Map<string, number> {
  const rows = database.read(() =>
    database.prepare('SELECT kid, count(*) AS n FROM receipt_recipients GROUP BY kid').all(),
  );
  return new Map(rows.map((row) => [String(row.kid), Number(row.n)]));
}

/** How many receipts this key opens; inside a transaction. */
export function countUnder(database: Database, kid: string): number {
  return Number(database.prepare('SELECT count(*) AS n FROM receipt_recipients WHERE kid = ?').get(kid)?.n);
}

/**
 * Puts another recipient in the place of one, and of any that the receipt has under the new key already; inside
 * `database.write`.
 */
export function replaceRecipient(database: Database, wrapped: WrappedKey, replacement: JweRecipient): void {
  database
    .prepare(
      `UPDATE OR REPLACE receipt_recipients SET kid = ?, header = ?, encrypted_key = ?
       WHERE receipt_id = ? AND kid = ?`,
    )
    .run(
      replacement.header.kid,
      JSON.stringify(replacement.header),
      replacement.encrypted_key,
      wrapped.receiptId,
      wrapped.recipient.header.kid,
    );
}

/** Puts another seal around the same receipt, with recipients of its own; inside `database.write`. */
export function replaceSeal(database: Database, { id, jwe }: Pick<StoredReceipt, 'id' | 'jwe'>): void {
  database
    .prepare('UPDATE receipts SET protected = ?, iv = ?, ciphertext = ?, tag = ? WHERE id = ?')
    .run(jwe.protected, jwe.iv, Buffer.from(jwe.ciphertext, 'base64url'), jwe.tag, id);
  database.prepare('DELETE FROM receipt_recipients WHERE receipt_id = ?').run(id);
  for (const recipient of jwe.recipients) insertRecipient(database, id, recipient);
}

/** The keys, other than these, that receipts which one of these opens are sealed to. */
export function kidsBeside(database: Database, kids: readonly string[]): string[] {
  return database
    .prepare(
      `SELECT DISTINCT kid FROM receipt_recipients WHERE receipt_id IN
         (SELECT receipt_id FROM receipt_recipients WHERE kid IN (SELECT value FROM json_each(?1)))
       AND kid NOT IN (SELECT value FROM json_each(?1))`,
    )
    .all(JSON.stringify(kids))
    .map(({ kid }) => String(kid));
}

function toRow(row: Record<string, unknown>): ReceiptRow {
  return {
    id: String(row.id),
    runId: String(row.run_id),
    attempt: integerOf(row, 'attempt'),
    project: String(row.project),
    task: String(row.task),
    outcome: row.outcome as OutcomeName,
    actor: { uid: integerOf(row, 'actor_uid'), name: String(row.actor_name) },
    startedAt: timeOf(row),
    durationMs: integerOf(row, 'duration_ms'),
  };
}

/**
 * An integer of a row that has its `id` too, read with `setReadBigInts`: no number was written that JavaScript does not
 * count to.
 *
 * @throws RECEIPT_TAMPERED
 */
export function integerOf(row: Record<string, unknown>, column: string): number {
  const value = Number(row[column]);
  if (Number.isSafeInteger(value)) return value;
  throw malformed(row.id, new RangeError(column));
}

/** The most and least that a Date can hold; ECMA-262 section 21.4.1.1. */
const MAX_TIME_MS = 8_640_000_000_000_000;

function timeOf(row: Record<string, unknown>): number {
  const startedAt = Number(row.started_at);
  if (Math.abs(startedAt) <= MAX_TIME_MS) return startedAt;
  throw malformed(row.id, new RangeError('started_at'));
}

/** What was written by ax reads back; a text that does not is someone else's. */
function wellFormed<T>(id: unknown, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed(id, error);
    throw error;
  }
}

function malformed(id: unknown, cause: unknown): AxError {
  return new AxError('RECEIPT_TAMPERED', `receipt ${String(id)}: its row cannot be read as it was written`, {
    hint: 'see what else has changed with: ax audit verify',
    cause,
  });
}

function toJwe(row: Record<string, unknown>, recipients: readonly Record<string, unknown>[]): Jwe {
  return {
    protected: String(row.protected),
    iv: String(row.iv),
    ciphertext: encodeBase64url(row.ciphertext as Uint8Array),
    tag: String(row.tag),
    recipients: recipients.map(toRecipient),
  };
}

/** The kid that a recipient is looked for by is a copy of the one in its header, and the header has one spelling. */
function toRecipient(row: Record<string, unknown>): JweRecipient {
  const text = String(row.header);
  const header = wellFormed(row.receipt_id, () => JSON.parse(text) as JweRecipient['header'] | null);
  if (header?.kid !== row.kid || JSON.stringify(header) !== text) {
    throw malformed(row.receipt_id, new Error('header'));
  }
  return { header: header as JweRecipient['header'], encrypted_key: String(row.encrypted_key) };
}
