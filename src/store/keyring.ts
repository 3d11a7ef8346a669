import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { AxError } from '../errors.ts';
import { encodeBase64url } from '../security/base64.ts';
import { decodeUtf8, type JsonValue, parseJson } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import { malformed, type ParsedJwk, parseJwk } from '../security/jwk.ts';
import { type ProtectedText, parseProtected, type ScryptParameters } from '../security/passphrase.ts';
import {
  ensurePrivateDirectory,
  readPrivateFile,
  refuseLooseParent,
  throwIo,
  writeFileAtomic,
} from './files.ts';
import { describeRevocation, loadRevocations, type Revocation } from './revocations.ts';
import { createVault, type Vault } from './vault.ts';

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
  /**
   * The JWK: with its private part, but for a recipient elsewhere. Of a protected key it is opened when it is asked
   * for; @throws KEYRING_LOCKED, PASSPHRASE_WRONG, KEY_MALFORMED
   */
  readonly jwk: JsonValue;
  /** The public part alone; null for a secret, which has none. */
  readonly publicJwk: JsonValue | null;
  /** How the private part is protected by a passphrase; null when it is not. */
  readonly protection: ProtectedText | null;
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

/** Opens no protected key. */
const LOCKED = createVault(() => new Uint8Array());

const FILE_NAME = /^[A-Za-z0-9_-]{43}\.json$/;

/**
 * Every key, oldest first. Without a vault the private parts of protected keys stay closed.
 *
 * @throws KEY_MALFORMED, KEY_PERMISSIONS, IO; a key that cannot be read is never passed over
 */
export function loadKeyring(keysDir: string, uid: number, vault = LOCKED): Keyring {
  const entries = keyFiles(keysDir, uid).map((name) => readKey(join(keysDir, name), uid, vault));
  const revocations = loadRevocations(keysDir, uid);
  entries.sort((a, b) => a.createdAt - b.createdAt || (a.kid < b.kid ? -1 : 1));
  return entries.map((entry, index) => {
    const revocation = revocations.get(entry.kid) ?? null;
    const superseded = entries.slice(index + 1).some((later) => supersedes(later, entry));
    return entryOf(entry, revocation ? 'revoked' : superseded ? 'retired' : 'active', revocation);
  });
}

function supersedes(later: { role: KeyRole }, entry: { role: KeyRole }): boolean {
  return later.role === entry.role && entry.role !== 'recipient';
}

function keyFiles(keysDir: string, uid: number): string[] {
  if (!existsSync(keysDir)) return [];
  refuseLooseParent(keysDir, uid);
  ensurePrivateDirectory(keysDir, uid);
  try {
    return readdirSync(keysDir).filter((name) => FILE_NAME.test(name));
  } catch (error) {
    throwIo(`read the keys in ${keysDir}`, error);
  }
}

interface StoredKey extends Omit<KeyEntry, 'state' | 'revocation' | 'jwk'> {
  readonly open: () => JsonValue;
}

function entryOf(
  { open, ...key }: StoredKey,
  state: KeyEntry['state'],
  revocation: Revocation | null,
): KeyEntry {
  return {
    ...key,
    state,
    revocation,
    get jwk() {
      return open();
    },
  };
}

function readKey(path: string, uid: number, vault: Vault): StoredKey {
  const bytes = readPrivateFile(path, uid);
  const value = bytes === null ? null : parseKeyFile(bytes, path);
  if (!isObject(value)) throw malformed(path, 'expected a key file');
  const { role, createdAt, jwk, protected: sealed } = value;
  if (!isRole(role)) throw malformed(path, `role: expected one of ${KEY_ROLES.join(', ')}`);
  const at = typeof createdAt === 'string' ? Date.parse(createdAt) : Number.NaN;
  if (Number.isNaN(at)) throw malformed(path, 'createdAt: expected a time');
  if (sealed !== undefined) return protectedKey(path, { role, createdAt: at, jwk, sealed }, vault);
  const key = parseKeyFor(role, jwk, path);
  requireName(path, key.kid);
  return {
    kid: key.kid,
    role,
    algorithm: key.algorithm,
    createdAt: at,
    publicJwk: publicPartOf(key),
    protection: null,
    hasPrivatePart: hasPrivatePart(key),
    open: () => jwk as JsonValue,
  };
}

/** In clear is what a key is and its public part; all of it is held against the private part when that is opened. */
function protectedKey(
  path: string,
  { role, createdAt, jwk, sealed }: { role: KeyRole; createdAt: number; jwk: unknown; sealed: unknown },
  vault: Vault,
): StoredKey {
  const { algorithm, kid, publicJwk } = parseClear(role, jwk, path);
  requireName(path, kid);
  const protection = parseProtected(sealed, { kid, role }, path);
  return {
    kid,
    role,
    algorithm,
    createdAt,
    publicJwk,
    protection,
    hasPrivatePart: true,
    open() {
      const opened = parseKeyFile(Buffer.from(vault.open(protection, { kid, role })), path);
      const key = parseKeyFor(role, opened, path);
      if (key.kid === kid && key.algorithm === algorithm && hasPrivatePart(key)) return opened;
      throw malformed(path, 'protected: expected the private part of this key, found another');
    },
  };
}

