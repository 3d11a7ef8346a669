import { isAxError } from '../errors.ts';
import { sha256Hex } from '../security/digest.ts';
import { decodeUtf8, type JsonValue, parseJson } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import { isLegacySeal, openLegacySeal, parseLegacySeal } from '../security/legacy-seal.ts';
import { createUlid } from '../security/ulid.ts';

/** A receipt of the store that was before ax, as it was read. What it says is its own, and nothing that ax has seen. */
export interface LegacyReceipt {
  /** The name of its file, without the folder. */
  readonly file: string;
  /** SHA-256, hex, of the file. */
  readonly sha256: string;
  /** Whether it was sealed. One in clear may have been written by anybody. */
  readonly sealed: boolean;
  readonly kind: string;
  readonly content: { readonly [name: string]: JsonValue };
  /** When it says it was made, in milliseconds since the epoch; 0 where that is no time. */
  readonly createdAt: number;
}

export type LegacyProblem =
  /** It is no receipt of that store, sealed or in clear. */
  | 'not-a-receipt'
  /** It claims to be sealed, and is not as that store sealed. */
  | 'malformed'
  /** None of the keys opens it: another key, or tampered with; nobody can tell which. */
  | 'not-opened'
  /** It holds another receipt than its name says, or one that its name does not vouch for among tampered ones. */
  | 'renamed';

export interface UnreadLegacy {
  readonly file: string;
  readonly problem: LegacyProblem;
  readonly detail: string;
}

/** True for a file whose seal has another form than that store gave it: someone has changed it. */
export function isMisshapen(bytes: Uint8Array, file: string): boolean {
  const value = parse(bytes, file);
  return isLegacySeal(value) && typeof parseLegacySeal(value) === 'string';
}

/**
 * Reads one file. Nothing in a sealed file ties it to its name, so a name of that store's form must be of what is
 * inside; and where other files of the folder were tampered with (`strict`), any other name is refused as well.
 */
export function readLegacy(
  { bytes, file }: { bytes: Uint8Array; file: string },
  { keys, strict }: { keys: readonly Buffer[]; strict: boolean },
): LegacyReceipt | UnreadLegacy {
  const unread = (problem: LegacyProblem, detail: string): UnreadLegacy => ({ file, problem, detail });
  const value = parse(bytes, file);
  let content = value;
  const sealed = isLegacySeal(value);
  if (sealed) {
    const seal = parseLegacySeal(value);
    if (typeof seal === 'string') return unread('malformed', seal);
    const plaintext = openLegacySeal(seal, keys);
    if (plaintext === undefined) {
      const detail = keys.length === 0 ? 'no key was given' : 'another key, or it was tampered with';
      return unread('not-opened', detail);
    }
    content = parse(plaintext, file);
  }
  if (!isReceipt(content))
    return unread(
      'not-a-receipt',
      `expected JSON, at most ${MAX_DEPTH} levels, with kind, planHash and createdAt`,
    );
  if (!isNameOf(file, content, strict)) {
    return unread('renamed', `expected a name of ${content.kind} at that time, found another`);
  }
  const { kind, createdAt } = content;
  return { file, sha256: sha256Hex(bytes), sealed, kind, content, createdAt: parseTime(createdAt) };
}

/**
 * The id under which it is stored: of the same file always the same, so that importing again finds what is there.
 * Its time is that of the original, and so is its place in a list.
 */
export function legacyId({ createdAt, sha256 }: LegacyReceipt, of: 'receipt' | 'run'): string {
  const digest = Buffer.from(sha256Hex(`ax.legacy-${of}/1\n${sha256}`), 'hex');
  return createUlid(createdAt, (count) => digest.subarray(0, count));
}

type Content = { readonly [name: string]: JsonValue } & {
  readonly kind: string;
  readonly planHash: string;
  readonly createdAt: string;
};

function isReceipt(value: unknown): value is Content {
  return (
    isObject(value) && ['kind', 'planHash', 'createdAt'].every((name) => typeof value[name] === 'string')
  );
}

/** Some levels less than a statement may have, for it goes into one. */
const MAX_DEPTH = 28;

/** undefined for what is no JSON in strict UTF-8: not one of that store's files. */
function parse(bytes: Uint8Array, file: string): JsonValue | undefined {
  try {
    return parseJson(decodeUtf8(bytes, file), file, { maxDepth: MAX_DEPTH });
  } catch (error) {
    if (isAxError(error, 'JSON_MALFORMED')) return undefined;
    throw error;
  }
}

/** `<time>-<KIND>-<plan>.json`, the time with a hyphen for whatever is neither letter nor digit. */
const NAME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}[A-Za-z0-9-]*-[A-Z]+-.*\.json$/;

function isNameOf(file: string, { createdAt, kind }: Content, strict: boolean): boolean {
  if (file.startsWith(`${createdAt.replace(/[^A-Za-z0-9]/g, '-')}-${kind}-`)) return true;
  return !strict && !NAME.test(file);
}

/** The last millisecond that a ULID can have. */
const MAX_TIME = 2 ** 48 - 1;

/** Without its zone a time is read differently from machine to machine, and the id with it. */
const ZONED = /(?:Z|[+-][0-9]{2}:?[0-9]{2})(?: ?\([A-Z]+\))?$/;

function parseTime(text: string): number {
  const at = ZONED.test(text) ? Date.parse(text) : Number.NaN;
  return at >= 0 && at <= MAX_TIME ? at : 0;
}
