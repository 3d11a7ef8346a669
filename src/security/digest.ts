import { createHash, timingSafeEqual } from 'node:crypto';
import { AxError } from '../errors.ts';

/**
 * SHA-256 as 64 lower-case hex digits. A string is hashed as its UTF-8 bytes.
 *
 * @throws INTERNAL for a string with a lone surrogate: encoding it would put U+FFFD in its place, and two
 * different strings would share a digest.
 */
export function sha256Hex(bytes: Uint8Array | string): string {
  if (typeof bytes === 'string' && !bytes.isWellFormed()) {
    throw new AxError('INTERNAL', 'sha256: expected well-formed Unicode, found a lone surrogate', {
      hint: 'this is a defect in ax; please report it',
    });
  }
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * True for the same bytes. For equal lengths the time taken depends on the length alone, so a MAC can be
 * compared without telling how much of a guess was right. Different lengths are false at once: the length of
 * a MAC or digest is public, and `timingSafeEqual` would throw.
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}
