/**
 * Ed25519 verification under one written rule.
 *
 * RFC 8032 leaves room, and verifiers use it: on the 914 signatures of C2SP/CCTV's ed25519vectors OpenSSL 3.0
 * accepts 208 and OpenSSL 3.5 accepts 43. What ax accepts must not depend on the runtime it was started with,
 * so every condition is checked here before the platform is asked:
 *
 * 1. A signature is exactly 64 bytes, R || S.
 * 2. S < L, or a signature could be changed without the key (RFC 8032 section 5.1.7).
 * 3. A and R are canonical: y < p once the sign bit is masked off (RFC 8032 section 5.1.3).
 * 4. Neither A nor R has small order: under such an A one signature fits many messages.
 * 5. A is a point of the curve.
 * 6. The equation without the cofactor holds: [S]B = R + [k]A, as node:crypto computes it.
 *
 * Conditions 3 to 5 on A are met when a key is imported: a key that breaks them never becomes one.
 */
import { type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { FIELD_PRIME, KEY_BYTES, littleEndian, publicKeyObject } from './curve25519.ts';

const SIGNATURE_BYTES = 64;

const verifyAside = promisify(verify);

/** L, the order of the base point (RFC 8032 section 5.1). */
const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** d = -121665/121666, the constant of the curve (RFC 8032 section 5.1). */
const CURVE_D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/** The y of one point of order 8; the other three have the same y or its negative. */
const ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022n;

/** All eight points of small order, by y: orders 4 (y = 0), 1, 2 and 8. The sign of x makes no difference. */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  FIELD_PRIME - 1n,
  ORDER_8_Y,
  FIELD_PRIME - ORDER_8_Y,
]);

declare const strict: unique symbol;

/** A public key that keeps the rule above; only `importEd25519` makes one. */
export interface Ed25519PublicKey {
  /** The 32 bytes of RFC 8032 section 5.1.5. */
  readonly raw: Buffer;
  readonly keyObject: KeyObject;
  readonly [strict]: true;
}

/** Keys that were taken, by their bytes: the same few come again and again, and the checks take 250 µs. */
const taken = new Map<string, Ed25519PublicKey>();
const MOST_TAKEN = 64;

/**
 * Takes the 32 raw bytes of a public key. Undefined for any other length, an encoding that is not canonical,
 * a point of small order, and bytes that are no point at all.
 */
export function importEd25519(raw: Uint8Array): Ed25519PublicKey | undefined {
  const name = Buffer.from(raw).toString('hex');
  const known = taken.get(name);
  if (known !== undefined) return known;
  if (raw.length !== KEY_BYTES || !isAllowedPoint(raw) || !isOnCurve(decodeY(raw))) return undefined;
  const key = { raw: Buffer.from(raw), keyObject: publicKeyObject('Ed25519', raw) } as Ed25519PublicKey;
  if (taken.size >= MOST_TAKEN) taken.clear();
  taken.set(name, key);
  return key;
}

/** True only for a signature that meets every condition of the rule; false, never a throw, for anything else. */
export function verifyEd25519(
  publicKey: Ed25519PublicKey,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return isAllowedSignature(signature) && verify(null, message, publicKey.keyObject, signature);
}

/** The same, on one of the threads that node:crypto has for it. Rejects when it cannot be found out. */
export async function verifyEd25519Aside(
  publicKey: Ed25519PublicKey,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  return isAllowedSignature(signature) && verifyAside(null, message, publicKey.keyObject, signature);
}

/** The 64-byte signature of a message; the same key and message always give the same bytes (RFC 8032). */
export function signEd25519(privateKey: KeyObject, message: Uint8Array): Buffer {
  return sign(null, message, privateKey);
}

/** Conditions 1 to 4, as far as they are about the signature. */
function isAllowedSignature(signature: Uint8Array): boolean {
  return (
    signature.length === SIGNATURE_BYTES &&
    littleEndian(signature.subarray(KEY_BYTES)) < GROUP_ORDER &&
    isAllowedPoint(signature.subarray(0, KEY_BYTES))
  );
}

/** The y of an encoded point, without the sign of x in the top bit. */
function decodeY(encoded: Uint8Array): bigint {
  return BigInt.asUintN(255, littleEndian(encoded));
}

function isAllowedPoint(encoded: Uint8Array): boolean {
  const y = decodeY(encoded);
  return y < FIELD_PRIME && !SMALL_ORDER_Y.has(y);
}

/**
 * Whether x^2 = (y^2 - 1) / (d*y^2 + 1) has a root (RFC 8032 section 5.1.3). The quotient is a square exactly
 * when the product is, which Euler's criterion tells. Public data only, so time may depend on it.
 */
function isOnCurve(y: bigint): boolean {
  const square = (y * y) % FIELD_PRIME;
  const product = ((square - 1n) * (CURVE_D * square + 1n)) % FIELD_PRIME;
  return power(product, (FIELD_PRIME - 1n) / 2n) === 1n;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % FIELD_PRIME;
    square = (square * square) % FIELD_PRIME;
  }
  return result;
}
