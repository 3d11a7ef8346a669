import { type Actor, type Context, createContext } from '../../src/context.ts';
import { createCapture } from '../../src/runtime/capture.ts';
import { dispatch, type LiveRun } from '../../src/runtime/dispatcher.ts';
import type { EventSource } from '../../src/runtime/events.ts';
import type { MachineContext, MachineEvent } from '../../src/runtime/machine.ts';
import { openRun } from '../../src/runtime/new-run.ts';
import type { EvidenceKeys } from '../../src/runtime/receipt.ts';
import { buildStatement, IN_TOTO_PAYLOAD_TYPE, NOTHING_EXECUTED } from '../../src/runtime/statement.ts';
import { ownIdentity } from '../../src/runtime/supervisor-identity.ts';
import { canonicalJson } from '../../src/security/canonical.ts';
import { serializeEnvelope, signEnvelope } from '../../src/security/dsse-sign.ts';
import { parseReceiptKey } from '../../src/security/encryption-keys.ts';
import { seal } from '../../src/security/jwe.ts';
import { parseSigningKey } from '../../src/security/signing-keys.ts';
import { createUlid } from '../../src/security/ulid.ts';
import { appendAudit, auditHead } from '../../src/store/audit.ts';
import type { Database } from '../../src/store/database.ts';
import { listEvents } from '../../src/store/events.ts';
import { activeKey, type Keyring } from '../../src/store/keyring.ts';
import { insertReceipt } from '../../src/store/receipts.ts';
import { finishRun, type NewRun, type OutcomeName, type Supervisor } from '../../src/store/runs.ts';

/**
 * Stores of any size, with receipts as a run leaves them: runs, events, audit records and all. They are made by ax's
 * own code, but for the scrubbing, which would find nothing in them and take half of the time.
 */

export interface Many {
  readonly count: number;
  /** When the first was made; milliseconds since the epoch. */
  readonly from: number;
  /** From one to the next, in milliseconds. */
  readonly every: number;
  /** With the events of each run, which take four times as long to make as all the rest. */
  readonly events?: boolean;
  /** What is different from one to the next. */
  readonly each?: (index: number) => { task?: string; outcome?: OutcomeName; actor?: Actor };
}

const BATCH = 2000;
const READY: MachineContext = {
  dependenciesReady: true,
  guardVerdict: 'Allowed',
  telemetryPending: false,
  cancellationRequested: false,
};
/** With these a receipt is as large as that of a real task which says one line: 3.5 KB. */
const OUTPUT = { stdout: captured('compiled 14 modules\n'), stderr: captured('') };
const MATERIALS = Array.from({ length: 9 }, (_, index) => ({
  name: `src/module-${index}.ts`,
  digest: { sha256: String(index).repeat(64) },
}));

/** The keys that `ax init` has made. */
export function keysOf(keyring: Keyring): EvidenceKeys {
  const receipt = activeKey(keyring, 'receipt');
  const host = activeKey(keyring, 'host');
  if (receipt === undefined || host === undefined) throw new Error('expected a receipt and a host key');
  return {
    host: parseSigningKey(host.jwk, host.kid),
    recipients: [parseReceiptKey(receipt.jwk, receipt.kid)],
  };
}

/** @returns the ids of the receipts, oldest first */
export function addReceipts(database: Database, keys: EvidenceKeys, many: Many): string[] {
  const ids: string[] = [];
  // Each run would be some ten durable transactions; here thousands of runs are one.
  const inner: Database = { ...database, write: (body) => body(), read: (body) => body() };
  const process = createContext();
  const supervisor = ownIdentity(process);
  for (let start = 0; start < many.count; start += BATCH) {
    database.write(() => {
      for (let index = start; index < Math.min(start + BATCH, many.count); index++) {
        const now = many.from + index * many.every;
        const { task = 'build', outcome = 'completed', actor = process.actor } = many.each?.(index) ?? {};
        const context: Context = { ...process, actor, now: () => now };
        const edge = { context, database: inner, keys, supervisor };
        ids.push(addOne(edge, { task, outcome, events: many.events === true }));
      }
    });
  }
  return ids;
}

interface Edge {
  readonly context: Context;
  readonly database: Database;
  readonly keys: EvidenceKeys;
  readonly supervisor: Supervisor;
}

function addOne(
  edge: Edge,
  { task, outcome, events }: { task: string; outcome: OutcomeName; events: boolean },
) {
  const trace = { traceId: 'a'.repeat(32), parentSpanId: null, flags: 1 };
  const row = openRun(
    { ...edge, trace, channel: null },
    {
      project: 'acme/web',
      task,
      manifestDigest: 'b'.repeat(64),
      manifestVersion: 1,
      lockSha256: 'c'.repeat(64),
      inputsSha256: 'd'.repeat(64),
      manifest: null,
    },
  );
  if (events) addEvents(edge, row, outcome);
  return addReceipt(edge, row, outcome);
}

/** What `finishAttempt` and `makeReceipt` do. */
function addReceipt({ context, database, keys }: Edge, row: NewRun, outcome: OutcomeName): string {
  const now = context.now();
  const receiptId = createUlid(now, context.randomBytes);
  const exitCode = outcome === 'completed' ? 0 : 1;
  const statement = buildStatement({
    ...NOTHING_EXECUTED,
    receiptId,
    run: { ...row, seq: 0, finishedAt: now },
    verified: null,
    plan: null,
    outcome,
    exitCode,
    error: null,
    events: listEvents(database, row.id),
    materials: MATERIALS,
    exit: { kind: 'exited', code: exitCode },
    output: OUTPUT,
    host: context.host,
    startedAt: row.startedAt,
    finishedAt: now,
    durationMs: 0,
    audit: auditHead(database),
  });
  const envelope = signEnvelope(IN_TOTO_PAYLOAD_TYPE, Buffer.from(canonicalJson(statement)), [keys.host]);
  const jwe = seal(Buffer.from(serializeEnvelope(envelope)), {
    protectedHeader: { typ: 'ax-receipt+jwe', receiptId, runId: row.id, version: 1 },
    recipients: keys.recipients,
    randomBytes: context.randomBytes,
  });
  const { id: runId, attempt, project, task, actor, startedAt } = row;
  insertReceipt(database, {
    ...{ id: receiptId, runId, attempt, project, task, outcome, actor, startedAt },
    durationMs: 0,
    jwe,
  });
  finishRun(database, { id: runId, outcome, exitCode, at: now });
  const data = { task, attempt, outcome, exitCode, error: null, receiptId };
  appendAudit(database, now, { type: 'run.finished', runId, actor, data });
  return receiptId;
}

function addEvents(edge: Edge, row: NewRun, outcome: OutcomeName): void {
  const sessionKey = row.sessionKey ?? new Uint8Array();
  const run: LiveRun = { ...row, sessionKey, state: 'BOOTSTRAPPING', seq: 0 };
  const tell = (event: MachineEvent, source: EventSource) =>
    dispatch(edge, run, { event, source, context: READY });
  tell({ type: 'DependenciesReady' }, 'dispatcher');
  tell({ type: 'TaskSubmitted', taskId: row.task, manifestVersion: '1' }, 'dispatcher');
  tell({ type: 'DependenciesReady' }, 'dispatcher');
  if (outcome === 'completed') tell({ type: 'TelemetryFlushed' }, 'telemetry');
  else tell({ type: 'RuleViolation', rule: 'exit-status' }, 'executor');
}

function captured(text: string) {
  const capture = createCapture({ head: 1024, tail: 1024 });
  capture.write(Buffer.from(text));
  return capture.result();
}
