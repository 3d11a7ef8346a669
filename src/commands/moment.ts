import { AxError } from '../errors.ts';
import { parseDuration } from '../security/duration.ts';

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/;

/**
 * A moment as an option gives it, in milliseconds since the epoch: a duration before now (`7d`), a day in UTC, or a
 * date and time with its zone. A time without a zone is refused: it would be another one on another machine.
 *
 * @throws USAGE
 */
export function parseMoment(text: string | undefined, option: string, now: number): number | undefined {
  if (text === undefined) return undefined;
  const ago = parseDuration(text);
  const moment = ago === undefined ? parseDate(text) : now - ago;
  // The range that an id can hold.
  if (moment !== undefined && moment >= 0 && moment < 2 ** 48) return moment;
  throw new AxError(
    'USAGE',
    `${option}: expected a duration, a date or a time, found "${text.slice(0, 80)}"`,
    { hint: `${option} 7d, ${option} 2026-01-31 or ${option} 2026-01-31T12:00:00Z` },
  );
}

/** Undefined too for a day that its month does not have, which `Date` would move into the next one. */
function parseDate(text: string): number | undefined {
  if (!DATE.test(text) && !DATE_TIME.test(text)) return undefined;
  const day = text.slice(0, 10);
  const midnight = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return undefined;
  const moment = Date.parse(text);
  return Number.isNaN(moment) ? undefined : moment;
}
