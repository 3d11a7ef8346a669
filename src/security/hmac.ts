/** HMAC-SHA256 (RFC 2104, FIPS 198-1), always with its full 32 bytes. */
import { createHmac, type KeyObject } from 'node:crypto';
import { equalBytes } from './digest.ts';

export function hmacSha256(key: KeyObject | Uint8Array, message: Uint8Array): Buffer {
  return createHmac('sha256', key).update(message).digest();
}

/** Compares in constant time. A truncated MAC is false, whatever its bytes. */
export function verifyHmacSha256(key: KeyObject | Uint8Array, message: Uint8Array, mac: Uint8Array): boolean {
  return equalBytes(hmacSha256(key, message), mac);
}
