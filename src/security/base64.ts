/**
 * Base64 and hex, decoded strictly. `Buffer.from` drops what it does not understand and stops early without
 * saying so, which turns a damaged key into a shorter one. Every decoder here encodes the result again and
 * compares: what does not come back as it went in was not of this form. That also makes each accepted text the
 * only one for its bytes within its alphabet, so a signature cannot be respelled into a "different" one.
 */

/**
 * Bytes of RFC 4648 base64 in the standard (section 4) or the URL-safe alphabet (section 5), with padding.
 * DSSE asks verifiers to accept both. The empty text is the empty bytes.
 *
 * @returns undefined for both alphabets in one text, padding that is missing or superfluous, non-zero bits
 * after the last byte, white space, or any other character.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  if (text === bytes.toString('base64')) return bytes;
  const padding = '='.repeat((3 - (bytes.length % 3)) % 3);
  return text === bytes.toString('base64url') + padding ? bytes : undefined;
}

/**
 * Bytes of base64url without padding, the one form of JOSE (RFC 7515, section 2).
 *
 * @returns undefined for padding, the standard alphabet, non-zero bits after the last byte, or white space.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return text === bytes.toString('base64url') ? bytes : undefined;
}

/** Base64 in the standard alphabet, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64');
}

/** Base64url without padding. */
export function encodeBase64url(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64url');
}

/**
 * Bytes of hexadecimal digits in either case, two to a byte.
 *
 * @returns undefined for an odd number of digits, a prefix such as `0x`, separators, or any other character.
 */
export function decodeHex(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'hex');
  // No character outside ASCII has a lower case in a-f, so lower-casing cannot let one through.
  return text.toLowerCase() === bytes.toString('hex') ? bytes : undefined;
}

/** The same memory seen as a Buffer; nothing is copied. */
function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
