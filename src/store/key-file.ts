import { AxError } from '../errors.ts';
import { encodeBase64url } from '../security/base64.ts';
import type { Expiring } from '../security/expiry.ts';
import { decodeUtf8, type JsonValue, parseJson } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import { malformed, type ParsedJwk, parseJwk } from '../security/jwk.ts';
import { type ProtectedText, parseProtected, type ScryptParameters } from '../security/passphrase.ts';
import { readPrivateFile, writeFileAtomic } from './files.ts';
import type { Vault } from './vault.ts';

/**
 * One key as a private file: its role, when it was made and when it expires, and the JWK, or its public part beside the private part
 * under a passphrase.
 */

/**
 * signing: manifests, with the private part or, where an ssh-agent has that, without. approval: approvals alone.
 * host: receipts; of another host, the public part alone. receipt: the key that wraps the content keys of receipts.
 * recipient: an X25519 key that they are wrapped for as well, with its private part or, for a reader elsewhere,
 * without.
 */
const KEY_ROLES = ['signing', 'approval', 'host', 'receipt', 'recipient'] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

/** kty, crv, x and kid, whatever else the file says. */
type PublicJwk = { readonly [member: string]: JsonValue };

export interface StoredKey extends Expiring {
  readonly kid: string;
  readonly role: KeyRole;
  readonly algorithm: ParsedJwk['algorithm'];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** The public part alone; null for a secret, which has none. */
  readonly publicJwk: PublicJwk | null;
  /** How the private part is protected by a passphrase; null when it is not. */
  readonly protection: ProtectedText | null;
  /**
   * False for a public key alone: what is sealed to it cannot be opened here; what it signs, an ssh-agent signs, or
   * another host.
   */
  readonly hasPrivatePart: boolean;
  /**
   * The JWK: with its private part, where that is here.
   *
   * @throws KEYRING_LOCKED, PASSPHRASE_WRONG, KEY_MALFORMED for a protected key
   */
  readonly open: () => JsonValue;
}

const ALGORITHMS: Readonly<Record<KeyRole, readonly ParsedJwk['algorithm'][]>> = {
  signing: ['Ed25519', 'HS256'],
  approval: ['Ed25519'],
  host: ['Ed25519'],
  receipt: ['A256KW'],
  recipient: ['X25519'],
};

/** Roles of which the public part alone is a key to work with. */
const PUBLIC_ALONE: readonly KeyRole[] = ['signing', 'host', 'recipient'];

/** @throws KEY_MALFORMED, KEY_PERMISSIONS, IO */
export function readKeyFile(path: string, uid: number, vault: Vault): StoredKey {
  const bytes = readPrivateFile(path, uid);
  const value = bytes === null ? null : parseKeyFile(bytes, path);
  if (!isObject(value)) throw malformed(path, 'expected a key file');
  const { role, createdAt, expiresAt: end, jwk, protected: sealed, ...others } = value;
  // A member that is not known may be one of those misspelt, and the key another thing without it.
  const [other] = Object.keys(others);
  if (other !== undefined) throw malformed(path, `expected no member ${JSON.stringify(other)}`);
  if (!isRole(role)) throw malformed(path, `role: expected one of ${KEY_ROLES.join(', ')}`);
  const times = {
    createdAt: parseTime(createdAt, `${path}: createdAt`),
    expiresAt: end === undefined ? undefined : parseTime(end, `${path}: expiresAt`),
  };
  if (sealed !== undefined) return protectedKey(path, { role, times, jwk, sealed }, vault);
  const key = parseKeyFor(role, jwk, path);
  requireName(path, key.kid);
  return {
    kid: key.kid,
    role,
    algorithm: key.algorithm,
    ...times,
    publicJwk: publicPartOf(key),
    protection: null,
    hasPrivatePart: hasPrivatePart(key),
    open: () => jwk as JsonValue,
  };
}

type Times = Pick<StoredKey, 'createdAt' | 'expiresAt'>;

function parseTime(value: unknown, where: string): number {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time)) throw malformed(where, 'expected a time');
  return time;
}

/** In clear is what a key is and its public part; all of it is held against the private part when that is opened. */
function protectedKey(
  path: string,
  { role, times, jwk, sealed }: { role: KeyRole; times: Times; jwk: unknown; sealed: unknown },
  vault: Vault,
): StoredKey {
  const { algorithm, kid, publicJwk } = parseClear(role, jwk, path);
  requireName(path, kid);
  const protection = parseProtected(sealed, { kid, role }, path);
  return {
    kid,
    role,
    algorithm,
    ...times,
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

function publicPartOf(key: ParsedJwk): PublicJwk | null {
  if ('k' in key) return null;
  return { kty: 'OKP', crv: key.algorithm, x: encodeBase64url(key.x), kid: key.kid };
}

function requireName(path: string, kid: string): void {
  if (!path.endsWith(`/${kid}.json`)) throw malformed(path, `expected its name to be ${kid}.json`);
}

/**
 * The parts are checked against each other when the key is used; that takes a millisecond a key.
 *
 * @throws KEY_MALFORMED when it is not a key for this role
 */
export function parseKeyFor(role: KeyRole, jwk: unknown, where: string): ParsedJwk {
  const key = parseJwk(jwk, where);
  if (!ALGORITHMS[role].some((algorithm) => algorithm === key.algorithm)) {
    const expected = ALGORITHMS[role].join(', ');
    throw malformed(where, `expected a key for ${role} (${expected}), found ${key.algorithm}`);
  }
  if (hasPrivatePart(key) || PUBLIC_ALONE.includes(role)) return key;
  throw malformed(where, `expected a private key for ${role}, found a public one (it has no member d)`);
}

export function hasPrivatePart(key: ParsedJwk): boolean {
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

/** With null, the private part is not protected. */
export type Protection = { readonly vault: Vault; readonly scrypt: ScryptParameters } | null;

/**
 * Writes a key in one atomic step; a file that is there is replaced.
 *
 * @throws KEYRING_LOCKED, PASSPHRASE_WRONG, KEY_MALFORMED, IO, STORE_FULL
 */
export function writeKeyFile(
  path: string,
  { role, createdAt, expiresAt, jwk }: { role: KeyRole; jwk: JsonValue } & Times,
  protection: Protection,
): void {
  const content = protection === null ? { jwk } : seal(role, jwk, protection);
  const times = {
    createdAt: new Date(createdAt).toISOString(),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() }),
  };
  const file = { role, ...times, ...content };
  writeFileAtomic(path, `${JSON.stringify(file, null, 2)}\n`, 0o600);
}

function seal(role: KeyRole, jwk: JsonValue, { vault, scrypt }: NonNullable<Protection>): object {
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
