/** What Ed25519 and X25519 share: the field, integers in it, and how node:crypto takes raw keys (RFC 8410). */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';

export type Curve = 'Ed25519' | 'X25519';

/** The length in bytes of every public key, seed and scalar of both curves. */
export const KEY_BYTES = 32;

/** The prime of the field, 2^255 - 19. */
export const FIELD_PRIME = 2n ** 255n - 19n;

// RFC 8410 section 10: everything in the DER before the 32 bytes of the key is constant, save the last byte
// of the algorithm's object identifier (1.3.101.110 and 1.3.101.112).
const OID_END: Record<Curve, string> = { X25519: '6e', Ed25519: '70' };

/** Reads bytes as an unsigned integer, least significant byte first (RFC 7748 section 5, RFC 8032 section 5.1). */
export function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

/** Wraps 32 raw bytes as a SubjectPublicKeyInfo (RFC 8410 section 4). Checks nothing about the point. */
export function publicKeyObject(curve: Curve, raw: Uint8Array): KeyObject {
  const prefix = Buffer.from(`302a300506032b65${OID_END[curve]}032100`, 'hex');
  return createPublicKey({ key: Buffer.concat([prefix, raw]), format: 'der', type: 'spki' });
}

/** Wraps a 32-byte seed (Ed25519) or scalar (X25519) as a PrivateKeyInfo (RFC 8410 section 7). */
export function privateKeyObject(curve: Curve, secret: Uint8Array): KeyObject {
  const der = Buffer.concat([Buffer.from(`302e020100300506032b65${OID_END[curve]}04220420`, 'hex'), secret]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

/** The 32 raw bytes of the public key that belongs to a private one. */
export function rawPublicKey(privateKey: KeyObject): Buffer {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return Buffer.from(spki.subarray(-KEY_BYTES));
}
