import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { AxError } from '../errors.ts';
import { decodeUtf8, type JsonValue, parseJson } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import { malformed, type ParsedJwk, parseJwk } from '../security/jwk.ts';
import { ensurePrivateDirectory, readPrivateFile, throwIo, writeFileAtomic } from './files.ts';
import { describeRevocation, loadRevocations, type Revocation } from './revocations.ts';

/**
 * The keyring: one private file for each key, written once, and one for each that was revoked. Which key of a role
 * is in use follows from their dates alone: the newest is active, the others are retired. A revoked key is never in
 * use, and none that it had taken over from comes back in its place. So adding a key is the whole of a rotation's
 * decision, in one atomic step, and two rotations at once leave two keys and no doubt. Recipients do not take
 * over from each other: they are the keys of several readers, and all of them are active.
 */

/**
 * signing: manifests. host: receipts. receipt: the key that wraps the content keys of receipts. recipient: an
 * X25519 key that they are wrapped for as well, with its private part or, for a reader elsewhere, without.
 */
export const KEY_ROLES = ['signing', 'host', 'receipt', 'recipient'] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

export interface KeyEntry {
  readonly kid: string;
  readonly role: KeyRole;
  readonly algorithm: ParsedJwk['algorithm'];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly state: 'active' | 'retired' | 'revoked';
  readonly revocation: Revocation | null;
  /** The JWK: with its private part, but for a recipient elsewhere. */
  readonly jwk: JsonValue;
  /** False for a public key alone: what is sealed to it cannot be opened here. */
  readonly hasPrivatePart: boolean;
}

export type Keyring = readonly KeyEntry[];

const ALGORITHMS: Readonly<Record<KeyRole, readonly ParsedJwk['algorithm'][]>> = {
  signing: ['Ed25519', 'HS256'],
  host: ['Ed25519'],
  receipt: ['A256KW'],
  recipient: ['X25519'],
};

const FILE_NAME = /^[A-Za-z0-9_-]{43}\.json$/;

/**
 * Every key, oldest first.
 *
 * @throws KEY_MALFORMED, KEY_PERMISSIONS, IO; a key that cannot be read is never passed over
 */
export function loadKeyring(keysDir: string, uid: number): Keyring {
  const entries = keyFiles(keysDir, uid).map((name) => readKey(join(keysDir, name), uid));
  const revocations = loadRevocations(keysDir, uid);
  entries.sort((a, b) => a.createdAt - b.createdAt || (a.kid < b.kid ? -1 : 1));
  return entries.map((entry, index) => {
    const revocation = revocations.get(entry.kid) ?? null;
    const superseded = entries.slice(index + 1).some((later) => supersedes(later, entry));
    return { ...entry, revocation, state: revocation ? 'revoked' : superseded ? 'retired' : 'active' };
  });
}

function supersedes(later: { role: KeyRole }, entry: { role: KeyRole }): boolean {
  return later.role === entry.role && entry.role !== 'recipient';
}

function keyFiles(keysDir: string, uid: number): string[] {
  if (!existsSync(keysDir)) return [];
  ensurePrivateDirectory(keysDir, uid);
  try {
    return readdirSync(keysDir).filter((name) => FILE_NAME.test(name));
  } catch (error) {
    throwIo(`read the keys in ${keysDir}`, error);
  }
}

type StoredKey = Omit<KeyEntry, 'state' | 'revocation'>;

function readKey(path: string, uid: number): StoredKey {
  const bytes = readPrivateFile(path, uid);
  const value = bytes === null ? null : parseKeyFile(bytes, path);
  if (!isObject(value)) throw malformed(path, 'expected a key file');
  const { role, createdAt, jwk } = value;
  if (!isRole(role)) throw malformed(path, `role: expected one of ${KEY_ROLES.join(', ')}`);
  const at = typeof createdAt === 'string' ? Date.parse(createdAt) : Number.NaN;
  if (Number.isNaN(at)) throw malformed(path, 'createdAt: expected a time');
  const key = parseKeyFor(role, jwk, path);
  if (!path.endsWith(`${key.kid}.json`)) throw malformed(path, `expected its name to be ${key.kid}.json`);
  return {
    kid: key.kid,
    role,
    algorithm: key.algorithm,
    createdAt: at,
    jwk: jwk as JsonValue,
    hasPrivatePart: hasPrivatePart(key),
  };
}

