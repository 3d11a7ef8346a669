import { AxError } from '../../errors.ts';
import { parseDuration } from '../../security/duration.ts';

/** Longer names are cut: a reason is one line in a log. */
const MAX_CHARACTERS = 80;
const MAX_LISTED = 5;

/** Text from outside, in quotes and bounded. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text);
}

/** `a, b, c, d, e and 4 more` */
export function listed(items: readonly string[]): string {
  const rest = items.length - MAX_LISTED;
  return items.slice(0, MAX_LISTED).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** `1 start`, `2 starts` */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** An instant in UTC, without milliseconds where there are none: `2026-11-23T08:00:00Z`. */
export function instant(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z');
}

/** Milliseconds of a duration that the schema has let through. @throws INTERNAL for any other text. */
export function durationMs(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new AxError('INTERNAL', `guard: expected a duration, found ${quoted(text)}`, {
    hint: 'this is a defect in ax; please report it',
  });
}
