/**
 * JSON Web Keys (RFC 7517) of the four kinds that ax uses, and their names (RFC 7638).
 *
 * | algorithm | JWK                            | for                                     |
 * |-----------|--------------------------------|-----------------------------------------|
 * | Ed25519   | kty OKP, crv Ed25519, x, d     | signatures (RFC 8037)                   |
 * | HS256     | kty oct, alg HS256, k          | signatures of a team that shares a key  |
 * | A256KW    | kty oct, alg A256KW, k         | receipts, to read and write             |
 * | X25519    | kty OKP, crv X25519, x, d      | receipts, to write (x) or read (d)      |
 */
import { createHash } from 'node:crypto';
import { AxError } from '../errors.ts';
import { decodeBase64url, encodeBase64url } from './base64.ts';
import { canonicalJson } from './canonical.ts';
import { KEY_BYTES } from './curve25519.ts';
import { type Expiring, parseNumericDate, toNumericDate } from './expiry.ts';
import { isObject, kindOf, nameOf } from './json-shape.ts';

export type Ed25519PublicJwk = { kty: 'OKP'; crv: 'Ed25519'; x: string; kid: string; exp?: number };
export type Ed25519PrivateJwk = Ed25519PublicJwk & { d: string };
export type X25519PublicJwk = { kty: 'OKP'; crv: 'X25519'; x: string; kid: string; exp?: number };
export type X25519PrivateJwk = X25519PublicJwk & { d: string };
export type SymmetricJwk = { kty: 'oct'; alg: 'HS256' | 'A256KW'; k: string; kid: string };

/** A JWK whose members have the right form. Whether x is a point, and d belongs to it, is still to be asked. */
export type ParsedJwk = (
  | {
      readonly algorithm: 'Ed25519' | 'X25519';
      readonly kid: string;
      readonly x: Buffer;
      readonly d?: Buffer;
    }
  | { readonly algorithm: 'HS256' | 'A256KW'; readonly kid: string; readonly k: Buffer }
) &
  Expiring;

/** The members that RFC 7638 section 3.2 and RFC 8037 section 2 make the name of a key. */
type NamedMembers = { kty: 'OKP'; crv: string; x: string } | { kty: 'oct'; k: string };

interface Kind {
  readonly use: 'sig' | 'enc';
  /** What `alg` may say where the curve has already told the algorithm. */
  readonly alg?: readonly unknown[];
  readonly minBytes: number;
  readonly maxBytes: number;
}

const KINDS: Record<ParsedJwk['algorithm'], Kind> = {
  // RFC 9864 says Ed25519, RFC 8037 still said EdDSA.
  Ed25519: { use: 'sig', alg: ['Ed25519', 'EdDSA'], minBytes: KEY_BYTES, maxBytes: KEY_BYTES },
  X25519: { use: 'enc', alg: ['ECDH-ES+A256KW'], minBytes: KEY_BYTES, maxBytes: KEY_BYTES },
  // RFC 7518 section 3.2: no shorter than the hash. The upper end is ax's, so that there is one.
  HS256: { use: 'sig', minBytes: 32, maxBytes: 128 },
  A256KW: { use: 'enc', minBytes: 32, maxBytes: 32 },
};

/**
 * The RFC 7638 thumbprint: SHA-256, base64url. Everything that names a key in ax is this. For a symmetric key
 * it is a hash of the secret, which tells nothing only because the secret is random (RFC 7638 section 7).
 */
export function thumbprint(jwk: NamedMembers): string {
  const named = jwk.kty === 'OKP' ? { crv: jwk.crv, kty: jwk.kty, x: jwk.x } : { k: jwk.k, kty: jwk.kty };
  return createHash('sha256').update(canonicalJson(named)).digest('base64url');
}

/**
 * Reads a JWK of one of the four kinds. Members that ax does not know are ignored (RFC 7517 section 4); those it
 * knows must agree with each other, so a key made for one purpose never serves another. `iat` and `exp` are those of
 * OpenID Federation 1.0 section 8.7; whether the key has expired is for whoever uses it to ask.
 *
 * @param where what the key is called in a refusal, such as `trust.json: projects["acme/web"].keys[0]`
 * @throws KEY_MALFORMED for an unknown kty, crv or alg, a wrong length, anything but strict base64url, a `use`
 * for the other purpose, a `kid` that is not the thumbprint, and an `iat` or `exp` that is no whole number of seconds.
 * The message never holds a part of the key.
 * @throws KEY_REVOKED for a key that is marked as revoked, with a member `revoked` of whatever form
 */
