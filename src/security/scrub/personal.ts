/**
 * Finds personal data: e-mail addresses, telephone numbers, IBANs, payment cards, numbers of social security and, where
 * that is asked for, IP addresses. What is counted is what has the form, the length and, where there is one, the
 * checksum.
 *
 * One walk over the bytes stops at signs and at the starts of digits; rules look only there, and none of them further
 * than it could reach, so that no text costs more than a few looks a byte.
 */
import { cardEnd, ibanEnd, UPPER } from './accounts.ts';
import { findIPv4, findIPv6 } from './address.ts';
import { skip, skipBack, table } from './assignment.ts';
import { findEmail, MAX_BEFORE_AT } from './email.ts';
import { DIGIT, digitsEnd, startsNumber, WORD } from './numbers.ts';
import { candidateEnd, IN_NUMBER, isPhone, isPhoneAlone, MIN_DIGITS } from './phone.ts';
import type { Cover, Sight } from './sight.ts';
import { ssnEnd } from './ssn.ts';

export type PersonalFinder = (sight: Sight, cover: Cover) => void;

/** Where what was found last of each kind ends, from the start of the stream: there is no other in it. */
interface Taken {
  card: number;
  ssn: number;
  phone: number;
}

interface Look extends Sight {
  readonly taken: Taken;
  readonly cover: Cover;
}

/** For one stream. @param addresses IP addresses too. */
export function createPersonalFinder(addresses: boolean): PersonalFinder {
  const passed = table('', false).fill(1);
  for (const byte of Buffer.from(addresses ? '@:0123456789' : '@0123456789')) passed[byte] = 0;
  const taken: Taken = { card: 0, ssn: 0, phone: 0 };

  return (sight, coverAnywhere) => {
    const { bytes, from, to } = sight;
    const cover: Cover = (start, end, marker) => {
      if (start >= from && start < to) coverAnywhere(start, end, marker);
    };
    const look: Look = { ...sight, taken, cover };
    // What begins before `to` may have its `@` or its digits behind it.
    const until = Math.min(bytes.length, to + MAX_BEFORE_AT);
    // Digits that `from` is in the middle of began before it.
    let at = from > 0 && DIGIT[bytes[from - 1] as number] === 1 ? digitsEnd(bytes, from) : from;
    let colonsFrom = at;
    for (;;) {
      at = skip(bytes, at, until, passed);
      if (at >= until) break;
      const byte = bytes[at] as number;
      if (byte === AT_SIGN) findEmail(sight, at++, cover);
      else if (byte === COLON) {
        if (at >= colonsFrom) colonsFrom = findIPv6(sight, at, cover);
        at++;
      } else {
        const end = digitsEnd(bytes, at);
        findNumbers(look, at, end);
        if (addresses && bytes[end] === DOT && end - at <= 3) findIPv4(sight, at, cover);
        at = end;
      }
    }
  };
}

/** What begins with the digits from `start` to `end`, or with a sign or the letters of a country before them. */
function findNumbers(look: Look, start: number, end: number): void {
  const { bytes, cover } = look;
  if (UPPER[bytes[start - 1] ?? 0] === 1 && end - start >= 2) {
    const iban = ibanEnd(bytes, start - 2);
    if (iban !== 0) cover(start - 2, iban, '[iban]');
  }
  // Most numbers are short and stand by themselves.
  if (end - start < MIN_DIGITS && IN_NUMBER[bytes[end] ?? 0] === 0) return;
  const before = bytes[start - 1] ?? LINE_FEED;
  if (WORD[before] === 1 || before === DOT) return;
  if (before === PLUS) findPhone(look, start - 1);
  else if (before !== OPENING || !findPhone(look, start - 1)) findPhone(look, start);
  if (!startsNumber(bytes, start)) return;
  // By how many digits they begin with.
  if (end - start === 3 || end - start === 9) findSsn(look, start, end);
  if (end - start === 4 || end - start >= 12) findCard(look, start, end);
}

