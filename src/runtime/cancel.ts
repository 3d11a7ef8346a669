import { AxError } from '../errors.ts';
import { findRun, type Run } from '../store/runs.ts';
import { type CancelReply, encodeCancel, isTokenShaped, parseReply } from './cancel-protocol.ts';
import { type CancelEdge, recordRequest, refuseRequest } from './cancel-request.ts';
import { askChannel } from './channel.ts';

/**
 * The asking side: has the run's supervisor decide, which counts the request and records it. Where there is no
 * supervisor to ask, both are done here.
 *
 * @param confirm asked when the run is EXECUTING and no token was given; true sends the confirmation at once
 * @throws RUN_UNKNOWN, ID_AMBIGUOUS, RATE_LIMITED, RUN_NOT_RUNNING, CANCEL_TOKEN_INVALID, SUPERVISOR_UNREACHABLE
 * @throws CANCEL_CONFIRMATION_REQUIRED with the command that confirms
 */
export async function requestCancel(
  edge: CancelEdge,
  request: { run: string; token: string | null; confirm: ((run: Run) => Promise<boolean>) | null },
): Promise<{ runId: string }> {
  const run = findRun(edge.database, request.run);
  let reply = await ask(edge, run, request.token);
  if (reply.outcome === 'confirmation-required' && (await request.confirm?.(run)) === true) {
    reply = await ask(edge, run, reply.token);
  }
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
    case 'rate-limited':
      throw rateLimited(run, reply.retryAfterSeconds);
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

function rateLimited({ cancelPolicy: { max, perMs } }: Run, retryAfterSeconds: number): AxError {
  return new AxError('RATE_LIMITED', `more than ${max} cancel requests in ${Math.round(perMs / 1000)} s`, {
    hint: `try again in ${retryAfterSeconds} s`,
    retryAfterSeconds,
  });
}

async function ask(edge: CancelEdge, run: Run, token: string | null): Promise<CancelReply> {
  const request = { run, via: 'ax cancel' } as const;
  const gone = { outcome: 'not-running' } as const;
  if (run.outcome !== null || run.channel === null || run.sessionKey === null) {
    return refuseRequest(edge, request, gone);
  }
  // No supervisor gives such a token, so none has to be asked.
  if (token !== null && !isTokenShaped(token))
    return refuseRequest(edge, request, { outcome: 'token-invalid' });
  const message = encodeCancel({ runId: run.id, token, at: edge.context.now() }, run.sessionKey);
  const line = await askChannel(run.channel, message).catch((error: unknown) => {
    edge.database.write(() => recordRequest(edge, request, { confirmed: false, outcome: 'unanswered' }));
    throw error;
  });
  if (line === null) return refuseRequest(edge, request, gone);
  const reply = parseReply(line);
  if (reply !== null) return reply;
  throw new AxError('SUPERVISOR_UNREACHABLE', `run ${run.id}: its supervisor refused the request`, {
    hint: `see ax status ${run.id}`,
  });
}