export function parseJwk(value: unknown, where: string): ParsedJwk {
  if (!isObject(value)) throw malformed(where, `expected a JWK object, found ${kindOf(value)}`);
  const algorithm = algorithmOf(value, where);
  const kind = KINDS[algorithm];
  if (kind.alg !== undefined && value.alg !== undefined && !kind.alg.includes(value.alg)) {
    throw malformed(where, `alg: expected ${nameOf(kind.alg[0])} or nothing, found ${nameOf(value.alg)}`);
  }
  if (value.use !== undefined && value.use !== kind.use) {
    throw malformed(where, `use: expected "${kind.use}" or nothing, found ${nameOf(value.use)}`);
  }
  const read = (member: string) => readBytes(value[member], kind, `${where}: ${member}`);
  readTime(value.iat, `${where}: iat`);
  const expiresAt = readTime(value.exp, `${where}: exp`);
  if (algorithm === 'HS256' || algorithm === 'A256KW') {
    const k = read('k');
    const kid = checkedKid(value.kid, { kty: 'oct', k: encodeBase64url(k) }, where);
    refuseRevoked(value.revoked, kid, where);
    return { algorithm, k, kid, expiresAt };
  }
  const x = read('x');
  const kid = checkedKid(value.kid, { kty: 'OKP', crv: algorithm, x: encodeBase64url(x) }, where);
  refuseRevoked(value.revoked, kid, where);
  const key = { algorithm, x, kid, expiresAt };
  return value.d === undefined ? key : { ...key, d: read('d') };
}

function readTime(value: unknown, where: string): number | undefined {
  if (value === undefined) return undefined;
  const time = parseNumericDate(value);
  if (time !== undefined) return time;
  throw malformed(where, `expected a time in whole seconds since the epoch, found ${kindOf(value)}`);
}

/** Its owner, or whoever handed it over, says that it counts no more: that is never passed over. */
function refuseRevoked(mark: unknown, kid: string, where: string): void {
  if (mark === undefined) return;
  throw new AxError('KEY_REVOKED', `${where}: expected a key that is in use, ${kid} is marked as revoked`, {
    hint: 'ask its owner for the public key that took its place; to revoke it here too: ax keys revoke --import <file>',
  });
}

function algorithmOf(jwk: { readonly [member: string]: unknown }, where: string): ParsedJwk['algorithm'] {
  const { kty, crv, alg } = jwk;
  if (kty === 'OKP') {
    if (crv === 'Ed25519' || crv === 'X25519') return crv;
    throw malformed(where, `crv: expected "Ed25519" or "X25519", found ${nameOf(crv)}`);
  }
  if (kty === 'oct') {
    if (alg === 'HS256' || alg === 'A256KW') return alg;
    throw malformed(where, `alg: expected "HS256" or "A256KW", found ${nameOf(alg)}`);
  }
  throw malformed(where, `kty: expected "OKP" or "oct", found ${nameOf(kty)}`);
}

function readBytes(value: unknown, { minBytes, maxBytes }: Kind, where: string): Buffer {
  const size = minBytes === maxBytes ? `${minBytes}` : `${minBytes} to ${maxBytes}`;
  const expected = `expected ${size} bytes in base64url without padding`;
  if (typeof value !== 'string') throw malformed(where, `${expected}, found ${kindOf(value)}`);
  const bytes = decodeBase64url(value);
  if (bytes === undefined) throw malformed(where, `${expected}, found other text`);
  if (bytes.length < minBytes || bytes.length > maxBytes) {
    throw malformed(where, `${expected}, found ${bytes.length} bytes`);
  }
  return bytes;
}

function checkedKid(claimed: unknown, named: NamedMembers, where: string): string {
  const kid = thumbprint(named);
  if (claimed === undefined || claimed === kid) return kid;
  throw malformed(where, `kid: expected the RFC 7638 thumbprint ${kid} or nothing, found something else`);
}

interface PublicHalf<Algorithm extends string> extends Expiring {
  readonly algorithm: Algorithm;
  readonly kid: string;
  readonly publicKey: { readonly raw: Buffer };
}

/**
 * The public JWK of a key pair, with its expiry. Built from the public half alone, so no private part can come along.
 */
export function publicJwk(key: PublicHalf<'Ed25519'>): Ed25519PublicJwk;
export function publicJwk(key: PublicHalf<'ECDH-ES+A256KW'>): X25519PublicJwk;
export function publicJwk({ algorithm, kid, publicKey, expiresAt }: PublicHalf<string>) {
  const crv = algorithm === 'Ed25519' ? 'Ed25519' : 'X25519';
  const exp = expiresAt === undefined ? {} : { exp: toNumericDate(expiresAt) };
  return { kty: 'OKP', crv, x: encodeBase64url(publicKey.raw), kid, ...exp };
}

/** A KEY_MALFORMED refusal; `problem` says what was expected and found. */
export function malformed(where: string, problem: string): AxError {
  return new AxError('KEY_MALFORMED', `${where}: ${problem}`, {
    hint: 'export the key again where it was made, or make a new one with: ax keys generate',
  });
}

/**
 * Makes keys until one has a kid that can be typed: on a command line, one that begins with a dash (one in 64 does)
 * would be taken for an option.
 */
export function withTypableKid<T extends { readonly kid: string }>(make: () => T): T {
  for (;;) {
    const made = make();
    if (!made.kid.startsWith('-')) return made;
  }
}
