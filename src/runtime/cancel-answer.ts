import { issueToken, redeemToken } from '../store/cancel-tokens.ts';
import { loadRun } from '../store/runs.ts';
import { type CancelMessage, type CancelReply, isAuthentic, parseCancel } from './cancel-protocol.ts';
import {
  type CancelEdge,
  type CancelRequest,
  countRequest,
  recordRequest,
  refuseRequest,
} from './cancel-request.ts';
import type { Attempt } from './invocation.ts';

/**
 * The answering side, in the process that supervises the run. Only this process's own user can enter the folder
 * of the socket, so whoever asks is that user: it is who is counted, whom a token is bound to, and who is on
 * record. While EXECUTING a first request is answered with a token, and only one that brings it back in time
 * cancels. What the run is doing is looked at anew each time.
 *
 * A request is one record, and at most three transactions; a refusal is one. What is not a request, or of no run
 * of this store, costs the store nothing but a look.
 *
 * @returns the line to send back; an empty one for what is not authentic
 * @throws STORE_FULL, STORE_UNUSABLE, STORE_BUSY
 */
export function answerCancel(edge: CancelEdge, line: string, attempts: ReadonlyMap<string, Attempt>): string {
  const message = parseCancel(line);
  if (message === null) return '';
  const attempt = attempts.get(message.runId);
  const reply = attempt === undefined ? answerForOther(edge, message) : answerFor(edge, message, attempt);
  return reply === null ? '' : JSON.stringify(reply);
}

/** Most likely it has just ended; its key is erased then, and nobody can cancel it any more. */
function answerForOther(edge: CancelEdge, { runId }: CancelMessage): CancelReply {
  const run = loadRun(edge.database, runId);
  const refusal = { outcome: 'not-running' } as const;
  return run === null ? refusal : refuseRequest(edge, { run, via: 'socket' }, refusal);
}

function answerFor(edge: CancelEdge, message: CancelMessage, attempt: Attempt): CancelReply | null {
  const { context, database } = edge;
  const { id, task } = attempt.run;
  const request: CancelRequest = { run: { id, task, cancelPolicy: attempt.cancelPolicy }, via: 'socket' };
  const decision = database.write(() => decide(edge, request, { message, attempt }));
  if (decision === 'not-authentic') return null;
  if (typeof decision === 'object') return decision;
  const requestedBy = `${context.actor.name} (uid ${context.actor.uid})`;
  const taken = attempt.cancel({ requestedBy, source: 'cancel-channel', exitCode: 130 });
  const outcome = taken ? 'canceled' : 'not-running';
  database.write(() => recordRequest(edge, request, { confirmed: decision === 'confirmed', outcome }));
  return { outcome };
}

/** Counts the request and, unless it is let through to the run, records it; inside `database.write`. */
function decide(
  edge: CancelEdge,
  request: CancelRequest,
  { message, attempt }: { message: CancelMessage; attempt: Attempt },
): CancelReply | 'not-authentic' | 'confirmed' | 'unconfirmed' {
  const { context, database } = edge;
  const now = context.now();
  if (!isAuthentic(message, attempt.run.sessionKey, now)) {
    countRequest(edge, request);
    recordRequest(edge, request, { confirmed: false, outcome: 'not-authentic' });
    return 'not-authentic';
  }
  const binding = { runId: attempt.run.id, requester: context.actor.uid, now };
  // It was counted when it asked for the token.
  if (message.token !== null && redeemToken(database, message.token, binding)) return 'confirmed';
  const limited = countRequest(edge, request);
  if (limited === null && message.token === null && attempt.run.state !== 'EXECUTING') return 'unconfirmed';
  const reply =
    limited ?? (message.token === null ? confirmation() : ({ outcome: 'token-invalid' } as const));
  recordRequest(edge, request, { confirmed: false, outcome: reply.outcome });
  return reply;

  function confirmation(): CancelReply {
    const expiresAt = now + attempt.cancelPolicy.confirmWithinMs;
    const token = issueToken(database, { ...binding, expiresAt, randomBytes: context.randomBytes });
    return { outcome: 'confirmation-required', token, expiresAt };
  }
}
