/** AES-256-GCM with a 96-bit nonce and a 128-bit tag (NIST SP 800-38D; RFC 7518 section 5.3), and no other sizes. */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import { AxError } from '../errors.ts';

export const GCM_KEY_BYTES = 32;
export const GCM_IV_BYTES = 12;
export const GCM_TAG_BYTES = 16;

export interface GcmInput {
  readonly key: Uint8Array;
  /** Never twice under one key: a repeated nonce gives away the authentication key. */
  readonly iv: Uint8Array;
  readonly aad: Uint8Array;
}

export interface GcmSealed {
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

// Keys go in as KeyObjects: that bytes are none node:crypto finds out by an exception, which takes longer than to
// decrypt a receipt.

// Without authTagLength node:crypto takes a tag of 4 bytes for a tag.
const OPTIONS = { authTagLength: GCM_TAG_BYTES };

/** @throws INTERNAL for a key or nonce of another size. */
export function encryptGcm(
  { key, iv, aad }: GcmInput,
  plaintext: Uint8Array,
): { ciphertext: Buffer; tag: Buffer } {
  if (!hasSizes(key, iv)) {
    throw new AxError(
      'INTERNAL',
      `AES-256-GCM: expected sizes 32 and 12, found ${key.length} and ${iv.length}`,
      {
        hint: 'this is a defect in ax; please report it',
      },
    );
  }
  const cipher = createCipheriv('aes-256-gcm', createSecretKey(key), iv, OPTIONS).setAAD(aad);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { ciphertext, tag: cipher.getAuthTag() };
}

/**
 * The plaintext, or undefined when the tag does not hold or a key, nonce or tag has another size. Nothing of a
 * plaintext that failed leaves this function.
 */
export function decryptGcm({ key, iv, aad }: GcmInput, { ciphertext, tag }: GcmSealed): Buffer | undefined {
  if (!hasSizes(key, iv) || tag.length !== GCM_TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(key), iv, OPTIONS).setAAD(aad);
  decipher.setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}

function hasSizes(key: Uint8Array, iv: Uint8Array): boolean {
  return key.length === GCM_KEY_BYTES && iv.length === GCM_IV_BYTES;
}
