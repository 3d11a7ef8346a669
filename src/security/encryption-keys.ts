/**
 * Keys that receipts are sealed to and opened with. After age, what seals is a recipient and what opens is an
 * identity; the symmetric receipt key is both, and an X25519 pair lets a machine write what it cannot read.
 */
import type { KeyObject } from 'node:crypto';
import { encodeBase64url } from './base64.ts';
import { KEY_BYTES, privateKeyObject, rawPublicKey } from './curve25519.ts';
import { equalBytes } from './digest.ts';
import type { Expiring } from './expiry.ts';
import { malformed, parseJwk, type SymmetricJwk, thumbprint, type X25519PrivateJwk } from './jwk.ts';
import { drawBytes, type RandomBytes } from './random.ts';
import { importX25519, type X25519PublicKey } from './x25519.ts';

const RECEIPT_KEY_BYTES = 32;

/** The 256-bit key that wraps the content keys of receipts. */
export interface ReceiptKey extends Expiring {
  /** The RFC 7638 thumbprint, computed here from the key itself. */
  readonly kid: string;
  readonly algorithm: 'A256KW';
  readonly key: Buffer;
}

export interface X25519Recipient extends Expiring {
  readonly kid: string;
  readonly algorithm: 'ECDH-ES+A256KW';
  readonly publicKey: X25519PublicKey;
}

export interface X25519Identity extends X25519Recipient {
  readonly privateKey: KeyObject;
}

/** What a receipt can be sealed to. */
export type Recipient = ReceiptKey | X25519Recipient;

/** What a receipt can be opened with; every identity is a recipient as well. */
export type Identity = ReceiptKey | X25519Identity;

/**
 * Reads a receipt key, `kty: oct, alg: A256KW` with 32 bytes.
 *
 * @throws KEY_MALFORMED as `parseJwk` does, and for a key of another purpose.
 */
export function parseReceiptKey(value: unknown, where: string): ReceiptKey {
  const jwk = parseJwk(value, where);
  if (jwk.algorithm === 'A256KW')
    return { kid: jwk.kid, algorithm: 'A256KW', key: jwk.k, expiresAt: jwk.expiresAt };
  throw malformed(where, `expected a receipt key (A256KW), found ${jwk.algorithm}`);
}

/**
 * A receipt key from bare bytes, such as a CI secret's.
 *
 * @throws KEY_MALFORMED unless there are exactly 32: a longer key is not cut, a shorter one not stretched.
 */
export function receiptKeyFromBytes(bytes: Uint8Array): ReceiptKey {
  if (bytes.length !== RECEIPT_KEY_BYTES) {
    throw malformed('receipt key', `expected ${RECEIPT_KEY_BYTES} bytes, found ${bytes.length}`);
  }
  const kid = thumbprint({ kty: 'oct', k: encodeBase64url(bytes) });
  return { kid, algorithm: 'A256KW', key: Buffer.from(bytes) };
}

/**
 * Reads a public X25519 key to seal receipts to.
 *
 * @throws KEY_MALFORMED as `parseJwk` does, for a key of another purpose, for a u that is not canonical or of
 * small order, and for a JWK with a private part.
 * @throws KEY_REVOKED for a key that is marked as revoked
 */
export function parseX25519Recipient(value: unknown, where: string): X25519Recipient {
  const key = parseX25519(value, where);
  if (!('privateKey' in key)) return key;
  throw malformed(where, 'expected a public key, found a private one (it has a member d)');
}

/**
 * Reads a private X25519 key to open receipts with.
 *
 * @throws KEY_MALFORMED as `parseX25519Recipient` does, but for a missing private part or one that does not
 * belong to `x`.
 */
export function parseX25519Identity(value: unknown, where: string): X25519Identity {
  const key = parseX25519(value, where);
  if ('privateKey' in key) return key;
  throw malformed(where, 'expected a private key, found a public one (it has no member d)');
}

/**
 * Reads an X25519 key, public or private: both can be sealed to.
 *
 * @throws KEY_MALFORMED as the two above do
 */
export function parseX25519(value: unknown, where: string): X25519Recipient | X25519Identity {
  const jwk = parseJwk(value, where);
  if (jwk.algorithm !== 'X25519') throw malformed(where, `expected an X25519 key, found ${jwk.algorithm}`);
  const publicKey = importX25519(jwk.x);
  if (publicKey === undefined) {
    throw malformed(where, 'x: expected a canonical X25519 point of large order, found other bytes');
  }
  const { kid, expiresAt } = jwk;
  const key = { kid, algorithm: 'ECDH-ES+A256KW' as const, publicKey, expiresAt };
  if (jwk.d === undefined) return key;
  const privateKey = privateKeyObject('X25519', jwk.d);
  if (equalBytes(rawPublicKey(privateKey), jwk.x)) return { ...key, privateKey };
  throw malformed(where, 'd: expected the private part of x, found that of another key');
}

/** A new receipt key, as a JWK. */
export function generateReceiptKey(randomBytes: RandomBytes): SymmetricJwk {
  const k = encodeBase64url(drawBytes(randomBytes, RECEIPT_KEY_BYTES));
  return { kty: 'oct', alg: 'A256KW', k, kid: thumbprint({ kty: 'oct', k }) };
}

/** A new X25519 key pair, as a private JWK. */
export function generateX25519(randomBytes: RandomBytes): X25519PrivateJwk {
  const scalar = drawBytes(randomBytes, KEY_BYTES);
  const x = encodeBase64url(rawPublicKey(privateKeyObject('X25519', scalar)));
  const named = { kty: 'OKP', crv: 'X25519', x } as const;
  return { ...named, d: encodeBase64url(scalar), kid: thumbprint(named) };
}
