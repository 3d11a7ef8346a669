import { AxError } from '../../errors.ts';
import type { ChangeWindow } from '../../manifest/guards/schema.ts';
import type { GuardSnapshot } from './snapshot.ts';
import { defer, pass, type Verdict } from './verdict.ts';
import { DAY_MS, dayOf, seekInstant } from './wall-clock.ts';
import { instant } from './wording.ts';

type Day = ChangeWindow['days'][number];

/** In the order of a week as it is written, not as JavaScript counts it. */
const WEEK: readonly Day[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const BY_NUMBER: readonly Day[] = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/**
 * Open while a wall clock in the zone shows a time from `from` (included) to `to` (excluded) of a listed day;
 * a window over midnight belongs to the day it starts on. Times that summer time skips are not shown and open
 * nothing, though what follows them may; times that come twice count twice.
 *
 * Outside it defers to the very millisecond of the next opening.
 */
export function evaluateChangeWindow(config: ChangeWindow, { now }: Pick<GuardSnapshot, 'now'>): Verdict {
  const opens = seekInstant(config.timezone, now, (wall) => nextOpen(config, wall));
  const { days, from, to, timezone } = config;
  const window = `${describeDays(days)} ${from}–${to} ${timezone}`;
  if (opens === now) return pass(`inside ${window}`);
  return defer(`outside ${window}; opens at ${instant(opens)}`, opens - now);
}

/** The first wall time at or after `wall` that is in a window. */
function nextOpen({ days, from, to }: ChangeWindow, wall: number): number {
  const start = timeOfDay(from);
  const length = (timeOfDay(to) - start + DAY_MS) % DAY_MS || DAY_MS;
  const today = dayOf(wall);
  // From yesterday, whose window may reach into today, to the same day next week.
  for (let day = today - DAY_MS; day <= today + 7 * DAY_MS; day += DAY_MS) {
    const opens = day + start;
    const isListed = days.some((listed) => listed === BY_NUMBER[new Date(day).getUTCDay()]);
    if (isListed && wall < opens + length) return Math.max(wall, opens);
  }
  throw new AxError('INTERNAL', 'changeWindow: expected a day of the week, found none', {
    hint: 'this is a defect in ax; please report it',
  });
}

/** Milliseconds since midnight of `HH:MM`. */
function timeOfDay(text: string): number {
  return (Number(text.slice(0, 2)) * 60 + Number(text.slice(3))) * 60_000;
}

/** `Mon–Thu`, `Mon, Wed`, `Mon, Fri–Sun`, `Sat, Sun`. */
function describeDays(days: readonly Day[]): string {
  const spans: Day[][] = [];
  for (const [index, day] of WEEK.entries()) {
    if (!days.includes(day)) continue;
    const last = spans.at(-1);
    if (last !== undefined && last.at(-1) === WEEK[index - 1]) last.push(day);
    else spans.push([day]);
  }
  return spans
    .flatMap((span) => (span.length > 2 ? [`${title(span[0])}–${title(span.at(-1))}`] : span.map(title)))
    .join(', ');
}

function title(day: Day | undefined): string {
  return day === undefined ? '' : day.charAt(0).toUpperCase() + day.slice(1);
}