/** The parts are checked against each other when the key is used; that takes a millisecond a key. */
function parseKeyFor(role: KeyRole, jwk: unknown, where: string): ParsedJwk {
  const key = parseJwk(jwk, where);
  if (!ALGORITHMS[role].some((algorithm) => algorithm === key.algorithm)) {
    const expected = ALGORITHMS[role].join(', ');
    throw malformed(where, `expected a key for ${role} (${expected}), found ${key.algorithm}`);
  }
  if (hasPrivatePart(key) || role === 'recipient') return key;
  throw malformed(where, `expected a private key for ${role}, found a public one (it has no member d)`);
}

function hasPrivatePart(key: ParsedJwk): boolean {
  return 'k' in key || key.d !== undefined;
}

function parseKeyFile(bytes: Buffer, path: string): JsonValue {
  try {
    return parseJson(decodeUtf8(bytes, path), path);
  } catch (error) {
    throw malformed(path, error instanceof Error ? error.message.replace(`${path}:`, 'line ') : 'not JSON');
  }
}

function isRole(value: unknown): value is KeyRole {
  return KEY_ROLES.some((role) => role === value);
}

/** The key of a role that is in use, of recipients the newest; undefined when there is none. */
export function activeKey(keyring: Keyring, role: KeyRole): KeyEntry | undefined {
  return keyring.findLast((entry) => entry.role === role && entry.state === 'active');
}

/** The newest key of a role, revoked or not: the one that a rotation takes over from. */
export function newestKey(keyring: Keyring, role: KeyRole): KeyEntry | undefined {
  return keyring.findLast((entry) => entry.role === role);
}

/** The keys that receipts are sealed to besides the receipt key. */
export function activeRecipients(keyring: Keyring): KeyEntry[] {
  return keyring.filter((entry) => entry.role === 'recipient' && entry.state === 'active');
}

/**
 * Adds a key, which becomes its role's active one, or one more recipient; durable on return. A file of that name
 * is replaced: whether a key is there already is the caller's question.
 *
 * @throws KEY_PERMISSIONS, KEY_MALFORMED, IO, STORE_FULL
 */
export function addKey(
  keysDir: string,
  key: { role: KeyRole; jwk: { kid: string }; now: number; uid: number },
): KeyEntry {
  ensurePrivateDirectory(keysDir, key.uid);
  const newest = newestKey(loadKeyring(keysDir, key.uid), key.role);
  // A clock that was set back must not make the new key look older than the one it takes over from.
  const createdAt = Math.max(key.now, (newest?.createdAt ?? 0) + 1);
  const path = join(keysDir, `${key.jwk.kid}.json`);
  // A file that cannot be read again would make the whole keyring unreadable.
  parseKeyFor(key.role, key.jwk, path);
  const content = { role: key.role, createdAt: new Date(createdAt).toISOString(), jwk: key.jwk };
  writeFileAtomic(path, `${JSON.stringify(content, null, 2)}\n`, 0o600);
  return { ...readKey(path, key.uid), state: 'active', revocation: null };
}

/**
 * The active key of a role.
 *
 * @throws KEY_UNKNOWN, KEY_REVOKED with the command that makes one
 */
export function requireKey(keyring: Keyring, role: KeyRole): KeyEntry {
  const entry = activeKey(keyring, role);
  if (entry !== undefined) return entry;
  const newest = newestKey(keyring, role);
  if (newest !== undefined) requireUnrevoked(newest);
  throw new AxError('KEY_UNKNOWN', `no ${role} key in the keyring`, {
    hint: `ax keys generate --role ${role}`,
  });
}

/** @throws KEY_REVOKED with the command that makes another */
export function requireUnrevoked({ kid, role, revocation }: KeyEntry): void {
  if (revocation === null) return;
  throw new AxError('KEY_REVOKED', `the ${role} key ${kid} was ${describeRevocation(revocation)}`, {
    hint: `ax keys rotate --role ${role}`,
  });
}
