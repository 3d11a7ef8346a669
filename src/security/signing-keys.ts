/** Keys that sign manifests, receipts and approvals, and keys that verify them. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { encodeBase64url } from './base64.ts';
import { KEY_BYTES, privateKeyObject, rawPublicKey } from './curve25519.ts';
import { equalBytes } from './digest.ts';
import { type Ed25519PublicKey, importEd25519, signEd25519, verifyEd25519 } from './ed25519.ts';
import type { Expiring } from './expiry.ts';
import { hmacSha256, verifyHmacSha256 } from './hmac.ts';
import { type Ed25519PrivateJwk, malformed, parseJwk, type SymmetricJwk, thumbprint } from './jwk.ts';
import { drawBytes, type RandomBytes } from './random.ts';

const HMAC_KEY_BYTES = 32;

export interface Ed25519VerificationKey extends Expiring {
  /** The RFC 7638 thumbprint, computed here from the key itself: equal kids are equal keys. */
  readonly kid: string;
  readonly algorithm: 'Ed25519';
  readonly publicKey: Ed25519PublicKey;
}

export interface Ed25519SigningKey extends Ed25519VerificationKey {
  readonly privateKey: KeyObject;
}

/** Whoever verifies with this key can also sign with it, so it never counts as a signature by someone. */
export interface HmacKey extends Expiring {
  readonly kid: string;
  readonly algorithm: 'HS256';
  readonly secret: KeyObject;
}

export type VerificationKey = Ed25519VerificationKey | HmacKey;

/** Every signing key is a verification key as well. */
export type SigningKey = Ed25519SigningKey | HmacKey;

/**
 * Reads a key that signatures are to be verified with: a public Ed25519 JWK or an HS256 secret.
 *
 * @throws KEY_MALFORMED as `parseJwk` does, for a key of another purpose, for an Ed25519 key that the rule in
 * ed25519.ts refuses, and for one with a private part: it has no business where keys are handed round.
 * @throws KEY_REVOKED for a key that is marked as revoked
 */
export function parseVerificationKey(value: unknown, where: string): VerificationKey {
  const key = parseKey(value, where);
  if (key.algorithm === 'Ed25519' && 'privateKey' in key) {
    throw malformed(where, 'expected a public key, found a private one (it has a member d)');
  }
  return key;
}

/**
 * Reads a key to sign with: a private Ed25519 JWK or an HS256 secret.
 *
 * @throws KEY_MALFORMED as `parseJwk` does, for a key of another purpose, for a public key, and for a private
 * key whose `x` does not belong to its `d`: signing with such a pair gives the private key away.
 * @throws KEY_REVOKED for a key that is marked as revoked
 */
export function parseSigningKey(value: unknown, where: string): SigningKey {
  const key = parseKey(value, where);
  if (key.algorithm === 'HS256' || 'privateKey' in key) return key;
  throw malformed(where, 'expected a private key, found a public one (it has no member d)');
}

function parseKey(value: unknown, where: string): SigningKey | Ed25519VerificationKey {
  const jwk = parseJwk(value, where);
  const { kid, expiresAt } = jwk;
  switch (jwk.algorithm) {
    case 'HS256':
      return { kid, algorithm: 'HS256', secret: createSecretKey(jwk.k), expiresAt };
    case 'Ed25519': {
      const publicKey = importEd25519(jwk.x);
      if (publicKey === undefined) {
        throw malformed(where, 'x: expected a canonical Ed25519 point of large order, found other bytes');
      }
      const key = { kid, algorithm: 'Ed25519' as const, publicKey, expiresAt };
      if (jwk.d === undefined) return key;
      const privateKey = privateKeyObject('Ed25519', jwk.d);
      if (equalBytes(rawPublicKey(privateKey), jwk.x)) return { ...key, privateKey };
      throw malformed(where, 'd: expected the private part of x, found that of another key');
    }
    default:
      throw malformed(where, `expected a key for signatures, found one for encryption (${jwk.algorithm})`);
  }
}

/** True when the signature over the message is by this key. The algorithm is the key's, never the signer's word. */
export function verifySignature(key: VerificationKey, message: Uint8Array, signature: Uint8Array): boolean {
  return key.algorithm === 'Ed25519'
    ? verifyEd25519(key.publicKey, message, signature)
    : verifyHmacSha256(key.secret, message, signature);
}

export function signMessage(key: SigningKey, message: Uint8Array): Buffer {
  return key.algorithm === 'Ed25519' ? signEd25519(key.privateKey, message) : hmacSha256(key.secret, message);
}

/** A new Ed25519 key pair, as a private JWK. */
export function generateEd25519(randomBytes: RandomBytes): Ed25519PrivateJwk {
  const seed = drawBytes(randomBytes, KEY_BYTES);
  const x = encodeBase64url(rawPublicKey(privateKeyObject('Ed25519', seed)));
  const named = { kty: 'OKP', crv: 'Ed25519', x } as const;
  return { ...named, d: encodeBase64url(seed), kid: thumbprint(named) };
}

/** A new secret for HMAC-SHA256, as a JWK. */
export function generateHmacKey(randomBytes: RandomBytes): SymmetricJwk {
  const k = encodeBase64url(drawBytes(randomBytes, HMAC_KEY_BYTES));
  return { kty: 'oct', alg: 'HS256', k, kid: thumbprint({ kty: 'oct', k }) };
}
