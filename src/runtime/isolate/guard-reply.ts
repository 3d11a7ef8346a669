import { boundReason } from '../guards/answer.ts';
import type { Outcome } from '../guards/outcome.ts';

/** What an evaluation came to, as the members of the answer that goes over the pipe. */
export function guardContent({ verdict, ...rest }: Outcome): object {
  return { verdict: { ...verdict, reason: boundReason(verdict.reason) }, ...rest };
}
