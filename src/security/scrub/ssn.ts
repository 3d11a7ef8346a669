/** Numbers of social security in the United States. */
import { digitsEnd, endsNumber } from './numbers.ts';

/** Numbers of advertisements and of documentation, which were never anybody's or no longer are. */
const PUBLISHED = new Set(['078051120', '219099999', '123456789']);
/** Area, group and serial that were never given out. */
const NEVER_GIVEN = /^(?:000|666|9)|^...00|0000$/;

/**
 * Nine digits as three, two and four with the same sign between them, or in one piece.
 *
 * @param start where its digits begin, and where the first of them end.
 * @returns where it ends, or 0.
 */
export function ssnEnd(bytes: Uint8Array, text: string, start: number, firstEnd: number): number {
  const whole = firstEnd - start === 9;
  const end = whole ? firstEnd : groupsEnd(bytes, start, firstEnd);
  if (end === 0 || !endsNumber(bytes, end)) return 0;
  const digits = whole
    ? text.slice(start, end)
    : text.slice(start, start + 3) + text.slice(start + 4, start + 6) + text.slice(start + 7, end);
  return NEVER_GIVEN.test(digits) || PUBLISHED.has(digits) ? 0 : end;
}

function groupsEnd(bytes: Uint8Array, start: number, firstEnd: number): number {
  const sign = bytes[firstEnd];
  if (firstEnd - start !== 3 || (sign !== SPACE && sign !== DASH && sign !== DOT)) return 0;
  const second = digitsEnd(bytes, firstEnd + 1);
  if (second - firstEnd !== 3 || bytes[second] !== sign) return 0;
  const end = digitsEnd(bytes, second + 1);
  return end - second === 5 ? end : 0;
}

const SPACE = 0x20;
const DASH = 0x2d;
const DOT = 0x2e;
