import type { Actor, Context } from '../context.ts';
import type { JsonValue } from '../security/json.ts';
import { appendAudit, auditHead } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import { isPruned } from '../store/pruned-receipts.ts';
import { hasReceipt, insertReceipt, type ReceiptRow } from '../store/receipts.ts';
import { insertRun } from '../store/runs.ts';
import { createSpanId, createTraceId } from './events.ts';
import { type LegacyReceipt, legacyId } from './legacy-receipt.ts';
import { type EvidenceKeys, sealStatement } from './receipt.ts';
import { LEGACY_PREDICATE_TYPE, STATEMENT_TYPE } from './statement.ts';

/** No project can have this name: a colon is not of the grammar. */
const LEGACY_PROJECT = 'legacy:import';

export interface ImportedReceipt {
  readonly id: string;
  /** False for one that was here already, or was and has been pruned since. */
  readonly added: boolean;
}

/**
 * Takes over receipts of an older store, all of them or none: each scrubbed, signed by this host as something that it
 * has imported, and sealed. One that is here already is left as it is, and one
 * that was pruned is not brought back.
 *
 * @throws STORE_FULL, STORE_UNUSABLE, STORE_BUSY; nothing of these receipts is then stored
 */
export function importLegacy(
  { context, database, keys }: { context: Context; database: Database; keys: EvidenceKeys },
  receipts: readonly LegacyReceipt[],
): ImportedReceipt[] {
  return database.write(() =>
    receipts.map((receipt) => {
      const row = rowOf(receipt, context.actor);
      if (hasReceipt(database, row.id) || isPruned(database, row.id)) return { id: row.id, added: false };
      const now = context.now();
      const statement = statementOf(receipt, row, { context, audit: auditHead(database) });
      const sealed = sealStatement(
        { row, statement, secrets: [], addresses: false },
        keys,
        context.randomBytes,
      );
      insertRun(database, runOf(row, context));
      insertReceipt(database, sealed);
      appendAudit(database, now, {
        type: 'receipt.import',
        runId: row.runId,
        actor: context.actor,
        data: { receiptId: row.id, sealed: receipt.sealed },
      });
      return { id: row.id, added: true };
    }),
  );
}

function rowOf(receipt: LegacyReceipt, actor: Actor): ReceiptRow {
  return {
    id: legacyId(receipt, 'receipt'),
    runId: legacyId(receipt, 'run'),
    attempt: 1,
    project: LEGACY_PROJECT,
    // In clear in the store, so nothing but a word.
    task: /^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(receipt.kind) ? receipt.kind : 'unknown',
    outcome: 'imported',
    startedAt: receipt.createdAt,
    durationMs: 0,
    actor: { uid: actor.uid, name: actor.name },
  };
}

/** A statement of a type of its own: that this host has imported a file, never that anything was run. */
function statementOf(
  { file, sha256, sealed, content }: LegacyReceipt,
  row: ReceiptRow,
  { context, audit }: { context: Context; audit: { seq: number; hash: string } },
): { [name: string]: JsonValue } {
  return {
    _type: STATEMENT_TYPE,
    subject: [{ name: visibleControls(file) as string, digest: { sha256 } }],
    predicateType: LEGACY_PREDICATE_TYPE,
    predicate: {
      receiptId: row.id,
      runId: row.runId,
      attempt: row.attempt,
      project: row.project,
      task: row.task,
      outcome: row.outcome,
      startedAt: new Date(row.startedAt).toISOString(),
      durationMs: row.durationMs,
      original: visibleControls(content),
      sealed,
      importedAt: new Date(context.now()).toISOString(),
      actor: { uid: context.actor.uid, name: context.actor.name },
      host: context.host,
      audit,
    },
  };
}

/** Control characters of what others wrote, as escapes: in keys and values, at any depth. */
function visibleControls(value: JsonValue): JsonValue {
  if (typeof value === 'string') return escapeControls(value);
  if (Array.isArray(value)) return value.map(visibleControls);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [escapeControls(name), visibleControls(item)]),
  );
}

function escapeControls(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Receipts belong to runs. This one was none of ax, and is in no list of them. */
function runOf(row: ReceiptRow, context: Context): Parameters<typeof insertRun>[1] {
  return {
    id: row.runId,
    traceId: createTraceId(context.randomBytes),
    spanId: createSpanId(context.randomBytes),
    parentSpanId: null,
    project: row.project,
    task: row.task,
    attempt: row.attempt,
    manifestDigest: '',
    manifestVersion: 0,
    lockSha256: '',
    inputsSha256: '',
    actor: context.actor,
    state: 'BOOTSTRAPPING',
    outcome: row.outcome,
    exitCode: 0,
    startedAt: row.startedAt,
    supervisor: { host: context.host, pid: context.pid, start: '' },
    channel: null,
    sessionKey: null,
    cancelPolicy: { max: 1, perMs: 1, confirmWithinMs: 1 },
  };
}
