import { AxError } from '../errors.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', SECOND],
  ['m', MINUTE],
  ['h', HOUR],
  ['d', DAY],
]);

/**
 * Milliseconds of a duration such as `250ms`, `10s`, `10m`, `1h` or `90d`: one positive whole number and one
 * unit, so that each duration in a signed manifest reads one way only. A day is 24 hours.
 *
 * The result may exceed what a Node timer can wait for (2^31 - 1 ms, above which it fires at once).
 *
 * @returns undefined for zero, a sign, a fraction, a leading zero, a space, several units, no unit, or a result
 * above 2^53 - 1 ms.
 */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit] = /^([1-9][0-9]*)(ms|[smhd])$/.exec(text) ?? [];
  const factor = unit === undefined ? undefined : UNITS.get(unit);
  if (digits === undefined || factor === undefined) return undefined;
  // Digits that do not fit a double round to something at or above 2^53, which is not safe either.
  const ms = Number(digits) * factor;
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/**
 * A duration for people, in at most two units: `850ms`, `1.2s`, `3m 04s`, `2h 05m`, `1d 06h`. What is smaller
 * than the last digit is cut off, not rounded: `59.99s` is never shown as a minute. For display only; it does
 * not parse back.
 *
 * @throws INTERNAL for NaN and infinities.
 */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) {
    throw new AxError('INTERNAL', `duration: expected a finite number of milliseconds, found ${ms}`, {
      hint: 'this is a defect in ax; please report it',
    });
  }
  // Differences of wall-clock times go below zero when the clock is set back; showing that is honest.
  if (ms <= -1) return `-${formatDuration(-ms)}`;
  if (ms < SECOND) return `${Math.max(0, Math.floor(ms))}ms`;
  if (ms < MINUTE) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`;
  if (ms < HOUR) return inTwo(ms, [MINUTE, 'm'], [SECOND, 's']);
  if (ms < DAY) return inTwo(ms, [HOUR, 'h'], [MINUTE, 'm']);
  return inTwo(ms, [DAY, 'd'], [HOUR, 'h']);
}

/** The second number keeps two digits, so that a running clock does not change its width. */
function inTwo(
  ms: number,
  [large, largeName]: [number, string],
  [small, smallName]: [number, string],
): string {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)}${largeName} ${String(rest).padStart(2, '0')}${smallName}`;
}
