/**
 * Private keys under a passphrase: scrypt (RFC 7914) makes a key of it, and that key encrypts a JWE (RFC 7516) with
 * `alg: dir` and A256GCM, whose protected header has scrypt's parameters. JOSE's own PBES2 is PBKDF2, which costs a
 * guesser no memory; so the derivation is scrypt, and all after it is what any JOSE library opens.
 */
import { scryptSync } from 'node:crypto';
import { decryptGcm, encryptGcm, GCM_IV_BYTES, GCM_KEY_BYTES } from './aes-gcm.ts';
import { decodeBase64url, encodeBase64url } from './base64.ts';
import { canonicalJson } from './canonical.ts';
import { decodeUtf8, parseJson } from './json.ts';
import { isObject } from './json-shape.ts';
import { malformed } from './jwk.ts';
import { drawBytes, type RandomBytes } from './random.ts';

export interface ScryptParameters {
  /** Cost, a power of two; memory is 128 * n * r bytes. */
  readonly n: number;
  readonly r: number;
  readonly p: number;
  /** 16 bytes, base64url. */
  readonly salt: string;
}

/** What the ciphertext is bound to: it opens as this key of this role, and as no other. */
export interface ProtectedKeyName {
  readonly kid: string;
  readonly role: string;
}

/** 128 MiB and a third of a second for each guess. */
const COST = 2 ** 17;
const [MIN_COST, MAX_COST] = [2 ** 15, 2 ** 20];
const BLOCK = 8;
const SALT_BYTES = 16;

/** @returns parameters with a fresh salt */
export function newScryptParameters(randomBytes: RandomBytes): ScryptParameters {
  return { n: COST, r: BLOCK, p: 1, salt: encodeBase64url(drawBytes(randomBytes, SALT_BYTES)) };
}

/** The 256-bit key of a passphrase, taken in Unicode normal form C so that every keyboard makes the same. */
export function deriveProtectionKey(passphrase: string, { n, r, p, salt }: ScryptParameters): Buffer {
  const maxmem = 256 * n * r;
  const saltBytes = decodeBase64url(salt) ?? Buffer.alloc(0);
  return scryptSync(passphrase.normalize('NFC'), saltBytes, GCM_KEY_BYTES, { N: n, r, p, maxmem });
}

/** @returns a JWE in compact serialization; `key` is that of `scrypt` */
export function protectText(
  text: string,
  {
    key,
    scrypt,
    name,
    randomBytes,
  }: { key: Buffer; scrypt: ScryptParameters; name: ProtectedKeyName; randomBytes: RandomBytes },
): string {
  const header = encodeBase64url(Buffer.from(canonicalJson(headerOf(name, scrypt))));
  const iv = drawBytes(randomBytes, GCM_IV_BYTES);
  const { ciphertext, tag } = encryptGcm({ key, iv, aad: Buffer.from(header) }, Buffer.from(text));
  return [header, '', encodeBase64url(iv), encodeBase64url(ciphertext), encodeBase64url(tag)].join('.');
}

function headerOf({ kid, role }: ProtectedKeyName, { n, r, p, salt }: ScryptParameters) {
  return { alg: 'dir', enc: 'A256GCM', kid, role, scrypt: { n, r, p, salt }, typ: 'ax-key+jwe' };
}

/** A protected text taken apart; only its shape, its name and the bounds of its parameters are known to be right. */
export interface ProtectedText {
  readonly scrypt: ScryptParameters;
  readonly aad: Buffer;
  readonly iv: Buffer;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
}

/**
 * Reads what `protectText` wrote for this very key.
 *
 * @throws KEY_MALFORMED for another shape, name or algorithm, and for parameters that would be too cheap for a
 *   guesser or too dear for us
 */
export function parseProtected(value: unknown, name: ProtectedKeyName, where: string): ProtectedText {
  const parts = typeof value === 'string' ? value.split('.') : [];
  const [header, empty, iv, ciphertext, tag] = parts.map((part) => decodeBase64url(part));
  if (parts.length !== 5 || !header || empty?.length !== 0 || !iv || !ciphertext || !tag) {
    throw malformed(where, 'expected a JWE in compact serialization');
  }
  const scrypt = parseHeader(header, name, where);
  return { scrypt, aad: Buffer.from(parts[0] ?? ''), iv, ciphertext, tag };
}

function parseHeader(bytes: Buffer, name: ProtectedKeyName, where: string): ScryptParameters {
  const header = parseJson(decodeUtf8(bytes, where), where);
  const scrypt = isObject(header) && isObject(header.scrypt) ? header.scrypt : {};
  const { n, r, p, salt } = scrypt;
  const hasCost = typeof n === 'number' && n >= MIN_COST && n <= MAX_COST && Number.isInteger(Math.log2(n));
  const hasSalt = typeof salt === 'string' && decodeBase64url(salt)?.length === SALT_BYTES;
  if (!hasCost || r !== BLOCK || p !== 1 || !hasSalt) {
    throw malformed(
      where,
      `scrypt: expected n from 2^15 to 2^20, r 8, p 1 and a salt of ${SALT_BYTES} bytes`,
    );
  }
  const parameters = { n, r, p, salt };
  if (canonicalJson(header) === canonicalJson(headerOf(name, parameters))) return parameters;
  throw malformed(where, 'expected the protected header of this key and role, found another');
}

/** The text, or undefined when the key is of another passphrase, or any bit was changed. */
export function openProtected({ aad, iv, ciphertext, tag }: ProtectedText, key: Buffer): string | undefined {
  return decryptGcm({ key, iv, aad }, { ciphertext, tag })?.toString('utf8');
}
