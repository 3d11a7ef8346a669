import type { Actor } from '../context.ts';
import { AxError } from '../errors.ts';
import { canonicalJson } from '../security/canonical.ts';
import { sha256Hex } from '../security/digest.ts';
import type { JsonValue } from '../security/json.ts';
import type { Database } from './database.ts';

/**
 * The append-only log: each record carries the hash of the one before it, so a record cannot be changed,
 * moved, inserted or removed from the middle without every later hash being wrong. A chain alone does not
 * show a tail that was cut off, nor a whole chain written anew by someone who can write the store.
 */

export type AuditType =
  | 'manifest.sign'
  | 'manifest.load'
  | 'approval.sign'
  | 'dependency.validation'
  | 'guard.evaluation'
  | 'run.transition'
  | 'run.attempt'
  | 'run.finished'
  | 'event.rejected'
  | 'cancel.request'
  | 'key.change'
  | 'key.rotation'
  | 'trust.change'
  | 'receipt.read'
  | 'receipt.import'
  | 'receipt.prune'
  | 'alert';

export interface AuditEntry {
  readonly type: AuditType;
  readonly runId: string | null;
  readonly actor: Actor;
  readonly data: { readonly [name: string]: JsonValue };
}

export interface AuditRecord {
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly type: string;
  readonly runId: string | null;
  readonly actor: JsonValue;
  readonly data: JsonValue;
  /** Hash of the record before; 64 zeros for the first. */
  readonly prev: string;
  /** SHA-256, hex, over the RFC 8785 form of all the members above. */
  readonly hash: string;
}

const GENESIS = '0'.repeat(64);

/**
 * Appends one record. Call it inside `database.write`, in the transaction that makes the change it records:
 * then there is never the one without the other.
 */
export function appendAudit(database: Database, at: number, entry: AuditEntry): void {
  const last = auditHead(database);
  const record = {
    seq: last.seq + 1,
    at,
    type: entry.type,
    runId: entry.runId,
    actor: { uid: entry.actor.uid, name: entry.actor.name },
    data: entry.data,
    prev: last.hash,
  };
  database
    .prepare(
      'INSERT INTO audit (seq, at, type, run_id, actor, data, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    )
    .run(
      record.seq,
      at,
      record.type,
      record.runId,
      canonicalJson(record.actor),
      canonicalJson(record.data),
      record.prev,
      sha256Hex(canonicalJson(record)),
    );
}

/** Where the chain ends at this moment; seq 0 for an empty log. */
export function auditHead(database: Database): { seq: number; hash: string } {
  const last = database.prepare('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1').get();
  return last === undefined ? { seq: 0, hash: GENESIS } : { seq: Number(last.seq), hash: String(last.hash) };
}

/** The records in order, oldest first; `limit` takes the newest that many. */
export function listAudit(
  database: Database,
  filter: { type?: string; runId?: string; limit?: number } = {},
): AuditRecord[] {
  return database.read(() =>
    database
      .prepare(
        `SELECT * FROM audit WHERE (?1 IS NULL OR type = ?1) AND (?2 IS NULL OR run_id = ?2)
         ORDER BY seq DESC LIMIT ?3`,
      )
      .all(filter.type ?? null, filter.runId ?? null, filter.limit ?? -1)
      .map(toRecord)
      .reverse(),
  );
}

export interface AuditVerdict {
  readonly records: number;
  /** The hash of the last record: what to write down elsewhere to notice a cut tail. */
  readonly head: string;
}

/**
 * Recomputes the whole chain.
 *
 * @throws AUDIT_TAMPERED naming the first record that does not follow from the one before it
 */
export function verifyAudit(database: Database): AuditVerdict {
  const stored = database.prepare('SELECT * FROM audit ORDER BY seq');
  // Else a number beyond what JavaScript counts to would be an error of another kind.
  stored.setReadBigInts(true);
  return database.read(() => {
    let prev = GENESIS;
    let seq = 0;
    for (const row of stored.iterate()) {
      const { hash, ...content } = toRecord(row);
      if (content.seq !== seq + 1) throw broken(seq + 1, `expected record ${seq + 1}, found ${content.seq}`);
      if (content.prev !== prev)
        throw broken(content.seq, 'it does not name the hash of the record before it');
      if (!isAsWritten(row.actor, content.actor) || !isAsWritten(row.data, content.data))
        throw broken(content.seq, 'its JSON is not in the form that it was written in');
      const expected = sha256Hex(canonicalJson(content));
      if (expected !== hash) throw broken(content.seq, `its hash should be ${expected}, found ${hash}`);
      prev = hash;
      seq = content.seq;
    }
    return { records: seq, head: prev };
  });
}

/** Whether there is a record with this number and hash, and its content is what the hash is of. */
export function isRecordWhole(database: Database, seq: number, hash: string): boolean {
  return wholeRecord(database, seq)?.hash === hash;
}

/** The record with this number, if its content is what its hash is of; null when it is not, or there is none. */
export function wholeRecord(database: Database, seq: number): AuditRecord | null {
  const statement = database.prepare('SELECT * FROM audit WHERE seq = ?');
  // Else a number beyond what JavaScript counts to would be an error of another kind.
  statement.setReadBigInts(true);
  const row = statement.get(seq);
  if (row === undefined) return null;
  try {
    const record = toRecord(row);
    const { hash, ...content } = record;
    return sha256Hex(canonicalJson(content)) === hash ? record : null;
  } catch {
    return null;
  }
}

/** With other white space, order or repeated names, other text would read as the same record. */
function isAsWritten(text: unknown, value: JsonValue): boolean {
  try {
    return canonicalJson(value) === text;
  } catch {
    return false;
  }
}

function broken(seq: number, detail: string): AxError {
  return new AxError('AUDIT_TAMPERED', `the audit log is broken at record ${seq}: ${detail}`, {
    hint: 'keep a copy of the store as evidence; records before this one still hold',
  });
}

function toRecord(row: Record<string, unknown>): AuditRecord {
  return {
    seq: Number(row.seq),
    at: Number(row.at),
    type: String(row.type),
    runId: row.run_id === null ? null : String(row.run_id),
    actor: parseStored(row.seq, row.actor),
    data: parseStored(row.seq, row.data),
    prev: String(row.prev),
    hash: String(row.hash),
  };
}

function parseStored(seq: unknown, text: unknown): JsonValue {
  try {
    return JSON.parse(String(text)) as JsonValue;
  } catch {
    throw broken(Number(seq), 'it is not JSON any more');
  }
}
