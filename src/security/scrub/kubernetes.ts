/**
 * The values of Kubernetes' Secrets, in manifests as people write them and as kubectl prints them: what is under `data`
 * and `stringData` of an object whose kind is Secret, whatever it looks like.
 */
import { table } from './assignment.ts';
import { type Entries, readBlock, readObject } from './manifest-values.ts';
import { matcher } from './matcher.ts';
import type { Cover, Sight } from './sight.ts';

/** Ends of `kind`, and of `data` and `stringData`, in YAML, in JSON, and in JSON that is a text in JSON. */
export const KIND_KEYWORDS: readonly string[] = ['kind:', 'kind"', 'kind\\"'];
export const DATA_KEYWORDS: readonly string[] = ['data:', 'data"', 'data\\"'];
export const VERSION_KEYWORD = 'apiversion';

/** What of an object was met last. */
export interface Met {
  /** Where an `apiVersion` was, in bytes from the stream's start. */
  version: number;
  /** The object that said last that it is a Secret: where, and the column of its keys in their lines. */
  secret: { readonly at: number; readonly column: number } | undefined;
}

/** So far behind its kind an object's data is looked for, and so much of it is held back until all is there. */
const REACH = 64 * 1024;
const MARKER = '[credential:kubernetes-secret]';

const kind = matcher(() => /kind\\*["']?[ \t]{0,20}:\s{0,20}\\*["']?(?=\w)/iy);
const secret = matcher(() => /secret(?![\w-])/iy);
const block = matcher(() => /data:[ \t]{0,200}\r?\n/iy);
const object = matcher(() => /data\\*"\s{0,20}:\s{0,20}\{/iy);
/** The first key of all, in the order of the alphabet, and what is between it and the next. */
const version = matcher(() => /apiVersion\\*["']?\s{0,20}:[^\n,]{1,80}[\n,]\s{0,80}\\{0,8}["']?/iy);
const versionName = matcher(() => /apiVersion\\*["']?\s{0,20}:/iy);
const MAX_BEFORE = 200;

/** Takes note of the version that an object says here. */
export function meetVersion(sight: Sight, start: number, met: Met): void {
  if (versionName(sight, start) !== -1) met.version = sight.base + start;
}

/** Takes note of the kind that an object says here. */
export function meetKind(sight: Sight, start: number, met: Met): void {
  const name = kind(sight, start);
  if (name === -1) return;
  const isSecret = secret(sight, name) !== -1;
  if (!isSecret && met.secret === undefined) return;
  const column = columnOf(sight.bytes, start);
  if (isSecret) met.secret = { at: sight.base + start, column };
  // What is further in is a part of the same object: an owner, a reference.
  else if (met.secret !== undefined && column <= met.secret.column) met.secret = undefined;
}

/**
 * Covers the values of the data that begins here, if it is a Secret's: of the one that was met, or of one whose kind
 * comes behind it, as in what kubectl prints.
 *
 * @returns false where only more input can tell.
 */
export function coverData(sight: Sight, start: number, met: Met, cover: Cover): boolean {
  const { bytes, text, base, final } = sight;
  const mayBeFirst = base + start - met.version <= MAX_BEFORE;
  const isNear = met.secret !== undefined && base + start - met.secret.at <= REACH;
  if (!mayBeFirst && !isNear) return true;
  const isPlain =
    IN_NAME[bytes[start - 1] ?? 0] === 1 && /string$/i.test(text.slice(Math.max(0, start - 6), start));
  const key = isPlain ? start - 6 : start;
  // Not that of `metadata`.
  if (BEFORE_KEY[bytes[key - 1] ?? LINE_FEED] === 0) return true;
  const inBlock = bytes[start + 'data'.length] === COLON;
  const body = (inBlock ? block : object)(sight, start);
  if (body === -1) return true;
  // In JSON, columns say nothing.
  const column = inBlock ? columnOf(bytes, key) : 0;
  const isMet = isNear && (!inBlock || column === met.secret?.column);
  const isFirst = mayBeFirst && version(sight, met.version - base) === key;
  if (!isMet && !isFirst) return true;

  const isCut = (end: number): boolean => !final && end >= text.length && text.length - start < REACH;
  const entries = inBlock ? readBlock(text, body, column) : readObject(text, body);
  if (isCut(entries.end)) return false;
  if (isFirst) {
    const kindBehind = inBlock ? kindBehindBlock : kindBehindObject;
    const behind = kindBehind(text, entries.end, column);
    if (behind === 'unknown' && isCut(text.length)) return false;
    if (behind === 'other' || (behind !== 'secret' && !isMet)) return true;
  }
  coverValues(text, entries, isPlain, cover);
  return true;
}

function coverValues(text: string, { values }: Entries, isPlain: boolean, cover: Cover): void {
  for (const { start, end } of values) {
    const value = text.slice(start, end);
    if (value === '' || (!isPlain && SHORT.test(value)) || PLACEHOLDER.test(value)) continue;
    cover(start, end, MARKER);
  }
}

/** What a template fills in. */
const PLACEHOLDER = /^(?:\{\{.*\}\}|\$\{.*\}|\$\(.*\)|<[\w -]+>)$/;
/** Base64 of fewer than six bytes: as with declared secrets, innocent text is full of it. */
const SHORT = /^(?:[\w+/]{0,7}|[\w+/]{6}==|[\w+/]{7}=)$/;

/** As far as anyone indents: a line may be as long as the text. */
function columnOf(bytes: Uint8Array, at: number): number {
  const least = Math.max(0, at - MAX_COLUMN);
  let start = at;
  while (start > least && bytes[start - 1] !== LINE_FEED) start--;
  return at - start;
}

const LINE_FEED = 0x0a;
const COLON = 0x3a;
const IN_NAME = table('', true);
const BEFORE_KEY = table(' \t\n\v\f\r\xa0"\'-', false);
const MAX_COLUMN = 200;

/** What the keys behind some data say of the object that it is in; `unknown` where the text ends before they do. */
type Kind = 'secret' | 'other' | 'none' | 'unknown';

function kindBehindBlock(text: string, end: number, column: number): Kind {
  SIBLING.lastIndex = end;
  for (let count = 0, line = SIBLING.exec(text); line !== null; count++, line = SIBLING.exec(text)) {
    if (count === MAX_SIBLINGS) return 'none';
    const [, indent = '', rest = ''] = line;
    if (rest === '') continue;
    if (indent.length < column || /^(?:-|apiVersion:)/.test(rest)) return 'none';
    if (indent.length > column || !/^kind:/i.test(rest)) continue;
    return /^kind:[ \t]*["']?secret["']?\s*$/i.test(rest) ? 'secret' : 'other';
  }
  return 'unknown';
}

/** Its kind is the next key but for `immutable`; more of them would be read again for every object. */
const MAX_SIBLINGS = 8;
const SIBLING = /([ \t]*)([^\n]*)\n/y;

function kindBehindObject(text: string, end: number): Kind {
  const behind = text.slice(end, end + MAX_BEHIND);
  const name = KIND_BEHIND.exec(behind)?.[1];
  if (name !== undefined) return /^secret$/i.test(name) ? 'secret' : 'other';
  return behind.length < MAX_BEHIND && !/^\s*[\]}]/.test(behind) ? 'unknown' : 'none';
}

const KIND_BEHIND = /^\s*,(?:\s*\\*"immutable\\*"\s*:\s*\w+\s*,)?\s*\\*"kind\\*"\s*:\s*\\*"(\w+)\W/i;
const MAX_BEHIND = 200;
