import * as z from 'zod/mini';
import { parseDuration } from '../../security/duration.ts';
import { HORIZON_MS, MAX_STARTS } from '../../store/horizon.ts';
import { expect } from '../fields.ts';

/** The values that guards are made of, each with words for what was expected. */

function text(pattern: RegExp, expected: string) {
  return z.string().check(
    z.regex(pattern, `expected ${expected}`),
    expect((value) => value === value.normalize('NFC'), 'text in Unicode normal form C'),
  );
}

/** A list that has something in it, and nothing twice: a repeated entry is a slip worth hearing about. */
export function listOf<T extends z.core.SomeType>(item: T, max: number) {
  return z.array(item).check(
    z.minLength(1, 'expected at least one entry'),
    z.maxLength(max, `expected at most ${max} entries`),
    expect((all: readonly unknown[]) => new Set(all).size === all.length, 'each entry once'),
  );
}

/** Ten years: any sum of it and a time is still a time. */
const MAX_DURATION_MS = 3650 * 24 * 3_600_000;

export const duration = z.string().check(
  expect((value) => parseDuration(value) !== undefined, 'a duration such as 30s, 10m, 2h or 20d'),
  expect((value) => (parseDuration(value) ?? 0) <= MAX_DURATION_MS, 'at most 3650d'),
);

/** A stretch of time back from now, in which something is counted. */
export const window = duration.check(
  expect((value) => (parseDuration(value) ?? 0) <= HORIZON_MS, 'at most 25d, as far as the store remembers'),
);

export const count = z
  .int()
  .check(z.minimum(1, 'expected at least 1'), z.maximum(MAX_STARTS, `expected at most ${MAX_STARTS}`));
export const yes = z.literal(true, { error: 'expected true; leave the guard out to do without it' });

const TIME = '(?:[01][0-9]|2[0-3]):[0-5][0-9]';
export const timeOfDay = text(new RegExp(`^${TIME}$`), 'a time of day such as "09:00"');
/** Only an end can be 24:00; without it no window could span a whole day. */
export const endOfWindow = text(
  new RegExp(`^(?:${TIME}|24:00)$`),
  'a time of day such as "17:00", up to "24:00"',
);

/** A name, never an offset: `+01:00` has no summer time, and whoever writes it may expect one. */
export const timezone = text(
  /^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/,
  'a time zone such as Europe/Berlin',
).check(z.maxLength(64), expect(isTimeZone, 'a time zone that this machine knows, such as Europe/Berlin'));

const answered = new Map<string, boolean>();

/** Whether this machine has data on a zone of that name. */
export function isTimeZone(name: string): boolean {
  const known = answered.get(name);
  if (known !== undefined) return known;
  const answer = name === 'UTC' || isListed(name) || isAlias(name);
  answered.set(name, answer);
  return answer;
}

/** The list answers for nearly every name in a tenth of the time that a process's first formatter takes… */
function isListed(name: string): boolean {
  return Intl.supportedValuesOf('timeZone').includes(name);
}

/** …and leaves out aliases, which the formatter knows. */
function isAlias(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/**
 * Of a branch name (git-check-ref-format) with `*` and `**`. What other tools read as more than itself is
 * refused, since here it would quietly match nothing.
 */
export const branchPattern = text(
  /^(?!\/)(?!.*\/$)(?!.*\/\/)(?!!)[^\s\p{Cc}~^:?[\]{}\\]{1,256}$/u,
  'a pattern of branch names such as main or release/*',
).check(expect((value) => /^(?:[^*]|\*(?!\*)|(?<![^/])\*\*(?![^/]))*$/.test(value), '** between slashes'));

export const actorEntry = text(
  /^(?:uid:(?:0|[1-9][0-9]{0,9})|[^\s:\p{Cc}\p{Cs}]{1,128})$/u,
  'the name of an OS user, or uid:N',
);
/** Not one of ax's own: what guards see, a team's script sees too, and `AX_RECEIPT_KEY` is a key. */
export const environmentName = text(
  /^(?!AX_)[A-Za-z_][A-Za-z0-9_]{0,127}$/,
  'the name of an environment variable, none that begins with AX_',
);
export const environmentPattern = z
  .string()
  .check(z.maxLength(256, 'expected at most 256 characters'), expect(compiles, 'a regular expression'));

function compiles(pattern: string): boolean {
  try {
    new RegExp(pattern, 'v');
    return true;
  } catch {
    return false;
  }
}

export const exactValue = z.string().check(
  z.maxLength(4000, 'expected at most 4000 characters'),
  expect((value) => !value.includes('\0'), 'no NUL character'),
);
export const kid = text(/^[A-Za-z0-9_-]{43}$/, 'the id of a key (43 characters, as in: ax keys list)');
