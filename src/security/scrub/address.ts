/** IP addresses: four numbers, and the forms of RFC 4291 and RFC 4007, with the length of a prefix where there is one. */
import { skip, skipBack, table } from './assignment.ts';
import { DIGIT, digitsEnd, WORD } from './numbers.ts';
import type { Cover, Sight } from './sight.ts';

const HEX = table('0123456789abcdefABCDEF', false);
const IN_ADDRESS = table('0123456789abcdefABCDEF:.', false);
/** Behind a zone and the like, it was none. */
const GOES_ON = table('_:%', true);
const IN_ZONE = table('_.-', true);
/** `::` */
const MIN_LENGTH = 2;
/** No address is longer: eight groups, or six and an IPv4 address. */
const MAX_LENGTH = 45;
const MAX_ZONE = 40;

/** @param start where digits begin. */
export function findIPv4(sight: Sight, start: number, cover: Cover): void {
  const { bytes } = sight;
  const before = bytes[start - 1] ?? SPACE;
  if (WORD[before] === 1 || before === DOT) return;
  const end = ipv4End(bytes, start);
  if (end === 0 || WORD[bytes[end] ?? 0] === 1) return;
  if (bytes[end] === DOT && DIGIT[bytes[end + 1] ?? 0] === 1) return;
  if (before === COLON && hasGroupsBefore(bytes, start)) return;
  if (isVersion(sight, start, end)) return;
  cover(start, prefixEnd(bytes, end, 32), '[ip]');
}

/** Four numbers of a byte each, without leading zeros. @returns where they end, or 0. */
function ipv4End(bytes: Uint8Array, start: number): number {
  let at = start;
  for (let part = 0; ; part++) {
    const end = digitsEnd(bytes, at);
    const length = end - at;
    if (length < 1 || length > 3 || (length > 1 && bytes[at] === ZERO)) return 0;
    let value = 0;
    for (; at < end; at++) value = value * 10 + (bytes[at] as number) - ZERO;
    if (value > 255) return 0;
    if (part === 3) return end;
    if (bytes[end] !== DOT) return 0;
    at = end + 1;
  }
}

/** Two groups with colons before it and nothing else: it ends what is no IPv6 address. */
function hasGroupsBefore(bytes: Uint8Array, start: number): boolean {
  let colons = 0;
  let at = start;
  for (; at > 0 && start - at < MAX_LENGTH; at--) {
    const byte = bytes[at - 1] as number;
    if (byte === COLON) colons++;
    else if (HEX[byte] === 0) break;
  }
  return colons >= 2 && WORD[bytes[at - 1] ?? 0] === 0 && bytes[at - 1] !== DOT;
}

/**
 * Software has versions of four numbers too: behind a word that says so, a product's name as in `Chrome/131.0.0.0`, a
 * comparison or in the name of a file.
 */
function isVersion({ bytes, text }: Sight, start: number, end: number): boolean {
  if (JOINS[bytes[end] ?? 0] === 1 && VERSION_AFTER.test(text.slice(end, end + 10))) return true;
  const before = bytes[start - 1] ?? SPACE;
  if (before === DASH || before === UNDERSCORE) {
    return WORD[bytes[start - 2] ?? 0] === 1 && bytes[end] === DOT && WORD[bytes[end + 1] ?? 0] === 1;
  }
  const name = skipBack(bytes, start, Math.max(0, start - MAX_SIGNS), SIGNS);
  return (
    ENDS_NAME[bytes[name - 1] ?? 0] === 1 && VERSION_BEFORE.test(text.slice(Math.max(0, start - 24), start))
  );
}

