/** Telephone numbers: E.164, and the forms in which countries write theirs. */
import { table } from './assignment.ts';
import { DIGIT, endsNumber } from './numbers.ts';

/** What a number is written with, behind its first sign. */
export const IN_NUMBER = table('0123456789 ().-', false);
/** Parts of words, addresses, decimal numbers, dates and sums. */
const NOT_BEFORE = table('_.@#:/=+-', true);
const NOT_AFTER = table('@/:', false);
const MIN_LENGTH = 7;
const MAX_LENGTH = 26;
/** Fewer are no number that anyone is called by. */
export const MIN_DIGITS = 7;

/**
 * @param start where a digit is, a plus or a bracket.
 * @returns the end of the longest text that could be a number, 0 where there is none.
 */
export function candidateEnd(bytes: Uint8Array, start: number): number {
  if (!mayStart(bytes, start)) return 0;
  const most = Math.min(bytes.length, start + MAX_LENGTH);
  let end = 0;
  let digits = DIGIT[bytes[start] as number] as number;
  let brackets = bytes[start] === OPENING ? 1 : 0;
  for (let at = start + 1; at < most; at++) {
    const byte = bytes[at] as number;
    // One pair of brackets at most.
    if (IN_NUMBER[byte] === 0 || (byte === OPENING && ++brackets > 1)) break;
    if (DIGIT[byte] === 0) continue;
    digits++;
    if (DIGIT[bytes[at + 1] ?? 0] === 0 && digits >= MIN_DIGITS) {
      if (endsNumber(bytes, at + 1) && NOT_AFTER[bytes[at + 1] ?? 0] === 0) end = at + 1;
    }
  }
  return end - start < MIN_LENGTH ? 0 : end;
}

function mayStart(bytes: Uint8Array, start: number): boolean {
  if (start === 0) return true;
  const before = bytes[start - 1] as number;
  if (NOT_BEFORE[before] === 1) return false;
  return !(start > 1 && (before === SPACE || before === DASH) && DIGIT[bytes[start - 2] as number] === 1);
}

/**
 * What can be a number with its country: a plus, or the signs that people put into numbers and nothing else does.
 *
 * @param isPlain digits alone.
 */
export function isPhone(text: string, isPlain: boolean): boolean {
  if (isPlain) return MOBILE.test(text);
  return text.startsWith('+') ? INTERNATIONAL.test(text) && isBalanced(text) : WRITTEN.test(text);
}

/** A zero and all the digits of a mobile: Britain, Japan, Turkey, the Philippines. */
const MOBILE = /^0[5-9]\d{9}$/;

/** A plus and 8 to 15 digits, whatever is between them. */
const INTERNATIONAL = /^\+[1-9](?:[ ().-]*[0-9]){7,14}$/;

/** Of `forms` all of a text. */
function anyOf(forms: readonly RegExp[]): RegExp {
  return new RegExp(`^(?:${forms.map(({ source }) => source).join('|')})$`);
}

const WRITTEN = anyOf([
  // North America: 1(567)362-8910, (567) 362-8910, 567-362-8910, 1-567-362-8910
  /(?:1[ .-]?)?\([2-9]\d\d\)[ .-]?[2-9]\d\d[ .-]?\d{4}/,
  /(?:1[.-])?[2-9]\d\d(?:-[2-9]\d\d-|\.[2-9]\d\d\.)\d{4}/,
  // A zero, the area or network in brackets: 0 (532) 123 45 67
  /0[ -]?\(\d{2,4}\)[ -]?\d{2,4}(?:[ -]?\d{2,4}){1,3}/,
  // A zero and groups: 0216 123 45 67, 0917-123-4567, 090 1234 5678, 020 7946 0958
  /0[1-9]\d{0,3}(?: \d{3,4} \d{2,4}(?: \d{2,3})?|-\d{3,4}-\d{2,4}(?:-\d{2,3})?)/,
  /0(?: \d{3} \d{3} \d{2} \d{2}|-\d{3}-\d{3}-\d{2}-\d{2})/,
  // A zero, the area, the rest: 09-7625400
  /0\d{1,3}-\d{6,8}/,
  // A country and brackets: 55 (17) 96332-2155
  /\d{1,3} ?\(\d{2,4}\) ?\d{3,5}[ -]?\d{4}/,
]);

/**
 * Digits alone, which are as often a time or a size: only where a word says so or nothing else is on the line, and only
 * as the numbering plans of larger countries have them.
 */
export function isPhoneAlone(text: string, isPlain: boolean): boolean {
  if (!isPlain && (!isBalanced(text) || /[ .-]{2}/.test(text) || /\..*-|-.*\./.test(text))) return false;
  const digits = isPlain ? text : text.replaceAll(/[^0-9]/g, '');
  return PLANS.test(digits) && !endsAlike(digits);
}

/** Nobody has such a number, and counts and ids are often round. */
function endsAlike(digits: string): boolean {
  let at = digits.length - 1;
  while (at > 0 && digits.charCodeAt(at - 1) === digits.charCodeAt(at)) at--;
  return digits.length - at >= MAX_ALIKE;
}

const MAX_ALIKE = 6;
const PLANS = anyOf([
  // North America
  /1?[2-9]\d\d[2-9]\d{6}/,
  // Mobile and area numbers with their zero: Europe, Japan, Australia, Turkey, the Philippines
  /0[1-9]\d{8,9}/,
  /01[567]\d{8,10}/,
  // China
  /(?:0086|86)?1[3-9]\d{9}/,
  // Countries without a plus: France, Britain, Australia, Germany, Brazil, Turkey, Spain, Poland, Italy
  /33[1-9]\d{8}/,
  /44[1-9]\d{8,9}/,
  /61[2-478]\d{8}/,
  /49[1-9]\d{8,10}/,
  /55[1-9]\d(?:9?\d{8})/,
  /90[2-5]\d{9}/,
  /34[6-9]\d{8}/,
  // Turkey without its zero, Spain and Poland, Italy
  /[2-5]\d{9}/,
  /[5-9]\d{8}/,
  /3\d{8,9}/,
]);

/** One pair of brackets at most, with something in it. */
function isBalanced(text: string): boolean {
  return /^[^()]*(?:\([^()]+\)[^()]*)?$/.test(text);
}

const SPACE = 0x20;
const OPENING = 0x28;
const DASH = 0x2d;
