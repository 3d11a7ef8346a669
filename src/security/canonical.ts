import { AxError } from '../errors.ts';
import { sha256Hex } from './digest.ts';

/** Far above anything the parser lets in (32), far below where the stack would end. */
const MAX_DEPTH = 1000;

/**
 * The canonical text of a JSON value (RFC 8785): equal values give equal text, whatever order their keys were
 * set in. Digests and MACs over records are taken over this text, so nothing is coerced on the way: a value
 * that `JSON.stringify` would drop, turn into null or call `toJSON` on is refused, since two different records
 * could otherwise carry one digest.
 *
 * @throws INTERNAL for undefined (a hole or a property that is set to it included), functions, symbols, bigints,
 * NaN and infinities, lone surrogates in strings or keys, objects that are not plain (Date, Map, Buffer, class
 * instances), cycles, and nesting over 1000 levels.
 */
export function canonicalJson(value: unknown): string {
  return write(value, { path: [], open: new Set() });
}

/** Lower-case hex SHA-256 over the canonical text. @throws INTERNAL as `canonicalJson` does. */
export function sha256Canonical(value: unknown): string {
  return sha256Hex(canonicalJson(value));
}

interface Position {
  /** Keys and indexes from the root to the value at hand, for the message of a refusal. */
  readonly path: (string | number)[];
  /** The containers being written. Meeting one again is a cycle; two references side by side are not. */
  readonly open: Set<object>;
}

function write(value: unknown, position: Position): string {
  switch (typeof value) {
    case 'boolean':
      return String(value);
    case 'number':
      // RFC 8785, 3.2.2.3: ECMAScript's own Number-to-String is the canonical form; it gives -0 as "0".
      return Number.isFinite(value) ? String(value) : refuse(String(value), position);
    case 'string':
      return writeString(value, position);
    case 'object':
      return value === null ? 'null' : writeContainer(value, position);
    default:
      return refuse(typeof value, position);
  }
}

/** RFC 8785, 3.2.2.2. `JSON.stringify` escapes exactly what it asks for, once lone surrogates are ruled out. */
function writeString(text: string, position: Position): string {
  return text.isWellFormed() ? JSON.stringify(text) : refuse('a lone surrogate', position);
}

function writeContainer(container: object, position: Position): string {
  if (position.open.has(container)) refuse('a cycle', position);
  if (position.open.size >= MAX_DEPTH) refuse(`more than ${MAX_DEPTH} levels`, position);
  position.open.add(container);
  const text = Array.isArray(container) ? writeArray(container, position) : writeObject(container, position);
  position.open.delete(container);
  return text;
}

function writeArray(items: readonly unknown[], position: Position): string {
  let text = '[';
  // By index, not by iterator: a hole is then read as undefined and refused.
  for (let index = 0; index < items.length; index++) {
    position.path.push(index);
    text += (index === 0 ? '' : ',') + write(items[index], position);
    position.path.pop();
  }
  return `${text}]`;
}

function writeObject(object: object, position: Position): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== null && prototype !== Object.prototype) refuse('an object that is not plain', position);
  let text = '{';
  // RFC 8785, 3.2.3: by UTF-16 code units, which is what sort() without a comparison does.
  for (const key of Object.keys(object).sort()) {
    position.path.push(key);
    text += text === '{' ? '' : ',';
    text += `${writeString(key, position)}:${write((object as Record<string, unknown>)[key], position)}`;
    position.path.pop();
  }
  return `${text}}`;
}

function refuse(found: string, position: Position): never {
  // Keys only, never a value: the record may hold what must not be shown.
  const where = position.path.length === 0 ? 'the root' : JSON.stringify(position.path).slice(0, 120);
  throw new AxError('INTERNAL', `canonical JSON: expected a JSON value at ${where}, found ${found}`, {
    hint: 'this is a defect in ax; please report it',
  });
}
