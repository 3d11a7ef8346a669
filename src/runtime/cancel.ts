import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { countTowardsAlert } from '../store/alerts.ts';
import { appendAudit } from '../store/audit.ts';
import { issueToken, redeemToken } from '../store/cancel-tokens.ts';
import type { Database } from '../store/database.ts';
import { countUse } from '../store/limits.ts';
import { findRun, type Run } from '../store/runs.ts';
import {
  type CancelReply,
  encodeCancel,
  isAuthentic,
  isTokenShaped,
  parseCancel,
  parseReply,
} from './cancel-protocol.ts';
import { askChannel } from './channel.ts';
import type { Attempt } from './invocation.ts';

export interface CancelEdge {
  readonly context: Context;
  readonly database: Database;
}

/**
 * The asking side: counts the request against the user's limit, then asks the run's supervisor. Every request
 * is in the audit log, refused ones too.
 *
 * @param confirm asked when the run is EXECUTING and no token was given; true sends the confirmation at once
 * @throws RUN_UNKNOWN, ID_AMBIGUOUS, RATE_LIMITED, RUN_NOT_RUNNING, CANCEL_TOKEN_INVALID
 * @throws CANCEL_CONFIRMATION_REQUIRED with the command that confirms
 */
export async function requestCancel(
  edge: CancelEdge,
  request: { run: string; token: string | null; confirm: ((run: Run) => Promise<boolean>) | null },
): Promise<{ runId: string }> {
  const run = findRun(edge.database, request.run);
  countRequest(edge, run);
  let reply = await ask(edge, run, request.token);
  let confirmed = request.token !== null;
  if (reply.outcome === 'confirmation-required' && request.confirm !== null) {
    confirmed = await request.confirm(run);
    if (confirmed) reply = await ask(edge, run, reply.token);
  }
  record(edge, run, { confirmed, outcome: reply.outcome });
  switch (reply.outcome) {
    case 'canceled':
      return { runId: run.id };
    case 'not-running':
      throw new AxError('RUN_NOT_RUNNING', `run ${run.id} of ${run.task} is not running`, {
        hint: `ax status ${run.id}`,
      });
    case 'token-invalid':
      throw new AxError(
        'CANCEL_TOKEN_INVALID',
        `run ${run.id}: the confirmation token does not hold (any more)`,
        {
          hint: `ask for a new one: ax cancel ${run.id}`,
        },
      );
    case 'confirmation-required': {
      const seconds = Math.round(run.cancelPolicy.confirmWithinMs / 1000);
      throw new CancelConfirmation(run, reply.token, seconds);
    }
  }
}

/** The refusal of a first request while EXECUTING; it carries the token that confirms the second. */
export class CancelConfirmation extends AxError {
  readonly token: string;

  constructor(run: Run, token: string, seconds: number) {
    super(
      'CANCEL_CONFIRMATION_REQUIRED',
      `run ${run.id} of ${run.task} is executing; confirm within ${seconds} s`,
      {
        hint: `ax cancel ${run.id} --confirm ${token}`,
      },
    );
    this.token = token;
  }
}

function countRequest({ context, database }: CancelEdge, run: Run): void {
  const now = context.now();
  const { max, perMs } = run.cancelPolicy;
  const { actor } = context;
  const verdict = database.write(() => {
    const counted = countUse(database, { bucket: `cancel:uid:${actor.uid}`, max, windowMs: perMs }, now);
    if (!counted.allowed) countTowardsAlert(database, 'cancel-limit', { now, actor, runId: run.id });
    return counted;
  });
  if (verdict.allowed) return;
  record({ context, database }, run, { confirmed: false, outcome: 'rate-limited' });
  const { retryAfterSeconds } = verdict;
  throw new AxError('RATE_LIMITED', `more than ${max} cancel requests in ${Math.round(perMs / 1000)} s`, {
    hint: `try again in ${retryAfterSeconds} s`,
    retryAfterSeconds,
  });
}

function record(
  { context, database }: CancelEdge,
  run: Run,
  data: { confirmed: boolean; outcome: string },
): void {
  database.write(() =>
    appendAudit(database, context.now(), {
      type: 'cancel.request',
      runId: run.id,
      actor: context.actor,
      data: { task: run.task, via: 'ax cancel', ...data },
    }),
  );
}

async function ask({ context }: CancelEdge, run: Run, token: string | null): Promise<CancelReply> {
  if (run.outcome !== null || run.channel === null || run.sessionKey === null)
    return { outcome: 'not-running' };
  if (token !== null && !isTokenShaped(token)) return { outcome: 'token-invalid' };
  const request = { runId: run.id, requester: context.actor, token, at: context.now() };
  const line = await askChannel(run.channel, encodeCancel(request, run.sessionKey));
  const reply = line === null ? { outcome: 'not-running' as const } : parseReply(line);
  if (reply !== null) return reply;
  throw new AxError('SUPERVISOR_UNREACHABLE', `run ${run.id}: its supervisor refused the request`, {
    hint: `see ax status ${run.id}`,
  });
}

/**
 * The answering side, in the process that supervises the run. While EXECUTING a first request is answered with
 * a token, and only a request that brings it back in time, from the same user, cancels.
 *
 * @returns the line to send back; an empty one for what is not authentic
 */
export function answerCancel(
  { context, database }: CancelEdge,
  line: string,
  attempts: ReadonlyMap<string, Attempt>,
): string {
  const message = parseCancel(line);
  const attempt = message === null ? undefined : attempts.get(message.runId);
  const now = context.now();
  if (message === null || attempt === undefined) return reply({ outcome: 'not-running' });
  if (!isAuthentic(message, attempt.run.sessionKey, now)) {
    recordForged({ context, database }, attempt);
    return '';
  }
  const binding = { runId: message.runId, requester: message.requester.uid, now };
  if (message.token !== null && !redeemToken(database, message.token, binding)) {
    return reply({ outcome: 'token-invalid' });
  }
  if (attempt.run.state === 'EXECUTING' && message.token === null) {
    const expiresAt = now + attempt.confirmWithinMs;
    const token = issueToken(database, { ...binding, expiresAt, randomBytes: context.randomBytes });
    return reply({ outcome: 'confirmation-required', token, expiresAt });
  }
  const requestedBy = `${message.requester.name} (uid ${message.requester.uid})`;
  const taken = attempt.cancel({ requestedBy, source: 'cancel-channel', exitCode: 130 });
  return reply({ outcome: taken ? 'canceled' : 'not-running' });
}

/** What is said on the socket without the run's key is nobody's request, and is on record all the same. */
function recordForged({ context, database }: CancelEdge, { run }: Attempt): void {
  database.write(() =>
    appendAudit(database, context.now(), {
      type: 'cancel.request',
      runId: run.id,
      actor: context.actor,
      data: { task: run.task, via: 'socket', confirmed: false, outcome: 'not-authentic' },
    }),
  );
}

function reply(answer: CancelReply): string {
  return JSON.stringify(answer);
}