function parseClear(role: KeyRole, jwk: unknown, path: string) {
  if (isObject(jwk) && jwk.kty === 'oct') {
    const { alg, kid, k } = jwk;
    const algorithm = ALGORITHMS[role].find((known) => known === alg);
    if (algorithm === undefined || typeof kid !== 'string' || k !== undefined) {
      throw malformed(path, `expected alg and kid of a secret for ${role}, and not the secret`);
    }
    return { algorithm, kid, publicJwk: null };
  }
  const key = parseJwk(jwk, path);
  if (hasPrivatePart(key) || !ALGORITHMS[role].includes(key.algorithm)) {
    throw malformed(path, `expected a public key for ${role} beside its protected private part`);
  }
  return { algorithm: key.algorithm, kid: key.kid, publicJwk: publicPartOf(key) };
}

function publicPartOf(key: ParsedJwk): JsonValue | null {
  if ('k' in key) return null;
  return { kty: 'OKP', crv: key.algorithm, x: encodeBase64url(key.x), kid: key.kid };
}

function requireName(path: string, kid: string): void {
  if (!path.endsWith(`/${kid}.json`)) throw malformed(path, `expected its name to be ${kid}.json`);
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
 * @throws KEYRING_LOCKED, PASSPHRASE_WRONG where keys are protected: none is added that is not
 */
export function addKey(
  keysDir: string,
  key: { role: KeyRole; jwk: { kid: string }; now: number; uid: number; vault?: Vault },
): KeyEntry {
  ensurePrivateDirectory(keysDir, key.uid);
  const keyring = loadKeyring(keysDir, key.uid, key.vault);
  const newest = newestKey(keyring, key.role);
  // A clock that was set back must not make the new key look older than the one it takes over from.
  const createdAt = Math.max(key.now, (newest?.createdAt ?? 0) + 1);
  const path = join(keysDir, `${key.jwk.kid}.json`);
  // A file that cannot be read again would make the whole keyring unreadable.
  const parsed = parseKeyFor(key.role, key.jwk, path);
  const { role, uid, vault = LOCKED } = key;
  // Where keys are protected, a new one is too, by the same passphrase.
  const like = provePassphrase(keyring);
  const jwk = key.jwk as unknown as JsonValue;
  const content =
    like !== null && hasPrivatePart(parsed) ? seal(role, jwk, { vault, scrypt: like }) : { jwk };
  writeKey(path, { role, createdAt }, content);
  return entryOf(readKey(path, uid, vault), 'active', null);
}

/**
 * Opens one protected key, so that nothing is begun that would want them in vain.
 *
 * @returns how it is protected; null where no key is
 * @throws KEYRING_LOCKED, PASSPHRASE_WRONG
 */
export function provePassphrase(keyring: Keyring): ScryptParameters | null {
  const entry = keyring.findLast(({ protection }) => protection !== null);
  if (entry === undefined || entry.protection === null || entry.jwk === null) return null;
  return entry.protection.scrypt;
}

/**
 * Replaces the file of a key by one that protects its private part, or with null by one that does not; in one
 * atomic step, so the key is there before and after.
 *
 * @throws KEYRING_LOCKED, PASSPHRASE_WRONG, IO, STORE_FULL
 */
export function rewriteKey(
  keysDir: string,
  { kid, role, createdAt, jwk }: KeyEntry,
  protection: { vault: Vault; scrypt: ScryptParameters } | null,
): void {
  const content = protection === null ? { jwk } : seal(role, jwk, protection);
  writeKey(join(keysDir, `${kid}.json`), { role, createdAt }, content);
}

function seal(
  role: KeyRole,
  jwk: JsonValue,
  { vault, scrypt }: { vault: Vault; scrypt: ScryptParameters },
): object {
  const key = parseKeyFor(role, jwk, 'key');
  const { kid, algorithm } = key;
  const text = JSON.stringify(jwk);
  const sealed = vault.seal(text, { kid, role }, scrypt);
  // The only copy of a key is about to be replaced by this.
  if (vault.open(parseProtected(sealed, { kid, role }, 'key'), { kid, role }) !== text) {
    throw new AxError('INTERNAL', `key ${kid}: what was sealed does not open again`);
  }
  return { jwk: publicPartOf(key) ?? { kty: 'oct', alg: algorithm, kid }, protected: sealed };
}

function writeKey(path: string, about: { role: KeyRole; createdAt: number }, content: object): void {
  const file = { role: about.role, createdAt: new Date(about.createdAt).toISOString(), ...content };
  writeFileAtomic(path, `${JSON.stringify(file, null, 2)}\n`, 0o600);
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
