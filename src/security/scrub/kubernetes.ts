/**
 * The values of Kubernetes' Secrets, in manifests as people write them and as kubectl prints them: what is under `data`
 * and `stringData` of an object whose kind is Secret, whatever it looks like.
 */
import { type Entries, readBlock, readObject } from './manifest-values.ts';
import { matcher } from './matcher.ts';
import type { Cover, Sight } from './sight.ts';

/** Ends of `kind`, and of `data` and `stringData`, in YAML, in JSON, and in JSON that is a text in JSON. */
export const KIND_KEYWORDS: readonly string[] = ['kind:', 'kind"', 'kind\\"'];
export const DATA_KEYWORDS: readonly string[] = ['data:', 'data"', 'data\\"'];

/** An object that said that it is a Secret. */
export interface Begun {
  /** Bytes from the stream's start. */
  readonly at: number;
  /** Of its keys in their lines. */
  readonly column: number;
}

/** So far behind its kind an object's data is looked for, and so much of it is held back until all is there. */
const REACH = 64 * 1024;
const MARKER = '[credential:kubernetes-secret]';

const kind = matcher(() => /kind\\*["']?[ \t]{0,20}:\s{0,20}\\*["']?(?=\w)/iy);
const secret = matcher(() => /secret(?![\w-])/iy);
const block = matcher(() => /data:[ \t]{0,200}\r?\n/iy);
const object = matcher(() => /data\\*"\s{0,20}:\s{0,20}\{/iy);
/** The first key of all, in the order of the alphabet. */
const VERSION_BEFORE = /apiVersion\\*["']?\s{0,20}:[^\n,]{1,80}[\n,]\s{0,200}$/i;
const MAX_BEFORE = 250;

/** @returns the Secret that begins with this `kind`, undefined where another object does, or `known`. */
export function secretAt(sight: Sight, start: number, known: Begun | undefined): Begun | undefined {
  const name = kind(sight, start);
  if (name === -1) return known;
  const column = columnOf(sight.text, start);
  if (secret(sight, name) !== -1) return { at: sight.base + start, column };
  // What is further in is a part of the same object: an owner, a reference.
  return known !== undefined && column > known.column ? known : undefined;
}

/**
 * Covers the values of the data that begins here, if it is a Secret's: of the one that was begun, or of one whose kind
 * comes behind it, as in what kubectl prints.
 *
 * @returns false where only more input can tell.
 */
export function coverData(sight: Sight, start: number, begun: Begun | undefined, cover: Cover): boolean {
  const { text, base, final } = sight;
  const isCut = (end: number): boolean => !final && end >= text.length && text.length - start < REACH;
  const inObject = object(sight, start);
  const body = inObject === -1 ? block(sight, start) : inObject;
  if (body === -1) return true;
  const isPlain = /string$/i.test(text.slice(Math.max(0, start - 6), start));
  const key = isPlain ? start - 6 : start;
  // Not that of `metadata`.
  if (!/[\s"'-]/.test(text[key - 1] ?? '\n')) return true;
  const column = columnOf(text, key);
  const isBegun =
    begun !== undefined && base + start - begun.at <= REACH && (inObject !== -1 || column === begun.column);
  const before = text.slice(Math.max(0, key - MAX_BEFORE), key).replace(/\\*["']?$/, '');
  const isFirst = VERSION_BEFORE.test(before);
  if (!isBegun && !isFirst) return true;

  const entries = inObject === -1 ? readBlock(text, body, column) : readObject(text, body);
  if (isCut(entries.end)) return false;
  if (isFirst) {
    const kindBehind = inObject === -1 ? kindBehindBlock : kindBehindObject;
    const behind = kindBehind(text, entries.end, column);
    if (behind === 'unknown' && isCut(text.length)) return false;
    if (behind === 'other' || (behind !== 'secret' && !isBegun)) return true;
  }
  coverValues(text, entries, isPlain, cover);
  return true;
}

function coverValues(text: string, { values }: Entries, isPlain: boolean, cover: Cover): void {
  for (const { start, end } of values) {
    const value = text.slice(start, end);
    if (value === '' || PLACEHOLDER.test(value) || (!isPlain && SHORT.test(value))) continue;
    cover(start, end, MARKER);
  }
}

/** What a template fills in. */
const PLACEHOLDER = /^(?:\{\{.*\}\}|\$\{.*\}|\$\(.*\)|<[\w -]+>)$/;
/** Base64 of fewer than six bytes: as with declared secrets, innocent text is full of it. */
const SHORT = /^(?:[\w+/]{0,7}|[\w+/]{6}==|[\w+/]{7}=)$/;

function columnOf(text: string, at: number): number {
  return at - 1 - text.lastIndexOf('\n', at - 1);
}

/** What the keys behind some data say of the object that it is in; `unknown` where the text ends before they do. */
type Kind = 'secret' | 'other' | 'none' | 'unknown';

function kindBehindBlock(text: string, end: number, column: number): Kind {
  SIBLING.lastIndex = end;
  for (let line = SIBLING.exec(text); line !== null; line = SIBLING.exec(text)) {
    const [, indent = '', rest = ''] = line;
    if (rest === '') continue;
    if (indent.length < column || rest.startsWith('-')) return 'none';
    if (indent.length > column || !/^kind:/i.test(rest)) continue;
    return /^kind:[ \t]*["']?secret["']?\s*$/i.test(rest) ? 'secret' : 'other';
  }
  return 'unknown';
}

const SIBLING = /([ \t]*)([^\n]*)\n/y;

function kindBehindObject(text: string, end: number): Kind {
  const behind = text.slice(end, end + MAX_BEHIND);
  const name = KIND_BEHIND.exec(behind)?.[1];
  if (name !== undefined) return /^secret$/i.test(name) ? 'secret' : 'other';
  return behind.length < MAX_BEHIND && !/^\s*[\]}]/.test(behind) ? 'unknown' : 'none';
}

const KIND_BEHIND = /^\s*,(?:\s*\\*"immutable\\*"\s*:\s*\w+\s*,)?\s*\\*"kind\\*"\s*:\s*\\*"(\w+)\W/i;
const MAX_BEHIND = 200;
