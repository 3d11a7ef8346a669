/**
 * AES-256 Key Wrap (RFC 3394) of many 256-bit keys under one. Its 24 steps follow from each other for one key, and
 * have nothing to do with those of another: so each step is taken for all keys together, by one call of AES on a
 * block of each. That costs a twentieth of wrapping them one by one.
 */
import { type Cipheriv, createCipheriv, createDecipheriv, type Decipheriv } from 'node:crypto';
import { AxError } from '../errors.ts';

const KEY_BYTES = 32;
const WRAPPED_BYTES = 40;
/** A and R1 to R4 of the RFC, as 32-bit words. */
const WORDS = 10;
/** Six times over, once for each register. */
const STEPS = 24;
/** RFC 3394 section 2.2.3.1; the same from either end, so the machine's order of bytes does not matter. */
const INITIAL_WORD = 0xa6a6a6a6;

/**
 * Each key wrapped: 40 bytes for 32.
 *
 * @throws INTERNAL for a key of another size
 */
export function wrapKeys(kek: Uint8Array, keys: readonly Uint8Array[]): Buffer[] {
  const aes = createCipheriv('aes-256-ecb', kek, null).setAutoPadding(false);
  const state = new Uint32Array(WORDS * keys.length).fill(INITIAL_WORD);
  const bytes = Buffer.from(state.buffer);
  for (const [index, key] of keys.entries()) {
    if (key.length !== KEY_BYTES) {
      throw new AxError('INTERNAL', `key wrap: expected keys of ${KEY_BYTES} bytes, found ${key.length}`, {
        hint: 'this is a defect in ax; please report it',
      });
    }
    bytes.set(key, index * WRAPPED_BYTES + WRAPPED_BYTES - KEY_BYTES);
  }
  for (let t = 1; t <= STEPS; t++) {
    step(aes, state, t);
    xor(bytes, t);
  }
  return keys.map((_, index) => bytes.subarray(index * WRAPPED_BYTES, (index + 1) * WRAPPED_BYTES));
}

/** Each key unwrapped, or undefined for one whose check value does not hold, or of another size. */
export function unwrapKeys(kek: Uint8Array, wrapped: readonly Uint8Array[]): (Buffer | undefined)[] {
  const aes = createDecipheriv('aes-256-ecb', kek, null).setAutoPadding(false);
  const state = new Uint32Array(WORDS * wrapped.length);
  const bytes = Buffer.from(state.buffer);
  for (const [index, one] of wrapped.entries()) {
    if (one.length === WRAPPED_BYTES) bytes.set(one, index * WRAPPED_BYTES);
  }
  for (let t = STEPS; t >= 1; t--) {
    xor(bytes, t);
    step(aes, state, t);
  }
  return wrapped.map((one, index) => {
    const key = bytes.subarray(
      index * WRAPPED_BYTES + WRAPPED_BYTES - KEY_BYTES,
      (index + 1) * WRAPPED_BYTES,
    );
    const at = index * WORDS;
    if (one.length === WRAPPED_BYTES && state[at] === INITIAL_WORD && state[at + 1] === INITIAL_WORD)
      return key;
    key.fill(0);
    return undefined;
  });
}

/** A | R[i] of every key through AES, and back. */
function step(aes: Cipheriv | Decipheriv, state: Uint32Array, t: number): void {
  const register = 2 + 2 * ((t - 1) % 4);
  const count = state.length / WORDS;
  const blocks = new Uint32Array(4 * count);
  for (let key = 0, block = 0; key < state.length; key += WORDS, block += 4) {
    blocks[block] = state[key] as number;
    blocks[block + 1] = state[key + 1] as number;
    blocks[block + 2] = state[key + register] as number;
    blocks[block + 3] = state[key + register + 1] as number;
  }
  const bytes = new Uint8Array(blocks.buffer);
  const done = aes.update(bytes);
  bytes.set(done);
  done.fill(0);
  for (let key = 0, block = 0; key < state.length; key += WORDS, block += 4) {
    state[key] = blocks[block] as number;
    state[key + 1] = blocks[block + 1] as number;
    state[key + register] = blocks[block + 2] as number;
    state[key + register + 1] = blocks[block + 3] as number;
  }
  blocks.fill(0);
}

/** A ^ t, as 64 bits with the highest first: t never leaves the last byte. */
function xor(bytes: Buffer, t: number): void {
  for (let last = 7; last < bytes.length; last += WRAPPED_BYTES) bytes[last] = (bytes[last] as number) ^ t;
}
