import { createTraceId } from './events.ts';
import type { Plan } from './plan.ts';
import { formatTraceparent, parseTraceparent, TRACEPARENT, type Traceparent } from './traceparent.ts';

/** The trace that all runs of one invocation are part of. */
export interface Trace {
  readonly traceId: string;
  /** The span of whoever started ax; null where the trace begins here. */
  readonly parentSpanId: string | null;
  readonly flags: number;
}

/** A trace that begins here is recorded: its runs are. */
const RECORDED = 1;

/**
 * The trace that ax was started in. What the environment says is a name to find things by and proof of nothing:
 * events are accepted by their MAC.
 *
 * @returns null for what is not well formed
 */
export function joinTrace(inbound: string): Trace | null {
  const parent = parseTraceparent(inbound);
  return parent === null
    ? null
    : { traceId: parent.traceId, parentSpanId: parent.spanId, flags: parent.flags };
}

/** A trace of its own. */
export function beginTrace(randomBytes: (count: number) => Uint8Array): Trace {
  return { traceId: createTraceId(randomBytes), parentSpanId: null, flags: RECORDED };
}

/** The plan with this run as the parent of what the task traces, if its `passEnv` asks to be told. */
export function tellTrace(plan: Plan, run: Traceparent): Plan {
  if (!plan.task.passEnv?.includes(TRACEPARENT)) return plan;
  const env: Record<string, string> = Object.assign(Object.create(null), plan.env);
  env[TRACEPARENT] = formatTraceparent(run);
  return { ...plan, env };
}
