import { AxError } from '../errors.ts';

/** Crockford's base 32: no I, L, O or U, so that an id read aloud or retyped is not mistaken. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LENGTH = 26;
const TIME_DIGITS = 10;
const RANDOM_BYTES = 10;
const MAX_TIME_MS = 2 ** 48 - 1;

/** 26 digits of 5 bits are 130: the first may not exceed 7, or the value would not fit its 128 bits. */
const PATTERN = /^[0-7][0-9A-HJKMNP-TV-Z]{0,25}$/;

/**
 * A new ULID: 48 bits of time in milliseconds, then 80 random bits. Ids of different milliseconds sort by time
 * as text; within one millisecond their order is random, and nothing may rely on it.
 *
 * @throws INTERNAL for a time that is not a whole number of milliseconds within 48 bits, or a source of
 * randomness that does not return the 10 bytes it was asked for.
 */
export function createUlid(nowMs: number, randomBytes: (n: number) => Uint8Array): string {
  if (!Number.isInteger(nowMs) || nowMs < 0 || nowMs > MAX_TIME_MS) {
    throw defect(`expected a time of 0 to ${MAX_TIME_MS} ms, found ${nowMs}`);
  }
  const random = randomBytes(RANDOM_BYTES);
  // Too few bytes would be padded with zeros below: an id that looks random and can be guessed.
  if (random.length !== RANDOM_BYTES) {
    throw defect(`expected ${RANDOM_BYTES} random bytes, found ${random.length}`);
  }
  let value = BigInt(nowMs);
  for (const byte of random) value = (value << 8n) | BigInt(byte);
  let text = '';
  for (let digit = 0; digit < LENGTH; digit++) {
    text = ALPHABET.charAt(Number(value & 31n)) + text;
    value >>= 5n;
  }
  return text;
}

/**
 * The first of all ULIDs of a millisecond: what was made before it has a lower id, what was made in it or later has
 * not.
 *
 * @throws INTERNAL for a time as `createUlid` does
 */
export function firstUlid(ms: number): string {
  return createUlid(ms, (count) => new Uint8Array(count));
}

/** When a ULID was made: milliseconds since the epoch. Its text has been found to be one by `isUlid`. */
export function ulidTime(id: string): number {
  let ms = 0;
  for (const digit of id.slice(0, TIME_DIGITS)) ms = ms * 32 + ALPHABET.indexOf(digit);
  return ms;
}

/**
 * True for exactly one spelling of each ULID: 26 upper-case characters of the alphabet, the first 0 to 7. Only
 * such text may become part of a path or a query.
 */
export function isUlid(text: string): boolean {
  return text.length === LENGTH && PATTERN.test(text);
}

/** True for the first 1 to 26 characters of some ULID; what a person may type to name one. */
export function isUlidPrefix(text: string): boolean {
  return PATTERN.test(text);
}

function defect(message: string): AxError {
  return new AxError('INTERNAL', `ulid: ${message}`, { hint: 'this is a defect in ax; please report it' });
}
