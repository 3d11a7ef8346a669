import { AxError } from '../../errors.ts';
import { isTimeZone } from '../../manifest/guards/fields.ts';

/**
 * Wall clocks of time zones, from the platform's own zone data. A wall time is what a clock on the wall shows,
 * in milliseconds as if its zone were UTC, so days and minutes can be computed by plain arithmetic. It jumps
 * where summer time begins or ends: some wall times never come, others come twice.
 */

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** Shorter than any two changes of a clock are apart: the closest in the zone data are four days (Freetown, 1939). */
const PROBE_MS = 12 * HOUR_MS;
/** A search crosses one or two changes; a hundred mean that it has no end. */
const MAX_CHANGES = 100;

/** The wall time in a zone at an instant. @throws RangeError for an unknown zone or an instant out of range. */
export function wallTime(timezone: string, at: number): number {
  // The one zone that needs no zone data, and the one that quotas have unless they say another.
  if (timezone === 'UTC') return at;
  if (!isTimeZone(timezone)) throw new RangeError('unknown time zone');
  const wall = inZone(timezone, () => {
    const date = new Date(at);
    const day = [date.getFullYear(), date.getMonth(), date.getDate()] as const;
    return Date.UTC(...day, date.getHours(), date.getMinutes(), date.getSeconds(), date.getMilliseconds());
  });
  if (Number.isNaN(wall)) throw new RangeError('instant out of range');
  return wall;
}

/**
 * Calls a function while the process's own zone is another one. The same data as behind Intl.DateTimeFormat, whose
 * first use in a process takes 12 ms instead of 0.2: most of what a guard may cost.
 */
function inZone<T>(timezone: string, body: () => T): T {
  const before = process.env.TZ;
  process.env.TZ = timezone;
  try {
    return body();
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
}

/** The wall time 00:00 of the day that a wall time falls on. */
export function dayOf(wall: number): number {
  return Math.floor(wall / DAY_MS) * DAY_MS;
}

/**
 * The first instant from `after` on whose wall time is one that is sought. `next` says which are: it maps a
 * wall time to the first sought one at or after it, as if the clock were never changed. A sought time that a
 * change of the clock skips is thus found at the first minute after the change, if that is still sought.
 */
export function seekInstant(timezone: string, after: number, next: (wall: number) => number): number {
  let at = after;
  for (let changes = 0; changes < MAX_CHANGES; changes += 1) {
    const wall = wallTime(timezone, at);
    const reached = at + (next(wall) - wall);
    const change = clockChange(timezone, at, reached);
    if (change === undefined) return reached;
    at = change;
  }
  throw new AxError('INTERNAL', `time zone ${timezone}: expected to find a wall time, found none`, {
    hint: 'this is a defect in ax; please report it',
  });
}

/** The first instant from `after` on at which the wall clock shows `wall` or later. */
export function instantReaching(timezone: string, after: number, wall: number): number {
  // Clocks are less than a day off UTC, so nothing is passed over, and a far future costs no search.
  const start = Math.max(after, wall - DAY_MS);
  return seekInstant(timezone, start, (shown) => Math.max(shown, wall));
}

/** The first instant in (from, until] with another offset than `from`, to the millisecond. */
function clockChange(timezone: string, from: number, until: number): number | undefined {
  const offset = wallTime(timezone, from) - from;
  const changed = (at: number): boolean => wallTime(timezone, at) - at !== offset;
  let before = from;
  while (before < until) {
    const probe = Math.min(before + PROBE_MS, until);
    if (changed(probe)) return bisect(before, probe, changed);
    before = probe;
  }
  return undefined;
}

function bisect(from: number, until: number, changed: (at: number) => boolean): number {
  let [before, after] = [from, until];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (changed(middle)) after = middle;
    else before = middle;
  }
  return after;
}
