/** One recipient of a JWE: the content key, encrypted to one key (RFC 7516 section 7.2.1). */
import { encodeBase64url } from './base64.ts';
import { KEY_BYTES, privateKeyObject, rawPublicKey } from './curve25519.ts';
import { deriveKek } from './ecdh-es.ts';
import type { Identity, Recipient } from './encryption-keys.ts';
import { isObject } from './json-shape.ts';
import { exactly, readBytes, tampered } from './jwe-shape.ts';
import { unwrapKey, wrapKey } from './key-wrap.ts';
import { drawBytes, type RandomBytes } from './random.ts';
import { importX25519, type X25519PublicKey } from './x25519.ts';

/** RFC 8037 section 3.1: the sender's public key for this one agreement. */
export type EphemeralJwk = { kty: 'OKP'; crv: 'X25519'; x: string };

export type JweRecipient = {
  header: { alg: 'A256KW'; kid: string } | { alg: 'ECDH-ES+A256KW'; kid: string; epk: EphemeralJwk };
  encrypted_key: string;
};

export type ParsedRecipient = { readonly kid: string; readonly encryptedKey: Buffer } & (
  | { readonly alg: 'A256KW' }
  | { readonly alg: 'ECDH-ES+A256KW'; readonly epk: X25519PublicKey }
);

/**
 * Reads a recipient in the one shape that ax writes: these members, no others, and a kid that is a thumbprint.
 *
 * @throws RECEIPT_TAMPERED for anything else.
 */
export function parseRecipient(value: unknown, where: string): ParsedRecipient {
  const { header, encrypted_key } = exactly(value, ['header', 'encrypted_key'], where);
  const encryptedKey = readBytes(encrypted_key, `${where}.encrypted_key`);
  const alg = isObject(header) ? header.alg : undefined;
  if (alg !== 'A256KW' && alg !== 'ECDH-ES+A256KW') {
    throw tampered(`${where}.header.alg: expected A256KW or ECDH-ES+A256KW, found something else`);
  }
  const members = alg === 'A256KW' ? ['alg', 'kid'] : ['alg', 'kid', 'epk'];
  const { kid, epk } = exactly(header, members, `${where}.header`);
  // The kid reaches messages and look-ups, so it is held to its grammar first.
  if (typeof kid !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(kid)) {
    throw tampered(`${where}.header.kid: expected a SHA-256 thumbprint, found something else`);
  }
  if (alg === 'A256KW') return { alg, kid, encryptedKey };
  return { alg, kid, epk: parseEphemeral(epk, `${where}.header.epk`), encryptedKey };
}

function parseEphemeral(value: unknown, where: string): X25519PublicKey {
  const { kty, crv, x } = exactly(value, ['kty', 'crv', 'x'], where);
  const publicKey = importX25519(readBytes(x, `${where}.x`));
  if (kty === 'OKP' && crv === 'X25519' && publicKey !== undefined) return publicKey;
  throw tampered(`${where}: expected a canonical X25519 key of large order, found something else`);
}

/** Encrypts a content key to one recipient, with an ephemeral key of its own where there is one. */
export function encryptKey(recipient: Recipient, contentKey: Buffer, randomBytes: RandomBytes): JweRecipient {
  const { kid } = recipient;
  if (recipient.algorithm === 'A256KW') {
    const encrypted_key = encodeBase64url(wrapKey(recipient.key, contentKey));
    return { header: { alg: 'A256KW', kid }, encrypted_key };
  }
  const scalar = drawBytes(randomBytes, KEY_BYTES);
  const ephemeral = privateKeyObject('X25519', scalar);
  scalar.fill(0);
  const epk: EphemeralJwk = { kty: 'OKP', crv: 'X25519', x: encodeBase64url(rawPublicKey(ephemeral)) };
  const kek = deriveKek(ephemeral, recipient.publicKey);
  try {
    const encrypted_key = encodeBase64url(wrapKey(kek, contentKey));
    return { header: { alg: 'ECDH-ES+A256KW', kid, epk }, encrypted_key };
  } finally {
    kek.fill(0);
  }
}

/**
 * The content key. The algorithm is that of the key with this kid, and a header that names another is refused.
 *
 * @throws RECEIPT_TAMPERED when it does not unwrap.
 */
export function decryptKey(identity: Identity, recipient: ParsedRecipient): Buffer {
  const contentKey = unwrapWith(identity, recipient);
  if (contentKey !== undefined) return contentKey;
  throw tampered(`the content key for ${recipient.kid} does not unwrap`);
}

function unwrapWith(identity: Identity, recipient: ParsedRecipient): Buffer | undefined {
  if (identity.algorithm === 'A256KW') {
    return recipient.alg === 'A256KW' ? unwrapKey(identity.key, recipient.encryptedKey) : undefined;
  }
  if (recipient.alg !== 'ECDH-ES+A256KW') return undefined;
  const kek = deriveKek(identity.privateKey, recipient.epk);
  try {
    return unwrapKey(kek, recipient.encryptedKey);
  } finally {
    kek.fill(0);
  }
}
