/**
 * Text at rest that this machine has to read again by itself: AES-256-GCM under a key that HKDF-SHA256 (RFC 5869)
 * derives from the host key. Whoever has the store without the keyring reads nothing.
 */
import { hkdfSync } from 'node:crypto';
import { AxError } from '../errors.ts';
import { decryptGcm, encryptGcm, GCM_IV_BYTES, GCM_KEY_BYTES, GCM_TAG_BYTES } from './aes-gcm.ts';
import { KEY_BYTES } from './curve25519.ts';
import { drawBytes, type RandomBytes } from './random.ts';
import type { SigningKey } from './signing-keys.ts';

export interface TextKey {
  /** Of the key that this one is derived from. */
  readonly kid: string;
  readonly key: Buffer;
}

/**
 * The key for one purpose. Keys of different purposes tell nothing of each other, nor of the key they are from.
 *
 * @param label names the purpose and the format's version; never another's
 * @throws INTERNAL for a shared secret: what it derived, everyone who has it could read
 */
export function deriveTextKey(from: SigningKey, label: string): TextKey {
  if (from.algorithm !== 'Ed25519') {
    throw new AxError('INTERNAL', `seal: expected an Ed25519 key, found ${from.algorithm}`, {
      hint: 'this is a defect in ax; please report it',
    });
  }
  // RFC 8410 section 7: the seed is the end of the DER. It is uniform and secret, so no salt is wanted (RFC 5869,
  // 3.1 and 3.3).
  const der = from.privateKey.export({ format: 'der', type: 'pkcs8' });
  try {
    const seed = der.subarray(-KEY_BYTES);
    return { kid: from.kid, key: Buffer.from(hkdfSync('sha256', seed, '', label, GCM_KEY_BYTES)) };
  } finally {
    der.fill(0);
  }
}

/** Nonce, ciphertext and tag, in this order. `aad` is what the text is bound to; `openText` wants the same. */
export function sealText(
  { key }: TextKey,
  { text, aad, randomBytes }: { text: string; aad: string; randomBytes: RandomBytes },
): Buffer {
  const iv = drawBytes(randomBytes, GCM_IV_BYTES);
  const { ciphertext, tag } = encryptGcm({ key, iv, aad: Buffer.from(aad) }, Buffer.from(text));
  return Buffer.concat([iv, ciphertext, tag]);
}

/** The text, or undefined when it was sealed by another key or for another `aad`, or any bit was changed. */
export function openText({ key }: TextKey, { sealed, aad }: { sealed: Uint8Array; aad: string }) {
  const end = sealed.length - GCM_TAG_BYTES;
  if (end < GCM_IV_BYTES) return undefined;
  const input = { key, iv: sealed.subarray(0, GCM_IV_BYTES), aad: Buffer.from(aad) };
  const parts = { ciphertext: sealed.subarray(GCM_IV_BYTES, end), tag: sealed.subarray(end) };
  return decryptGcm(input, parts)?.toString('utf8');
}