const VERSION_BEFORE =
  /(?:\b(?:[Vv]ersion|VERSION|[Vv]er|[Vv]|[Rr]elease|[Bb]uild|[Rr]ev(?:ision)?)["']?[ \t]{0,3}[:=]?[ \t]{0,3}["'(]?|\b[A-Z][A-Za-z]+\/|[=~<>!^]=[ \t]?)$/;
/** Of its parts, what is between a name and an address, and what such a name ends with: most addresses have neither. */
const SIGNS = table(' \t"\'(:', false);
const MAX_SIGNS = 10;
const ENDS_NAME = table('/=', true).map((has, byte) => has & (1 - (DIGIT[byte] as number)));
const JOINS = table('-.+', false);
const VERSION_AFTER = /^(?:[-.](?:alpha|beta|rc|dev|pre|post|snapshot|final|ga|release)|\+[0-9a-z])/i;

/**
 * @param colon where a colon is.
 * @returns the end of what was looked at, which is no beginning of another.
 */
export function findIPv6({ bytes }: Sight, colon: number, cover: Cover): number {
  let start = colon;
  while (start > 0 && colon - start < 4 && HEX[bytes[start - 1] as number] === 1) start--;
  const end = skip(bytes, start, Math.min(bytes.length, start + MAX_LENGTH + 2), IN_ADDRESS);
  const before = bytes[start - 1] ?? SPACE;
  if (end - start < MIN_LENGTH || WORD[before] === 1 || before === DOT || before === COLON) return end;
  let last = end;
  // A full stop, or a colon behind an address as in `::1: connected`.
  if (bytes[last - 1] === DOT) last--;
  else if (bytes[last - 1] === COLON && bytes[last - 2] !== COLON) last--;
  if (!isIPv6(bytes, start, last)) return end;
  const zone = bytes[last] === PERCENT ? zoneEnd(bytes, last) : last;
  if (zone === 0 || GOES_ON[bytes[zone === last ? end : zone] ?? 0] === 1) return end;
  cover(start, prefixEnd(bytes, zone, 128), '[ip]');
  return end;
}

/** Eight groups of up to four hex digits, or fewer around one `::`; an IPv4 address at the end counts as two. */
function isIPv6(bytes: Uint8Array, start: number, end: number): boolean {
  let [at, groups, gap] = [start, 0, false];
  for (;;) {
    if (bytes[at] === COLON) {
      // The second of two; the first ends a group, or begins it all.
      if (at === start) at++;
      if (gap || bytes[at] !== COLON) return false;
      gap = true;
      at++;
      if (at >= end) break;
    }
    const groupEnd = skip(bytes, at, end, HEX);
    if (bytes[groupEnd] === DOT && groupEnd < end) {
      if (ipv4End(bytes, at) !== end) return false;
      groups += 2;
      break;
    }
    const length = groupEnd - at;
    if (length < 1 || length > 4) return false;
    groups++;
    at = groupEnd;
    if (at >= end) break;
    if (bytes[at++] !== COLON || at >= end) return false;
  }
  return at <= end && (gap ? groups <= 7 : groups === 8);
}

function zoneEnd(bytes: Uint8Array, percent: number): number {
  const end = skip(bytes, percent + 1, Math.min(bytes.length, percent + 1 + MAX_ZONE), IN_ZONE);
  const last = bytes[end - 1] === DOT ? end - 1 : end;
  return last === percent + 1 ? 0 : last;
}

/** `/24` behind an address; what is more than `most` says something else. */
function prefixEnd(bytes: Uint8Array, end: number, most: number): number {
  const last = bytes[end] === SLASH ? digitsEnd(bytes, end + 1) : end;
  const length = last - end - 1;
  if (length < 1 || length > 3 || WORD[bytes[last] ?? 0] === 1) return end;
  let value = 0;
  for (let at = end + 1; at < last; at++) value = value * 10 + (bytes[at] as number) - ZERO;
  return value <= most ? last : end;
}

const SPACE = 0x20;
const PERCENT = 0x25;
const DASH = 0x2d;
const DOT = 0x2e;
const SLASH = 0x2f;
const ZERO = 0x30;
const COLON = 0x3a;
const UNDERSCORE = 0x5f;