function findCard(look: Look, start: number, firstEnd: number): void {
  if (!isFree(look, 'card', start)) return;
  const end = cardEnd(look.bytes, start, firstEnd);
  if (end !== 0 && !isInAccount(look, start)) take(look, 'card', start, end);
}

function findSsn(look: Look, start: number, firstEnd: number): void {
  if (!isFree(look, 'ssn', start)) return;
  const end = ssnEnd(look.bytes, look.text, start, firstEnd);
  if (end === 0) return;
  if (end > firstEnd || isAlone(look, start, end) || isNamed(look, start, SSN_NAME)) {
    take(look, 'ssn', start, end);
  }
}

function findPhone(look: Look, start: number): boolean {
  const end = isFree(look, 'phone', start) ? candidateEnd(look.bytes, start) : 0;
  if (end === 0) return false;
  const number = look.text.slice(start, end);
  const isPlain = digitsEnd(look.bytes, start) === end;
  if (!isPhone(number, isPlain)) {
    if (!isAlone(look, start, end) && !isNamed(look, start, PHONE_NAME)) return false;
    if (!isPhoneAlone(number, isPlain)) return false;
  }
  if (isInAccount(look, start)) return false;
  take(look, 'phone', start, end);
  return true;
}

function isFree({ base, from, to, taken }: Look, kind: keyof Taken, start: number): boolean {
  return start >= from && start < to && base + start >= taken[kind];
}

function take({ base, taken, cover }: Look, kind: keyof Taken, start: number, end: number): void {
  taken[kind] = base + end;
  cover(start, end, MARKERS[kind]);
}

const MARKERS: Readonly<Record<keyof Taken, string>> = { card: '[card]', ssn: '[ssn]', phone: '[phone]' };

/** It has its line to itself, but for white space. */
function isAlone({ bytes, base }: Look, start: number, end: number): boolean {
  const lineStart = skipBack(bytes, start, Math.max(0, start - MAX_AROUND), BLANK);
  if (lineStart === 0 ? base > 0 : bytes[lineStart - 1] !== LINE_FEED) return false;
  const lineEnd = skip(bytes, end, Math.min(bytes.length, end + MAX_AROUND), BLANK);
  return lineEnd === bytes.length || bytes[lineEnd] === LINE_FEED;
}

/** A word before it on its line, without digits in between, says what it is. */
function isNamed({ bytes, text }: Look, start: number, name: RegExp): boolean {
  const from = skipBack(bytes, start, Math.max(0, start - MAX_BEFORE), NO_DIGIT);
  return start - from >= MIN_NAME && name.test(text.slice(from, start));
}

const SSN_NAME = /\bssn\b|social security/i;
const PHONE_NAME =
  /(?:phone|mobil|telefon|cell|\btel|\bcep|\bfax|sms|whatsapp|call|number|numara|n\w{1,2}mero|handy)[^0-9]{0,20}$/i;

/** Digits behind the beginning of an account number are more of it, or of one with a mistake in it. */
function isInAccount({ bytes, text }: Look, start: number): boolean {
  return (
    bytes[start - 1] === SPACE && ACCOUNT_BEFORE.test(text.slice(Math.max(0, start - MAX_ACCOUNT), start))
  );
}

const ACCOUNT_BEFORE = /\b[A-Z]{2}\d\d (?:[A-Z0-9]{4} ){0,6}$/;
const MAX_ACCOUNT = 36;
/** Of white space around what is alone. */
const MAX_AROUND = 200;
const MAX_BEFORE = 40;
const MIN_NAME = 3;
const BLANK = table(' \t\r\v\f\xa0', false);
const NO_DIGIT = table('\n0123456789', false).map((digit) => 1 - digit);

const LINE_FEED = 0x0a;
const SPACE = 0x20;
const OPENING = 0x28;
const PLUS = 0x2b;
const DOT = 0x2e;
const COLON = 0x3a;
const AT_SIGN = 0x40;
