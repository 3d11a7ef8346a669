import { AxError } from '../errors.ts';

const STRICT_HINT = 'only strict JSON is read (RFC 8259): no comments, trailing commas or bare words';
const NUMBER_HINT = 'write a number of this size as a string';

/**
 * A place in a JSON text. The functions below read one token each, beginning at the cursor, and step past it
 * (RFC 8259, sections 2, 3, 6 and 7). All of them throw JSON_MALFORMED.
 */
export interface Cursor {
  /** Well formed: without lone surrogates. */
  readonly text: string;
  /** What messages call the text: a path, or `standard input`. */
  readonly source: string;
  readonly maxDepth: number;
  at: number;
}

export function readWord<T>(cursor: Cursor, word: string, value: T): T {
  const found = cursor.text.slice(cursor.at, cursor.at + word.length);
  if (found !== word) refuse(cursor, word, { found: shown(found) });
  cursor.at += word.length;
  return value;
}

/** A number whose nearest double is within ±(2^53 - 1), however it is spelled. */
export function readNumber(cursor: Cursor): number {
  const { text, at } = cursor;
  if (text[cursor.at] === '-') cursor.at += 1;
  if (text[cursor.at] === '0') {
    cursor.at += 1;
    if (isDigit(cursor)) refuse(cursor, 'no digit after a leading zero');
  } else {
    skipDigits(cursor);
  }
  if (text[cursor.at] === '.') {
    cursor.at += 1;
    skipDigits(cursor);
  }
  if (text[cursor.at] === 'e' || text[cursor.at] === 'E') {
    cursor.at += 1;
    if (text[cursor.at] === '+' || text[cursor.at] === '-') cursor.at += 1;
    skipDigits(cursor);
  }
  const literal = text.slice(at, cursor.at);
  const value = Number(literal);
  // Every double from 2^53 up is an integer, infinities aside, so this covers overflow and each spelling.
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    refuse(cursor, 'a number within ±(2^53 - 1)', { at, found: shown(literal), hint: NUMBER_HINT });
  }
  return value;
}

function skipDigits(cursor: Cursor): void {
  if (!isDigit(cursor)) refuse(cursor, 'a digit');
  while (isDigit(cursor)) cursor.at += 1;
}

export function isDigit({ text, at }: Cursor): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0x30 && unit <= 0x39;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What is longer, base64 above all, is stepped over by a regular expression: quicker, once it has begun. */
const LONG = 64;
/** Printable ASCII, but for a quote and a backslash. */
const PLAIN = /[ !#-[\]-~]*/y;

/** A string without its quotes and escapes. Plain stretches are copied whole, which keeps megabytes fast. */
export function readString(cursor: Cursor): string {
  const { text, at: start } = cursor;
  let value = '';
  let copied = start + 1;
  for (let at = copied; at < text.length; at++) {
    if (at - copied === LONG) at = endOfPlain(text, at);
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      cursor.at = at + 1;
      value += text.slice(copied, at);
      // The text is well formed, so a lone surrogate can only come from an escape.
      if (!value.isWellFormed()) refuse(cursor, 'surrogates in pairs', { at: start, found: 'one alone' });
      return value;
    }
    if (unit === BACKSLASH) {
      value += text.slice(copied, at);
      cursor.at = at + 1;
      value += readEscape(cursor);
      copied = cursor.at;
      at = copied - 1;
    } else if (unit < 0x20) {
      refuse(cursor, 'control characters escaped', { at });
    }
  }
  return refuse(cursor, 'a closing double quote', { at: text.length });
}

/** Where the first unit from `at` on is that has to be looked at; the length of the text when none is. */
function endOfPlain(text: string, at: number): number {
  PLAIN.lastIndex = at;
  PLAIN.test(text);
  return PLAIN.lastIndex;
}

const ESCAPES: ReadonlyMap<string | undefined, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/** What follows a backslash. */
function readEscape(cursor: Cursor): string {
  const { text, at } = cursor;
  const plain = ESCAPES.get(text[at]);
  if (plain !== undefined) {
    cursor.at += 1;
    return plain;
  }
  if (text[at] !== 'u') refuse(cursor, 'one of "\\/bfnrtu after a backslash');
  const digits = text.slice(at + 1, at + 5);
  if (!/^[0-9a-fA-F]{4}$/.test(digits)) refuse(cursor, 'four hex digits after \\u', { found: shown(digits) });
  cursor.at += 5;
  return String.fromCharCode(Number.parseInt(digits, 16));
}

export function skipSpace(cursor: Cursor): void {
  for (; ; cursor.at++) {
    const unit = cursor.text.charCodeAt(cursor.at);
    if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
  }
}

interface Refusal {
  /** Where, if not at the cursor. */
  at?: number;
  /** What stands there, if not one character. */
  found?: string;
  hint?: string;
}

/** @throws JSON_MALFORMED, always: `source:line:column: expected <what>, found <what>`. */
export function refuse({ text, source, at: here }: Cursor, expected: string, refusal: Refusal = {}): never {
  const at = refusal.at ?? here;
  const code = text.codePointAt(at);
  const found = refusal.found ?? (code === undefined ? 'the end' : shown(String.fromCodePoint(code)));
  let line = 1;
  let start = 0;
  for (let end = text.indexOf('\n'); end !== -1 && end < at; end = text.indexOf('\n', start)) {
    line += 1;
    start = end + 1;
  }
  const message = `${source}:${line}:${at - start + 1}: expected ${expected}, found ${found}`;
  throw new AxError('JSON_MALFORMED', message, { hint: refusal.hint ?? STRICT_HINT });
}

/** Quoted, at most 24 UTF-16 units, and printable ASCII alone: the text is not trusted and may reach a terminal. */
export function shown(text: string): string {
  const quoted = JSON.stringify(text.slice(0, 24)).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return text.length > 24 ? `${quoted}…` : quoted;
}
