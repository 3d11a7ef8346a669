import { AxError } from '../errors.ts';

/**
 * Hands out `n` fresh, unpredictable bytes. Each answer is an array of its own: whoever draws a key from it
 * overwrites it after use.
 */
export type RandomBytes = (n: number) => Uint8Array;

/**
 * Draws exactly `n` bytes. A source that answers with fewer would make a short key or a repeated nonce, so
 * its length is checked rather than believed.
 *
 * @throws INTERNAL when the source answers with another length.
 */
export function drawBytes(randomBytes: RandomBytes, n: number): Buffer {
  const bytes = randomBytes(n);
  if (bytes.length !== n) {
    throw new AxError('INTERNAL', `expected ${n} random bytes, found ${bytes.length}`, {
      hint: 'this is a defect in ax; please report it',
    });
  }
  // The same memory, not a copy: zeroing the result zeroes the only one there is.
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
