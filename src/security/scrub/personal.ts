/**
 * Finds personal data: e-mail addresses, telephone numbers, IBANs, payment cards,
 * numbers of social security and, where that is asked for, IP
 * addresses. What is counted is what has the form, the length and, where there is one, the checksum.
 */

import { ibanDigits, isCard, isIban } from './checksums.ts';
import { isPhone, isPhoneAlone } from './phone.ts';
import type { Cover, Sight } from './sight.ts';

interface PersonalRule {
  readonly marker: string;
  readonly pattern: RegExp;
  /** @returns how much of the match it is, 0 for nothing. */
  readonly length: (match: string, around: Around) => number;
}

interface Around {
  /** What stands before it on its line, as far as that is of interest. */
  readonly before: string;
  /** It has its line to itself. */
  readonly alone: boolean;
}

const MAX_BEFORE = 40;

const EMAIL: PersonalRule = {
  marker: '[email]',
  pattern:
    /(?:(?<![\w.!#$%&'*+/=?^`{|}~@\x80-\xff-])[\w!#$%&'*+=?^`{|}~\x80-\xff-][\w.!#$%&'*+=?^`{|}~\x80-\xff-]{0,63}|(?<!\w)"[^"\n]{1,64}")@(?:[A-Za-z0-9\x80-\xff](?:[A-Za-z0-9\x80-\xff-]{0,61}[A-Za-z0-9\x80-\xff])?\.){1,8}(?:xn--[A-Za-z0-9-]{1,59}|[A-Za-z\x80-\xff]{2,63})(?![\w@])/g,
  length: (match) => (/^[^"]*(?:\.@|\.\.)/.test(match) ? 0 : match.length),
};

const IBAN: PersonalRule = {
  marker: '[iban]',
  pattern: /(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}(?![A-Za-z0-9@\x80-\xff])/g,
  length: ibanLength,
};

/** Digits behind the beginning of an account number are more of it, or of one with a mistake in it. */
const NOT_IN_ACCOUNT = '(?<!\\b[A-Z]{2}\\d\\d (?:[A-Z0-9]{4} ){0,6})';

const CARD: PersonalRule = {
  marker: '[card]',
  pattern: new RegExp(
    `(?=[0-9])(?<![\\w.+-])${NOT_IN_ACCOUNT}(?:\\d{12,19}|\\d{4}([ -])\\d{4}\\1\\d{4}\\1\\d{1,7}|\\d{4}([ -])\\d{6}\\2\\d{4,5})(?![\\w]|-\\d|\\.\\d)`,
    'g',
  ),
  length: (match) => (isCard(match) ? match.length : 0),
};

/** Numbers of advertisements and of documentation, which were never anybody's or no longer are. */
const PUBLISHED_SSN = new Set(['078051120', '219099999', '123456789']);

const SSN: PersonalRule = {
  marker: '[ssn]',
  pattern: /(?<![\w.+-])(?!000|666|9)\d{3}([- .]?)(?!00)\d{2}([- .]?)(?!0000)\d{4}(?![\w]|[-.]\d)/g,
  length: (match, { before, alone }) => {
    if (PUBLISHED_SSN.has(match.replaceAll(/[- .]/g, ''))) return 0;
    const [first, second] = match.match(/[- .]/g) ?? [];
    if (first !== undefined && first === second) return match.length;
    return /^\d{9}$/.test(match) && (alone || /\bssn\b|social security/i.test(before)) ? match.length : 0;
  },
};

const PHONE: PersonalRule = {
  marker: '[phone]',
  pattern: new RegExp(
    `(?=[+(0-9])(?<![\\w.@#:/=+-]|[0-9][ -])${NOT_IN_ACCOUNT}(?:\\+|\\(|[0-9])[0-9 ().-]{5,24}[0-9](?![\\w@/:]|\\.[0-9]|-[0-9])`,
    'g',
  ),
  length: (match, { before, alone }) =>
    isPhone(match) || ((alone || NAMED.test(before)) && isPhoneAlone(match)) ? match.length : 0,
};
/** What says that a number is one to call. */
const NAMED =
  /(?:phone|mobil|telefon|cell|\btel|\bcep|\bfax|sms|whatsapp|call|number|numara|n\w{1,2}mero|handy)[^0-9]{0,20}$/i;

const IPV4_PART = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const IPV4 = `(?:${IPV4_PART}\\.){3}${IPV4_PART}`;
const ADDRESS: PersonalRule = {
  marker: '[ip]',
  pattern: new RegExp(
    `(?<![\\w.:])(?:${IPV4}(?![\\w]|\\.[0-9])|(?:[0-9a-f]{0,4}:){2,8}(?:${IPV4}|[0-9a-f]{0,4})(?:%[\\w.]{1,40})?(?![\\w:%]|\\.\\w))`,
    'gi',
  ),
  length: (match) => (isAddress(match) ? match.length : 0),
};

const LINE_FEED = 0x0a;
const AT_SIGN = 0x40;
const COLON = 0x3a;

export function personalFinder(addresses: boolean): (sight: Sight, cover: Cover) => void {
  return ({ bytes, text, from, to }, cover) => {
    let start = bytes.lastIndexOf(LINE_FEED, from - 1) + 1;
    if (from === 0) start = 0;
    while (start < to) {
      // What the line has decides which rules look at it at all.
      let [end, digits, signs, colons] = [start, 0, 0, 0];
      for (; end < bytes.length; end++) {
        const byte = bytes[end] as number;
        if (byte === LINE_FEED) break;
        if (byte >= 0x30 && byte <= COLON) byte === COLON ? colons++ : digits++;
        else if (byte === AT_SIGN) signs++;
      }
      const rules: PersonalRule[] = [];
      if (signs > 0) rules.push(EMAIL);
      if (digits >= 6) rules.push(PHONE);
      if (digits >= 9) rules.push(SSN);
      if (digits >= 10) rules.push(IBAN);
      if (digits >= 12) rules.push(CARD);
      if (addresses && (digits >= 4 || colons >= 2)) rules.push(ADDRESS);
      if (rules.length > 0) {
        const [lineStart, line] = [start, text.slice(start, end)];
        for (const rule of rules) {
          findIn(line, rule, (first, last) => {
            const at = lineStart + first;
            if (at >= from && at < to) cover(at, lineStart + last, rule.marker);
          });
        }
      }
      start = end + 1;
    }
  };
}

function findIn(
  line: string,
  { pattern, length }: PersonalRule,
  found: (start: number, end: number) => void,
): void {
  pattern.lastIndex = 0;
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line)) {
    const start = match.index;
    const whole = match[0];
    const alone = line.trim() === whole;
    const taken = length(whole, { before: line.slice(Math.max(0, start - MAX_BEFORE), start), alone });
    if (taken > 0) found(start, start + taken);
    pattern.lastIndex = taken > 0 ? start + taken : start + 1;
  }
}

/** What follows the account number may be the next word. */
function ibanLength(match: string): number {
  let rest = ibanDigits(match.slice(0, 2));
  let end = 0;
  for (; end < match.length && rest > 0; end++) if (match.charCodeAt(end) >= DIGIT_ZERO) rest--;
  const inWord = end < match.length && match.charCodeAt(end) >= DIGIT_ZERO;
  return rest === 0 && !inWord && isIban(match.slice(0, end)) ? end : 0;
}

/** Separators are below it, what an IBAN is made of is not. */
const DIGIT_ZERO = 0x30;

/** Eight groups of an IPv6 address, or fewer around one `::`; IPv4 counts as two. */
function isAddress(match: string): boolean {
  const [address = ''] = match.split('%');
  if (!address.includes(':')) return true;
  const halves = address.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  if (groups.some((group) => group === '')) return false;
  const count = groups.length + (address.includes('.') ? 1 : 0);
  return halves.length === 2 ? count <= 7 : count === 8;
}
