import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decodeUtf8, parseJson } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import { malformed } from '../security/jwk.ts';
import {
  createFileAtomic,
  ensurePrivateDirectory,
  readPrivateFile,
  refuseLooseParent,
  throwIo,
} from './files.ts';

/**
 * Keys that count no more: one private file for each, beside the keys and never changed or removed by ax. It names
 * a key by its thumbprint alone, so a colleague's key, which this machine only trusts, is revoked the same way.
 */
export interface Revocation {
  /**
   * Milliseconds since the epoch, by the clock of this machine; of a revocation that another machine stated, the
   * time that it stated, and never a later one than when it was recorded here.
   */
  readonly at: number;
  readonly reason: string | null;
}

/** By kid. */
export type Revocations = ReadonlyMap<string, Revocation>;

const FILE_NAME = /^([A-Za-z0-9_-]{43})\.revoked\.json$/;
/** One line that is safe to print. */
const REASON = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,200}$/u;

/** True for a text that can be the reason of a revocation: one line of 1 to 200 characters. */
export function isReason(text: string): boolean {
  return REASON.test(text) && text.isWellFormed();
}

/**
 * Every revocation.
 *
 * @throws KEY_MALFORMED, KEY_PERMISSIONS, IO; one that cannot be read is never passed over
 */
export function loadRevocations(keysDir: string, uid: number): Revocations {
  if (!existsSync(keysDir)) return new Map();
  refuseLooseParent(keysDir, uid);
  ensurePrivateDirectory(keysDir, uid);
  const kids = namesIn(keysDir).flatMap((name) => FILE_NAME.exec(name)?.[1] ?? []);
  return new Map(kids.map((kid) => [kid, readRevocation(pathOf(keysDir, kid), uid)]));
}

function namesIn(keysDir: string): string[] {
  try {
    return readdirSync(keysDir);
  } catch (error) {
    throwIo(`read the revocations in ${keysDir}`, error);
  }
}

function readRevocation(path: string, uid: number): Revocation {
  const bytes = readPrivateFile(path, uid);
  const value = bytes === null ? null : parse(bytes, path);
  if (!isObject(value)) throw malformed(path, 'expected a revocation');
  const { revokedAt, reason = null } = value;
  const at = typeof revokedAt === 'string' ? Date.parse(revokedAt) : Number.NaN;
  if (Number.isNaN(at)) throw malformed(path, 'revokedAt: expected a time');
  if (reason !== null && (typeof reason !== 'string' || !isReason(reason))) {
    throw malformed(path, 'reason: expected one line of up to 200 characters');
  }
  return { at, reason };
}

function parse(bytes: Buffer, path: string): unknown {
  try {
    return parseJson(decodeUtf8(bytes, path), path);
  } catch (error) {
    throw malformed(path, error instanceof Error ? error.message.replace(`${path}:`, 'line ') : 'not JSON');
  }
}

/**
 * Revokes a key for good, in one atomic step: killed at any moment, there is the whole file or none. `record` is
 * called right before it gets its name, so a crash may leave an audit record without a revocation, never the reverse.
 *
 * @throws KEY_PERMISSIONS, IO (also when the key is revoked already), STORE_FULL, and what `record` throws
 */
export function revokeKey(
  keysDir: string,
  { kid, revocation, uid }: { kid: string; revocation: Revocation; uid: number },
  record: () => void,
): void {
  ensurePrivateDirectory(keysDir, uid);
  const { at, reason } = revocation;
  const content = { revokedAt: new Date(at).toISOString(), ...(reason === null ? {} : { reason }) };
  createFileAtomic(
    pathOf(keysDir, kid),
    { content: `${JSON.stringify(content, null, 2)}\n`, mode: 0o600 },
    record,
  );
}

function pathOf(keysDir: string, kid: string): string {
  return join(keysDir, `${kid}.revoked.json`);
}

/** The refusal's words for a revoked key: when, and why if somebody said. */
export function describeRevocation({ at, reason }: Revocation): string {
  return `revoked at ${new Date(at).toISOString()}${reason === null ? '' : ` (${reason})`}`;
}
