import type { RateLimit } from '../../manifest/guards/schema.ts';
import type { GuardSnapshot } from './snapshot.ts';
import { defer, pass, type Verdict } from './verdict.ts';
import { counted, durationMs, instant } from './wording.ts';

/**
 * At most `max` starts of this task in any stretch of time as long as `per`: a sliding window, so there is no
 * boundary around which twice as many fit. A start counts until exactly `per` after it.
 *
 * Defers to the moment at which there is room again. A start in the future (the clock was set back) counts
 * until `per` after its own time, so turning the clock never makes room.
 */
export function evaluateRateLimit(config: RateLimit, { now, usage }: GuardSnapshot): Verdict {
  const per = durationMs(config.per);
  // Asked this way round, a start that is no number is not over; the deferral then throws.
  const over = (start: number): boolean => start + per <= now;
  const counting = usage.starts.filter((start) => !over(start)).sort((a, b) => a - b);
  const used = `${counted(counting.length, 'start')} in ${config.per}, at most ${config.max}`;
  // Room for this one means that all but max - 1 are gone; they go in order.
  const blocking = counting[counting.length - config.max];
  if (blocking === undefined) return pass(used);
  return defer(`${used}; room at ${instant(blocking + per)}`, blocking + per - now);
}
