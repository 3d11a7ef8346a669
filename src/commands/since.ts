import { AxError } from '../errors.ts';
import { parseDuration } from '../security/duration.ts';

/** A day, or a time with its zone: what `Date.parse` takes beside it reads differently from place to place. */
const INSTANT =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,3})?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))?$/;

/**
 * The time, in milliseconds since the epoch, that `--since` names: a time, a day (from 00:00 UTC), or a duration that
 * reaches back from `now`.
 *
 * @throws USAGE
 */
export function parseSince(text: string, now: number): number {
  const back = parseDuration(text);
  const at = back === undefined ? (INSTANT.test(text) ? Date.parse(text) : Number.NaN) : now - back;
  if (Number.isFinite(at)) return at;
  throw new AxError('USAGE', `--since: expected a time, a day or a duration, found "${text.slice(0, 80)}"`, {
    hint: '--since 7d, --since 2026-01-31 or --since 2026-01-31T12:00:00Z',
  });
}
