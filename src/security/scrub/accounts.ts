/** Account and card numbers, told from other numbers by their lengths and checksums. */
import { table } from './assignment.ts';
import { digitsEnd, endsNumber } from './numbers.ts';

const LETTER_A = 0x41;

/** Lengths of IBANs and the countries that have them, as in SWIFT's registry. */
const IBAN_LENGTHS: readonly (readonly [length: number, countries: string])[] = [
  [15, 'NO'],
  [16, 'BE'],
  [18, 'DK FO FI GL NL SD'],
  [19, 'MK SI SK'],
  [20, 'AT BA EE KZ XK LT LU MN'],
  [21, 'HR LV LI CH'],
  [22, 'BH BG CR GE DE IE ME RS GB VA'],
  [23, 'TL GI IQ IL OM SO AE'],
  [24, 'AD CZ MD PK RO SA SK ES SE TN VG'],
  [25, 'LY PT ST'],
  [26, 'IS TR'],
  [27, 'BI DJ FR GR IT MC MR SM'],
  [28, 'AL AZ BY CY DO SV GT HU LB NI PL'],
  [29, 'BR EG PS QA UA'],
  [30, 'JO KW MU YE'],
  [31, 'MT SC'],
  [32, 'LC'],
  [33, 'RU'],
  // Not in the registry, and in use.
  [25, 'MZ'],
  [26, 'DZ IR'],
  [28, 'MA'],
];

/** Countries where the bank's code, right behind the check digits, is four letters. */
const LETTERS_FIRST = 'AZ BH BG GI IE IQ JO KW LV LC MT MU NL PK PS QA RO GB VG SV SC';

/** Its number, of two capital letters. */
function countryAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) - LETTER_A) * 26 + (bytes[at + 1] as number) - LETTER_A;
}

/** By country. */
const ibanLength = new Uint8Array(26 * 26);
const lettersFirst = new Uint8Array(26 * 26);
for (const [length, countries] of IBAN_LENGTHS) {
  for (const country of countries.split(' ')) ibanLength[countryAt(Buffer.from(country), 0)] = length;
}
for (const country of LETTERS_FIRST.split(' ')) lettersFirst[countryAt(Buffer.from(country), 0)] = 1;

export const UPPER = table('ABCDEFGHIJKLMNOPQRSTUVWXYZ', false);
const IN_IBAN = table('ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789', false);
const NOT_BEFORE = table('', true);
/** An account number is no part of a word or of an address. */
const NOT_AFTER = table('@', true).fill(1, 0x80);

/** The digits of one card at a time. */
const values = new Uint8Array(19);

/**
 * ISO 13616: a country, as many digits and letters as its numbers have, in groups or not, and 1 modulo 97.
 *
 * @param start where the country would be; a capital letter and two digits follow it.
 * @returns where it ends, or 0. What comes after a space may be the next word.
 */
export function ibanEnd(bytes: Uint8Array, start: number): number {
  if (start < 0 || UPPER[bytes[start] as number] === 0) return 0;
  if (start > 0 && NOT_BEFORE[bytes[start - 1] as number] === 1) return 0;
  const country = countryAt(bytes, start);
  const length = ibanLength[country] as number;
  if (length === 0) return 0;
  let at = start + 4;
  let rest = 0;
  let digitsOfBank = 0;
  for (let count = 4; count < length; count++) {
    if (bytes[at] === SPACE || bytes[at] === DASH) at++;
    const byte = bytes[at++] ?? 0;
    if (IN_IBAN[byte] === 0) return 0;
    const isDigit = byte <= NINE;
    if (isDigit && count < 8) digitsOfBank++;
    rest = rest * (isDigit ? 10 : 100) + byte - (isDigit ? ZERO : LETTER_TEN);
    if (rest > MANY) rest %= 97;
  }
  if (NOT_AFTER[bytes[at] ?? 0] === 1) return 0;
  // The country and the check digits count as if they came last.
  rest = (rest % 97) * 10 ** 6 + firstFour(bytes, start);
  if (rest % 97 !== 1) return 0;
  return lettersFirst[country] === 1 && digitsOfBank > 0 ? 0 : at;
}

/** Two letters by their values, and two digits. */
function firstFour(bytes: Uint8Array, start: number): number {
  let number = 0;
  for (let at = start; at < start + 2; at++) number = number * 100 + (bytes[at] as number) - LETTER_TEN;
  for (let at = start + 2; at < start + 4; at++) number = number * 10 + (bytes[at] as number) - ZERO;
  return number;
}

/** With two more digits it is still an integer of 31 bits. */
const MANY = 9_000_000;

/** First six digits of the networks' numbers, and the lengths that these have: ISO/IEC 7812. */
const NETWORKS: readonly (readonly [from: number, to: number, lengths: readonly number[]])[] = [
  [400000, 499999, [13, 16, 19]],
  [510000, 559999, [16]],
  [222100, 272099, [16]],
  [340000, 349999, [15]],
  [370000, 379999, [15]],
  [300000, 305999, [14]],
  [360000, 369999, [14]],
  [380000, 399999, [14]],
  [350000, 359999, [16]],
  [500000, 509999, [12, 13, 14, 15, 16, 17, 18, 19]],
  [560000, 699999, [12, 13, 14, 15, 16, 17, 18, 19]],
  [810000, 819999, [16, 17, 18, 19]],
  [100000, 199999, [15]],
];

/**
 * The first digits and the length of a network's, and Luhn's digit; in one piece, or in the groups that are on cards.
 *
 * @param start where its digits begin, and where the first of them end.
 * @returns where it ends, or 0.
 */
export function cardEnd(bytes: Uint8Array, start: number, firstEnd: number): number {
  const first = firstEnd - start;
  const end = first === 4 ? groupsEnd(bytes, firstEnd) : first >= 12 && first <= 19 ? firstEnd : 0;
  if (end === 0 || !endsNumber(bytes, end)) return 0;
  let length = 0;
  let alike = true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte < ZERO) continue;
    values[length++] = byte - ZERO;
    if (byte !== bytes[start]) alike = false;
  }
  if (alike) return 0;
  let sum = 0;
  for (let count = 0; count < length; count++) {
    const digit = values[length - 1 - count] as number;
    sum += count % 2 === 0 ? digit : digit * 2 - (digit > 4 ? 9 : 0);
  }
  if (sum % 10 !== 0) return 0;
  const issuer = values.subarray(0, 6).reduce((number, digit) => number * 10 + digit, 0);
  const known = NETWORKS.some(
    ([from, to, lengths]) => issuer >= from && issuer <= to && lengths.includes(length),
  );
  return known ? end : 0;
}

/** 4111 1111 1111 1111, 3782 822463 10005; with spaces or dashes, not both. */
function groupsEnd(bytes: Uint8Array, firstEnd: number): number {
  const sign = bytes[firstEnd];
  if (sign !== SPACE && sign !== DASH) return 0;
  const second = digitsEnd(bytes, firstEnd + 1);
  const third = bytes[second] === sign ? digitsEnd(bytes, second + 1) : 0;
  const [inSecond, inThird] = [second - firstEnd - 1, third - second - 1];
  if (inSecond === 6) return inThird === 4 || inThird === 5 ? third : 0;
  if (inSecond !== 4 || inThird !== 4 || bytes[third] !== sign) return 0;
  const fourth = digitsEnd(bytes, third + 1);
  return fourth - third >= 2 && fourth - third <= 8 ? fourth : 0;
}

const SPACE = 0x20;
const DASH = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
/** What is taken from the code of a letter for its value. */
const LETTER_TEN = 0x37;
