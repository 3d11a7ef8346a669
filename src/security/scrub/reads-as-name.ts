import { CAPITAL, DIGIT, KINDS, SEPARATOR, SMALL } from './kinds.ts';

/**
 * Words with numbers between separators, as in `nexus-gpt4-api`, `web21.example.com`, `DOC_Vector_5_32`, `a/b/c2`; and
 * versions and dates. What is random changes between letters and digits, and between cases, more often.
 */
export function readsAsName(bytes: Uint8Array, from: number, to: number): boolean {
  let start = from;
  for (let at = from; at <= to; at++) {
    if (at < to && KINDS[bytes[at] as number] !== SEPARATOR) continue;
    if (at > start && !isNamePart(bytes, start, at)) return false;
    start = at + 1;
  }
  return true;
}

function isNamePart(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  // A word is small letters with a capital before them at most, capitals, or digits.
  let [digits, words, changes, capitals, last] = [0, 0, 0, 0, SEPARATOR];
  for (let at = start; at < end; at++) {
    const kind = KINDS[bytes[at] as number] as number;
    if (kind === DIGIT) digits++;
    if (last !== SEPARATOR && (kind === DIGIT) !== (last === DIGIT)) changes++;
    if (kind === SMALL ? last !== SMALL && (last !== CAPITAL || capitals > 1) : kind !== last) words++;
    // Too many already.
    if (changes > 1 && length < words * MIN_WORD) return false;
    capitals = kind === CAPITAL ? capitals + 1 : 0;
    last = kind;
  }
  if (length >= words * MIN_WORD) return true;
  // A number, a few letters, or letters with a short number before or behind them.
  if (changes === 0) return length <= (digits > 0 ? MAX_NUMBER : MAX_LETTERS);
  return changes === 1 && digits <= 3 && length - digits <= MAX_WORD;
}

const MAX_NUMBER = 10;
const MAX_LETTERS = 3;
const MAX_WORD = 24;
/** Letters a word, on the average of a part. */
const MIN_WORD = 3.2;
