import type { ModerationFinding } from './moderation.ts';
import type { Verdict } from './verdict.ts';

/** What an evaluation came to, in the isolate. */
export interface Outcome {
  readonly verdict: Verdict;
  /** Evidence, of moderation alone. */
  readonly finding?: ModerationFinding;
  /** The evaluation met a limit or broke something: the process in which it ran is not used again. */
  readonly spent: boolean;
}

/** Loads what a guard runs in, and gives what evaluates it. Either may throw: that is a Fail. */
export type OpenGuard<J> = (job: J) => Promise<() => Outcome>;
