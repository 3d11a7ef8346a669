import type { Context } from '../context.ts';
import { countTowardsAlert } from '../store/alerts.ts';
import { appendAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import { countUse } from '../store/limits.ts';
import type { Run } from '../store/runs.ts';
import type { CancelReply } from './cancel-protocol.ts';

/** What both sides of a cancel request do with it: count it, and put it on record. */

export interface CancelEdge {
  readonly context: Context;
  readonly database: Database;
}

/** What a request asks for, and where it came in. */
export interface CancelRequest {
  readonly run: Pick<Run, 'id' | 'task' | 'cancelPolicy'>;
  readonly via: 'ax cancel' | 'socket';
}

/**
 * Counts a request against the limit of the user that this process runs as; inside `database.write`. Too many
 * refusals count towards an alert.
 *
 * @returns null while there is room, else the refusal with the seconds to wait
 */
export function countRequest(
  { context, database }: CancelEdge,
  { run }: CancelRequest,
): Extract<CancelReply, { outcome: 'rate-limited' }> | null {
  const { actor } = context;
  const now = context.now();
  const { max, perMs: windowMs } = run.cancelPolicy;
  const verdict = countUse(database, { bucket: `cancel:uid:${actor.uid}`, max, windowMs }, now);
  if (verdict.allowed) return null;
  countTowardsAlert(database, 'cancel-limit', { now, actor, runId: run.id });
  return { outcome: 'rate-limited', retryAfterSeconds: verdict.retryAfterSeconds };
}

/** Puts on record who asked and what came of it; inside `database.write`. */
export function recordRequest(
  { context, database }: CancelEdge,
  { run, via }: CancelRequest,
  result: { readonly confirmed: boolean; readonly outcome: string },
): void {
  appendAudit(database, context.now(), {
    type: 'cancel.request',
    runId: run.id,
    actor: context.actor,
    data: { task: run.task, via, ...result },
  });
}

/**
 * Refuses a request that no supervisor of its run decides about, counted and on record like any other.
 *
 * @returns `rate-limited` in place of the refusal when it is one too many
 */
export function refuseRequest(
  edge: CancelEdge,
  request: CancelRequest,
  refusal: Extract<CancelReply, { outcome: 'not-running' | 'token-invalid' }>,
): CancelReply {
  return edge.database.write(() => {
    const reply = countRequest(edge, request) ?? refusal;
    recordRequest(edge, request, { confirmed: false, outcome: reply.outcome });
    return reply;
  });
}
