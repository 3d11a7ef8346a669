import { boundReason } from '../guards/answer.ts';
import type { Outcome } from '../guards/outcome.ts';
import { fail, type Verdict } from '../guards/verdict.ts';

/** What an evaluation came to, as the members of the answer that goes over the pipe. */
export function guardContent({ verdict, ...rest }: Outcome): object {
  return { verdict: boundVerdict(verdict), ...rest };
}

/** A verdict that fits into an answer. */
export function boundVerdict(verdict: Verdict): Verdict {
  return { ...verdict, reason: boundReason(verdict.reason) };
}

/** What a guard that threw has said. */
export function notEvaluated(error: unknown): Verdict {
  const message = error instanceof Error ? error.message : String(error);
  return boundVerdict(fail(`the guard could not be evaluated: ${message}`));
}
