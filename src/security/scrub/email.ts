/** E-mail addresses, found by their `@`. */
import { table } from './assignment.ts';
import { matcher } from './matcher.ts';
import type { Cover, Sight } from './sight.ts';

const LOCAL = table("_.!#$%&'*+=?^`{|}~-", true).fill(1, 0x80);
const WORD = table('_', true);
const IN_DOMAIN = table('', true).fill(1, 0x80);
const MAX_LOCAL = 64;
/** Of a name in DNS, and the `@`. */
const MAX_DOMAIN = 254;
/** An address begins so many bytes before its `@` at most. */
export const MAX_BEFORE_AT = MAX_LOCAL + 2;

const domain = matcher(
  () =>
    /(?:[A-Za-z0-9\x80-\xff](?:[A-Za-z0-9\x80-\xff-]{0,61}[A-Za-z0-9\x80-\xff])?\.){1,8}(?:xn--[A-Za-z0-9-]{1,59}|[A-Za-z\x80-\xff]{2,63})(?![\w@])/y,
);

/** @param at where an `@` is. */
export function findEmail(sight: Sight, at: number, cover: Cover): void {
  const { bytes } = sight;
  if (IN_DOMAIN[bytes[at + 1] ?? 0] === 0) return;
  const start = bytes[at - 1] === QUOTE ? quotedStart(bytes, at) : localStart(bytes, at);
  if (start === -1) return;
  const end = domain(sight, at + 1);
  if (end !== -1 && end - at <= MAX_DOMAIN) cover(start, end, '[email]');
}

/** Dots are between other characters. A path may have an `@` too, as in `npm/cli@11.0.dev`. */
function localStart(bytes: Uint8Array, at: number): number {
  let start = at;
  while (start > 0 && at - start <= MAX_LOCAL && LOCAL[bytes[start - 1] as number] === 1) {
    start--;
    if (bytes[start] === DOT && (start + 1 === at || bytes[start + 1] === DOT)) return -1;
  }
  if (start === at || at - start > MAX_LOCAL || bytes[start] === DOT) return -1;
  return bytes[start - 1] === SLASH || bytes[start - 1] === AT_SIGN ? -1 : start;
}

function quotedStart(bytes: Uint8Array, at: number): number {
  let start = at - 2;
  while (start >= 0 && at - start < MAX_BEFORE_AT && bytes[start] !== QUOTE) {
    if (bytes[start] === LINE_FEED) return -1;
    start--;
  }
  if (start < 0 || bytes[start] !== QUOTE || start === at - 2) return -1;
  return WORD[bytes[start - 1] ?? 0] === 1 ? -1 : start;
}

const LINE_FEED = 0x0a;
const QUOTE = 0x22;
const DOT = 0x2e;
const SLASH = 0x2f;
const AT_SIGN = 0x40;
