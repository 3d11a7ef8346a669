import type { Quota } from '../../manifest/guards/schema.ts';
import type { GuardSnapshot } from './snapshot.ts';
import { decide, defer, pass, type Verdict } from './verdict.ts';
import { DAY_MS, dayOf, instantReaching, wallTime } from './wall-clock.ts';
import { counted, instant } from './wording.ts';

/** When another attempt ends cannot be known, so one looks again. */
const CONCURRENT_RETRY_MS = 5000;
/** No day of any wall clock lasts longer; only starts this recent can be today's. */
const LONGEST_DAY_MS = 2 * DAY_MS + DAY_MS / 12;

/**
 * At most `concurrent` attempts of this task at once, and at most `perDay` starts in a calendar day of the zone
 * (UTC unless said). Defers: by 5 s while too many run, to the start of the next day when the day is used up.
 *
 * A start on a later day than today (the clock was set back) counts until its own day is over.
 */
export function evaluateQuota(config: Quota, snapshot: GuardSnapshot): Verdict {
  const { concurrent, perDay, timezone = 'UTC' } = config;
  return decide([
    ...(concurrent === undefined ? [] : [atOnce(concurrent, snapshot)]),
    ...(perDay === undefined ? [] : [today({ perDay, timezone }, snapshot)]),
  ]);
}

function atOnce(max: number, { usage }: GuardSnapshot): Verdict {
  const used = `${usage.running} running, at most ${max} at once`;
  return usage.running < max ? pass(used) : defer(used, CONCURRENT_RETRY_MS);
}

function today(config: { perDay: number; timezone: string }, { now, usage }: GuardSnapshot): Verdict {
  const { perDay, timezone } = config;
  const localDay = (at: number): number => dayOf(wallTime(timezone, at));
  const isLongAgo = (start: number): boolean => start <= now - LONGEST_DAY_MS;
  const recent = usage.starts.filter((start) => !isLongAgo(start));
  // Asked only where it matters: the first look at a zone costs more than all other guards together.
  const current = recent.length === 0 ? 0 : localDay(now);
  const days = recent
    .map(localDay)
    .filter((day) => !(day < current))
    .sort((a, b) => a - b);
  const used = `${counted(days.length, 'start')} today (${timezone}), at most ${perDay}`;
  // All but perDay - 1 have to be over; they are over in order.
  const blocking = days[days.length - perDay];
  if (blocking === undefined) return pass(used);
  const opens = instantReaching(timezone, now, blocking + DAY_MS);
  return defer(`${used}; the next day starts at ${instant(opens)}`, opens - now);
}
