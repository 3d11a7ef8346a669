import { AxError } from '../../errors.ts';

/** What one guard says. The reason is one sentence for a person; it never holds a value of the environment. */
export type Verdict =
  | { readonly verdict: 'pass'; readonly reason: string }
  | { readonly verdict: 'fail'; readonly reason: string }
  | {
      readonly verdict: 'defer';
      readonly reason: string;
      /** Milliseconds, at least 1; may exceed what a timer can wait for (2^31 - 1). */
      readonly retryAfterMs: number;
    };

/** The verdict of all guards together, and every verdict that went into it, in the order given. */
export type Combined<V extends Verdict> = Verdict & { readonly all: readonly V[] };

/**
 * Fail beats Defer beats Pass. The reason joins the reasons of the guards that decided; a deferral lasts as long
 * as the longest of them. No guards at all pass.
 */
export function decide(verdicts: readonly Verdict[]): Verdict {
  // Asked the safe way round: what is neither word counts as Fail.
  const failed = verdicts.filter((each) => each.verdict !== 'pass' && each.verdict !== 'defer');
  if (failed.length > 0) return fail(reasons(failed));
  const deferred = verdicts.filter((each) => each.verdict === 'defer');
  if (deferred.length > 0) {
    return defer(reasons(deferred), Math.max(...deferred.map((each) => each.retryAfterMs)));
  }
  return pass(verdicts.length === 0 ? 'no guards' : reasons(verdicts));
}

/** As `decide`, with all verdicts kept for the record. */
export function combine<V extends Verdict>(verdicts: readonly V[]): Combined<V> {
  return { ...decide(verdicts), all: verdicts };
}

export function pass(reason: string): Verdict {
  return { verdict: 'pass', reason };
}

export function fail(reason: string): Verdict {
  return { verdict: 'fail', reason };
}

/** @throws INTERNAL unless the wait is a whole number of milliseconds, at least 1: 0 would be a busy loop. */
export function defer(reason: string, retryAfterMs: number): Verdict {
  if (!Number.isSafeInteger(retryAfterMs) || retryAfterMs < 1) {
    throw new AxError('INTERNAL', `deferral: expected at least 1 whole millisecond, found ${retryAfterMs}`, {
      hint: 'this is a defect in ax; please report it',
    });
  }
  return { verdict: 'defer', reason, retryAfterMs };
}

function reasons(verdicts: readonly Verdict[]): string {
  return verdicts.map((each) => each.reason).join('; ');
}
