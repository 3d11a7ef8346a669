import { isUtf8 } from 'node:buffer';
import { AxError } from '../errors.ts';
import {
  type Cursor,
  isDigit,
  readNumber,
  readString,
  readWord,
  refuse,
  shown,
  skipSpace,
} from './json-tokens.ts';

/**
 * JSON as RFC 8259 has it and no looser. `JSON.parse` keeps the last of duplicate keys, rounds big integers and
 * lets lone surrogates in; each lets two parsers read one signed text as two documents. Here a text has one
 * meaning, or none.
 */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

const UTF8_HINT = 'save it as UTF-8 without a byte order mark';

/**
 * Strict UTF-8 (no overlong forms, surrogates or truncated sequences) without a byte order mark.
 *
 * @throws JSON_MALFORMED with the offset, counted from 0, at which the first malformed sequence begins.
 */
export function decodeUtf8(bytes: Uint8Array, source: string): string {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view[0] === 0xef && view[1] === 0xbb && view[2] === 0xbf) {
    const message = `${source}: expected UTF-8 without a byte order mark, found one at byte offset 0`;
    throw new AxError('JSON_MALFORMED', message, { hint: UTF8_HINT });
  }
  const text = view.toString('utf8');
  if (isUtf8(view)) return text;
  const offset = firstMalformedByte(view, text);
  const found = view.subarray(offset, offset + 1).toString('hex');
  const message = `${source}: expected UTF-8, found byte 0x${found} at byte offset ${offset}`;
  throw new AxError('JSON_MALFORMED', message, { hint: UTF8_HINT });
}

/** The lossy decoding has U+FFFD where bytes were malformed; one that stands in the bytes themselves is genuine. */
function firstMalformedByte(view: Buffer, lossy: string): number {
  let offset = 0;
  for (let from = 0; ; offset += 3) {
    const mark = lossy.indexOf('\ufffd', from);
    offset += Buffer.byteLength(lossy.slice(from, mark));
    if (view[offset] !== 0xef || view[offset + 1] !== 0xbf || view[offset + 2] !== 0xbd) return offset;
    from = mark + 1;
  }
}

/**
 * The value of a JSON text, in time linear in its length. Objects have no prototype, so a key that the text does
 * not have is never found on a polluted `Object.prototype`.
 *
 * Refused beyond RFC 8259: duplicate keys (compared after unescaping) and the key `__proto__`; lone surrogates,
 * raw or escaped; numbers too large for a double; any spelling of an integer outside ±(2^53 - 1), `1e17`
 * included; nesting over `maxDepth` (32 unless told; the depth of recursion, so keep it below a thousand).
 *
 * @throws JSON_MALFORMED with `source:line:column`, columns in UTF-16 units from 1, what was expected and what
 * was found. Of the text only a character, a number or a key is shown, since the rest may be a secret.
 */
export function parseJson(text: string, source: string, options: { maxDepth?: number } = {}): JsonValue {
  const cursor: Cursor = { text, source, maxDepth: options.maxDepth ?? 32, at: 0 };
  if (!text.isWellFormed()) {
    // With the u flag a pair is one code point, so this class finds only halves.
    refuse(cursor, 'surrogates in pairs', { at: text.search(/\p{Surrogate}/u) });
  }
  const value = readValue(cursor, 0);
  skipSpace(cursor);
  if (cursor.at < text.length) refuse(cursor, 'nothing after the value');
  return value;
}

function readValue(cursor: Cursor, depth: number): JsonValue {
  skipSpace(cursor);
  switch (cursor.text[cursor.at]) {
    case '{':
      return readObject(cursor, depth + 1);
    case '[':
      return readArray(cursor, depth + 1);
    case '"':
      return readString(cursor);
    case 't':
      return readWord(cursor, 'true', true);
    case 'f':
      return readWord(cursor, 'false', false);
    case 'n':
      return readWord(cursor, 'null', null);
    case '-':
      return readNumber(cursor);
    default:
      return isDigit(cursor) ? readNumber(cursor) : refuse(cursor, 'a value');
  }
}

function readObject(cursor: Cursor, depth: number): JsonValue {
  const object: { [key: string]: JsonValue } = Object.create(null);
  if (opensEmpty(cursor, depth, '}')) return object;
  do {
    skipSpace(cursor);
    const at = cursor.at;
    if (cursor.text[at] !== '"') refuse(cursor, 'a key in double quotes');
    const key = readString(cursor);
    // Harmless in this object, but not in the next one that somebody copies it into.
    if (key === '__proto__') refuse(cursor, 'any other key', { at, found: shown(key), hint: 'rename it' });
    // No value of JSON is undefined, and this is quicker than `in`.
    if (object[key] !== undefined) {
      refuse(cursor, 'each key once', { at, found: `${shown(key)} again`, hint: 'keep one of the two' });
    }
    skipSpace(cursor);
    if (cursor.text[cursor.at] !== ':') refuse(cursor, '":"');
    cursor.at += 1;
    object[key] = readValue(cursor, depth);
  } while (continues(cursor, '}'));
  return object;
}

function readArray(cursor: Cursor, depth: number): JsonValue {
  const items: JsonValue[] = [];
  if (opensEmpty(cursor, depth, ']')) return items;
  do items.push(readValue(cursor, depth));
  while (continues(cursor, ']'));
  return items;
}

/** Steps over the opening bracket, and over the closing one when nothing stands between them. */
function opensEmpty(cursor: Cursor, depth: number, close: ']' | '}'): boolean {
  if (depth > cursor.maxDepth) {
    refuse(cursor, `at most ${cursor.maxDepth} levels of nesting`, {
      found: `level ${depth}`,
      hint: 'nest less deeply',
    });
  }
  cursor.at += 1;
  skipSpace(cursor);
  if (cursor.text[cursor.at] !== close) return false;
  cursor.at += 1;
  return true;
}

/** Steps over a comma (true) or the closing bracket (false). */
function continues(cursor: Cursor, close: ']' | '}'): boolean {
  skipSpace(cursor);
  const next = cursor.text[cursor.at];
  if (next !== ',' && next !== close) refuse(cursor, `"," or "${close}"`);
  cursor.at += 1;
  return next === ',';
}
