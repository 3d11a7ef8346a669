import type { AxError } from '../errors.ts';
import type { DependencyFinding } from '../manifest/dependencies.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import { countTowardsAlert } from '../store/alerts.ts';
import { appendAudit } from '../store/audit.ts';
import { requireNotRemoved } from '../store/removed-keys.ts';
import { dependencyRecord, finishAttempt, manifestRecord } from './finish.ts';
import type { Invocation } from './invocation.ts';
import { openRun } from './new-run.ts';
import { kidsOf } from './receipt.ts';
import { NOTHING_EXECUTED } from './statement.ts';

export interface Refusal {
  readonly task: string;
  readonly error: AxError;
  readonly lockSha256: string;
  /** Null when it is the manifest itself that was refused. */
  readonly verified: VerifiedManifest | null;
  readonly findings: readonly DependencyFinding[];
}

/** What an unverified lock file says of its project is not repeated as if it were so. */
const UNVERIFIED = 'unverified';

/**
 * Records an attempt that was refused before it began: why a run did not start is evidence too.
 *
 * @returns the ids of the run and its receipt
 */
export function recordRefusal(
  edge: Omit<Invocation, 'verified' | 'report' | 'roots' | 'guarding'>,
  { task, error, lockSha256, verified, findings }: Refusal,
): { runId: string; receiptId: string } {
  const { context, database } = edge;
  const row = database.write(() => {
    requireNotRemoved(database, kidsOf(edge.keys));
    const run = openRun(edge, {
      project: verified?.manifest.project ?? UNVERIFIED,
      task,
      manifestDigest: verified?.digest ?? '',
      manifestVersion: verified?.manifest.version ?? 0,
      lockSha256,
      inputsSha256: '',
      manifest: verified?.manifest ?? null,
    });
    const record = { runId: run.id, actor: context.actor };
    const load = verified === null ? { ok: false, lockSha256, error: error.code } : manifestRecord(verified);
    appendAudit(database, run.startedAt, { type: 'manifest.load', ...record, data: load });
    if (error.code === 'SIGNATURE_INVALID' || error.code === 'SIGNATURE_UNTRUSTED') {
      countTowardsAlert(database, 'signature-failures', { now: run.startedAt, ...record });
    }
    if (findings.length > 0) {
      const data = dependencyRecord(findings, 'before start');
      appendAudit(database, run.startedAt, { type: 'dependency.validation', ...record, data });
    }
    return run;
  });
  const receiptId = finishAttempt(edge, {
    row,
    end: { outcome: 'refused', exitCode: error.exitCode, error },
    startedAt: row.startedAt,
    goesOn: false,
    facts: {
      ...NOTHING_EXECUTED,
      verified,
      plan: null,
      before: findings,
      durationMs: 0,
    },
  });
  return { runId: row.id, receiptId };
}
