/** X25519 key agreement (RFC 7748) with the public keys that a receipt may safely be sealed to. */
import { diffieHellman, type KeyObject } from 'node:crypto';
import { FIELD_PRIME, KEY_BYTES, littleEndian, publicKeyObject } from './curve25519.ts';

/** The u of one point of order 8 on the curve or its twist; RFC 7748 section 6.1 has them end in a zero secret. */
const ORDER_8_U = [
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
];

/** Every u whose shared secret is zero whatever the other key: anyone could then open the receipt. */
const SMALL_ORDER_U: ReadonlySet<bigint> = new Set([0n, 1n, FIELD_PRIME - 1n, ...ORDER_8_U]);

declare const strict: unique symbol;

/** A public key that contributes to the shared secret; only `importX25519` makes one. */
export interface X25519PublicKey {
  /** The 32 bytes of RFC 7748 section 5. */
  readonly raw: Buffer;
  readonly keyObject: KeyObject;
  readonly [strict]: true;
}

/**
 * Takes the 32 raw bytes of a public key. Undefined for any other length, for u >= p or a set top bit (RFC 7748
 * would reduce and mask them, and one key would have several thumbprints), and for points of small order.
 */
export function importX25519(raw: Uint8Array): X25519PublicKey | undefined {
  if (raw.length !== KEY_BYTES) return undefined;
  const u = littleEndian(raw);
  if (u >= FIELD_PRIME || SMALL_ORDER_U.has(u)) return undefined;
  return { raw: Buffer.from(raw), keyObject: publicKeyObject('X25519', raw) } as X25519PublicKey;
}

/** The 32-byte shared secret; never zero, since keys of small order were refused at import. */
export function agreeX25519(privateKey: KeyObject, publicKey: X25519PublicKey): Buffer {
  return diffieHellman({ privateKey, publicKey: publicKey.keyObject });
}
