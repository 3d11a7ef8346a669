/** AES-256 Key Wrap (RFC 3394; A256KW of RFC 7518 section 4.4). */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import { AxError } from '../errors.ts';

/** The only sizes that ax wraps: a 256-bit key under a 256-bit key, with the 8 bytes that check it. */
const KEY_BYTES = 32;
const WRAPPED_BYTES = 40;

const ALGORITHM = 'id-aes256-wrap';
/** RFC 3394 section 2.2.3.1. */
const INITIAL_VALUE = Buffer.alloc(8, 0xa6);

/** @throws INTERNAL for a key of another size, on either side. */
export function wrapKey(kek: Uint8Array, key: Uint8Array): Buffer {
  if (kek.length !== KEY_BYTES || key.length !== KEY_BYTES) {
    throw new AxError(
      'INTERNAL',
      `key wrap: expected 32 and 32 bytes, found ${kek.length} and ${key.length}`,
      {
        hint: 'this is a defect in ax; please report it',
      },
    );
  }
  return createCipheriv(ALGORITHM, createSecretKey(kek), INITIAL_VALUE).update(key);
}

/** The wrapped key, or undefined when the check value does not hold or a size is another. */
export function unwrapKey(kek: Uint8Array, wrapped: Uint8Array): Buffer | undefined {
  if (kek.length !== KEY_BYTES || wrapped.length !== WRAPPED_BYTES) return undefined;
  const decipher = createDecipheriv(ALGORITHM, createSecretKey(kek), INITIAL_VALUE);
  try {
    return decipher.update(wrapped);
  } catch {
    return undefined;
  }
}
