import { AxError } from '../errors.ts';
import type { DependencyFinding } from '../manifest/dependencies.ts';
import { appendAudit } from '../store/audit.ts';
import { dropTokens } from '../store/cancel-tokens.ts';
import { requireNotRemoved } from '../store/removed-keys.ts';
import { loadRun, type Run, reopenRun } from '../store/runs.ts';
import type { LiveRun } from './dispatcher.ts';
import { createSpanId } from './events.ts';
import { dependencyRecord, manifestRecord } from './finish.ts';
import type { Invocation } from './invocation.ts';
import type { State } from './machine.ts';
import { openRun } from './new-run.ts';
import type { Plan } from './plan.ts';
import { kidsOf } from './receipt.ts';

export interface OpenedRun {
  readonly row: Run;
  readonly live: LiveRun;
}

/**
 * Opens the run of an attempt, and records what its start is based on, in one commit: a new run, or with
 * `retryOf` the next attempt of one that has ended.
 *
 * @throws EVENT_REJECTED when another process has retried that run meanwhile
 * @throws KEY_UNKNOWN when a key that its receipt would be sealed to was removed meanwhile; nothing is then opened
 */
export function openLiveRun(
  invocation: Invocation,
  { plan, checked, retryOf }: { plan: Plan; checked: readonly DependencyFinding[]; retryOf: Run | null },
): OpenedRun {
  const { context, database, verified } = invocation;
  const id = database.write(() => {
    requireNotRemoved(database, kidsOf(invocation.keys));
    const opened = retryOf === null ? openNew(invocation, plan) : reopen(invocation, retryOf);
    const now = context.now();
    const record = { runId: opened, actor: context.actor };
    appendAudit(database, now, { type: 'manifest.load', ...record, data: manifestRecord(verified) });
    if (checked.length > 0) {
      const data = dependencyRecord(checked, 'before start');
      appendAudit(database, now, { type: 'dependency.validation', ...record, data });
    }
    return opened;
  });
  const row = loadRun(database, id);
  if (row?.sessionKey == null) throw new AxError('INTERNAL', `run ${id} was opened and is not there`);
  const { traceId, spanId, task, sessionKey, state, seq } = row;
  return { row, live: { id, traceId, spanId, task, sessionKey, state: state as State, seq } };
}

function openNew(invocation: Invocation, plan: Plan): string {
  const { verified } = invocation;
  const { id } = openRun(invocation, {
    project: verified.manifest.project,
    task: plan.taskId,
    manifestDigest: verified.digest,
    manifestVersion: verified.manifest.version,
    lockSha256: verified.lockSha256,
    inputsSha256: plan.inputsSha256,
    manifest: verified.manifest,
  });
  return id;
}

function reopen({ context, database, supervisor, channel, trace }: Invocation, run: Run): string {
  const sessionKey = Buffer.from(context.randomBytes(32));
  const { traceId, parentSpanId } = trace;
  // It goes on in the trace it began in, unless this retry was started in one.
  const joined =
    parentSpanId === null ? run : { traceId, parentSpanId, spanId: createSpanId(context.randomBytes) };
  if (reopenRun(database, run, { supervisor, channel, sessionKey, trace: joined })) {
    // Who confirmed the end of the attempt before has not been asked about this one.
    dropTokens(database, run.id);
    return run.id;
  }
  throw new AxError('EVENT_REJECTED', `run ${run.id}: another retry came first`, {
    hint: `ax status ${run.id}`,
  });
}
