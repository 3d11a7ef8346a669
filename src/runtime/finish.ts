import type { Context } from '../context.ts';
import type { DependencyFinding } from '../manifest/dependencies.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import { createUlid } from '../security/ulid.ts';
import { appendAudit, auditHead } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import { listEvents } from '../store/events.ts';
import { insertReceipt } from '../store/receipts.ts';
import { finishRun, type NewRun } from '../store/runs.ts';
import type { End } from './outcome.ts';
import { type EvidenceKeys, makeReceipt } from './receipt.ts';
import type { ReceiptFacts } from './statement.ts';

export interface Ending {
  readonly row: NewRun;
  readonly end: End;
  /** When this attempt began: wall clock, milliseconds. */
  readonly startedAt: number;
  /** The run goes on with another attempt after this one. */
  readonly goesOn: boolean;
  readonly facts: Omit<
    ReceiptFacts,
    | 'receiptId'
    | 'run'
    | 'outcome'
    | 'exitCode'
    | 'error'
    | 'events'
    | 'host'
    | 'audit'
    | 'finishedAt'
    | 'startedAt'
  >;
}

/**
 * Ends an attempt, and its run unless that goes on: its receipt, its outcome and the audit record of it are committed together, so whoever sees the
 * one sees the others. When this returns, the receipt is on disk.
 *
 * @returns the receipt's id
 * @throws STORE_FULL, STORE_UNUSABLE, STORE_BUSY; the run then has no outcome yet
 */
export function finishAttempt(
  edge: { context: Context; database: Database; keys: EvidenceKeys },
  { row, end, facts, startedAt, goesOn }: Ending,
): string {
  const { context, database, keys } = edge;
  const now = context.now();
  const receiptId = createUlid(now, context.randomBytes);
  const receipt = makeReceipt(
    {
      ...facts,
      receiptId,
      run: { ...row, seq: 0, finishedAt: now },
      outcome: end.outcome,
      exitCode: end.exitCode,
      error: end.error === null ? null : { code: end.error.code, message: end.error.message },
      events: listEvents(database, row.id),
      host: context.host,
      audit: auditHead(database),
      startedAt,
      finishedAt: now,
    },
    keys,
    context.randomBytes,
  );
  database.write(() => {
    insertReceipt(database, receipt);
    if (!goesOn) finishRun(database, { id: row.id, outcome: end.outcome, exitCode: end.exitCode, at: now });
    appendAudit(database, now, {
      type: goesOn ? 'run.attempt' : 'run.finished',
      runId: row.id,
      actor: context.actor,
      data: {
        task: row.task,
        attempt: row.attempt,
        outcome: end.outcome,
        exitCode: end.exitCode,
        error: end.error?.code ?? null,
        receiptId,
      },
    });
  });
  return receiptId;
}

/** Ends a run whose last attempt has its receipt already. */
export function closeRun(
  { context, database }: { context: Context; database: Database },
  row: NewRun,
  { outcome, exitCode, error }: End,
): void {
  const now = context.now();
  database.write(() => {
    finishRun(database, { id: row.id, outcome, exitCode, at: now });
    appendAudit(database, now, {
      type: 'run.finished',
      runId: row.id,
      actor: context.actor,
      data: {
        task: row.task,
        attempt: row.attempt,
        outcome,
        exitCode,
        error: error?.code ?? null,
        receiptId: null,
      },
    });
  });
}

/** Records what a check of dependencies found; inside or outside a transaction of the caller's. */
export function dependencyRecord(
  findings: readonly DependencyFinding[],
  when: 'before start' | 'before spawn' | 'after run',
) {
  return {
    when,
    ok: findings.every((finding) => finding.problem === null),
    dependencies: findings.map(({ pinned, found, problem }) => ({
      kind: pinned.kind,
      path: pinned.path,
      signed: pinned.sha256,
      found: found?.sha256 ?? null,
      problem,
    })),
  };
}

/** What a manifest load left behind: who vouched for which version. */
export function manifestRecord(verified: VerifiedManifest) {
  return {
    ok: true,
    project: verified.manifest.project,
    version: verified.manifest.version,
    digest: verified.digest,
    keyids: [...verified.keyids],
  };
}
