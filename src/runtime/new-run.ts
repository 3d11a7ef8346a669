import type { Context } from '../context.ts';
import type { Manifest } from '../manifest/schema.ts';
import { parseDuration } from '../security/duration.ts';
import { createUlid } from '../security/ulid.ts';
import type { Database } from '../store/database.ts';
import { type CancelPolicy, insertRun, type NewRun, type Supervisor } from '../store/runs.ts';
import { createSpanId } from './events.ts';
import type { Trace } from './trace.ts';

export interface RunOrigin {
  readonly context: Context;
  readonly database: Database;
  readonly trace: Trace;
  readonly supervisor: Supervisor;
  readonly channel: string | null;
}

const DEFAULT_CANCEL: CancelPolicy = { max: 10, perMs: 60_000, confirmWithinMs: 30_000 };

/** The row of a new run, in its first state; inside `database.write`. */
export function openRun(
  origin: RunOrigin,
  about: {
    project: string;
    task: string;
    manifestDigest: string;
    manifestVersion: number;
    lockSha256: string;
    inputsSha256: string;
    manifest: Manifest | null;
  },
): NewRun {
  const { context, database } = origin;
  const now = context.now();
  const run: NewRun = {
    id: createUlid(now, context.randomBytes),
    traceId: origin.trace.traceId,
    spanId: createSpanId(context.randomBytes),
    parentSpanId: origin.trace.parentSpanId,
    project: about.project,
    task: about.task,
    attempt: 1,
    manifestDigest: about.manifestDigest,
    manifestVersion: about.manifestVersion,
    lockSha256: about.lockSha256,
    inputsSha256: about.inputsSha256,
    actor: context.actor,
    state: 'BOOTSTRAPPING',
    outcome: null,
    exitCode: null,
    startedAt: now,
    supervisor: origin.supervisor,
    channel: origin.channel,
    sessionKey: Buffer.from(context.randomBytes(32)),
    cancelPolicy: cancelPolicyOf(about.manifest),
  };
  insertRun(database, run);
  return run;
}

function cancelPolicyOf(manifest: Manifest | null): CancelPolicy {
  const signed = manifest?.policy.cancel;
  return {
    max: signed?.max ?? DEFAULT_CANCEL.max,
    perMs: parseDuration(signed?.per ?? '') ?? DEFAULT_CANCEL.perMs,
    confirmWithinMs: parseDuration(signed?.confirmWithin ?? '') ?? DEFAULT_CANCEL.confirmWithinMs,
  };
}
