/**
 * The sealed files of the store that was before ax: AES-256-GCM over a JSON text, without associated data, parts in
 * base64. Read as strictly as that format allows, not as loosely as it was read then: its reader took tags of any
 * length, both alphabets, and any version, algorithm and further members, none of which the tag covers.
 */
import { AxError } from '../errors.ts';
import { decryptGcm, GCM_IV_BYTES, GCM_KEY_BYTES, GCM_TAG_BYTES } from './aes-gcm.ts';
import { decodeHex } from './base64.ts';
import { isObject } from './json-shape.ts';

const NO_AAD = new Uint8Array();

/** The parts of a sealed file. */
export interface LegacySeal {
  readonly iv: Buffer;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
}

/**
 * The keys that a configured text may have stood for. That store tried base64 before hex and cut what was longer than
 * 32 bytes, so 64 hex digits were in effect the first 32 bytes of what they say in base64. Which of them a file was
 * sealed with, its tag tells.
 *
 * @param where what the text is called in a refusal; the text itself is never shown
 * @throws KEY_MALFORMED when it is neither 32 bytes of base64, padded or not, nor of hex
 */
export function parseLegacyKey(text: string, where: string): Buffer[] {
  const keys = [decodePlainBase64(text.replace(/=+$/, '')), decodeHex(text)].flatMap((bytes) =>
    bytes === undefined || bytes.length < GCM_KEY_BYTES ? [] : [bytes.subarray(0, GCM_KEY_BYTES)],
  );
  if (keys.length > 0) return keys;
  throw new AxError(
    'KEY_MALFORMED',
    `${where}: expected at least 32 bytes in base64 or hex, found other text`,
    {
      hint: 'give the key as the older store was configured with it',
    },
  );
}

/** True for what claims to be a sealed file. */
export function isLegacySeal(value: unknown): value is { readonly encrypted: unknown } {
  return isObject(value) && 'encrypted' in value;
}

/**
 * The parts of a sealed file: exactly the members, version, algorithm and lengths of the format.
 *
 * @returns what was expected and is not so, as text
 */
export function parseLegacySeal(value: { readonly encrypted: unknown }): LegacySeal | string {
  if (!hasExactly(value, { version: 1 }, ['encrypted']))
    return 'expected {version: 1, encrypted} and no more';
  const sealed = value.encrypted;
  if (!hasExactly(sealed, { version: 1, algorithm: 'aes-256-gcm' }, ['iv', 'ciphertext', 'authTag'])) {
    return 'expected version 1, aes-256-gcm, iv, ciphertext and authTag, and no more';
  }
  const [iv, ciphertext, tag] = [sealed.iv, sealed.ciphertext, sealed.authTag].map(decodePadded);
  if (iv?.length !== GCM_IV_BYTES) return `iv: expected ${GCM_IV_BYTES} bytes of base64`;
  if (tag?.length !== GCM_TAG_BYTES) return `authTag: expected ${GCM_TAG_BYTES} bytes of base64`;
  if (ciphertext === undefined || ciphertext.length === 0) return 'ciphertext: expected base64';
  return { iv, ciphertext, tag };
}

/** The text of a sealed file, or undefined when none of the keys opens it as it is. */
export function openLegacySeal(
  { iv, ciphertext, tag }: LegacySeal,
  keys: readonly Buffer[],
): Buffer | undefined {
  for (const key of keys) {
    const plaintext = decryptGcm({ key, iv, aad: NO_AAD }, { ciphertext, tag });
    if (plaintext !== undefined) return plaintext;
  }
  return undefined;
}

function hasExactly(
  value: unknown,
  fixed: { readonly [name: string]: string | number },
  others: readonly string[],
): value is { readonly [name: string]: unknown } {
  if (!isObject(value)) return false;
  const names = [...Object.keys(fixed), ...others];
  const found = Object.keys(value);
  return (
    found.length === names.length &&
    names.every((name) => found.includes(name)) &&
    Object.entries(fixed).every(([name, expected]) => value[name] === expected)
  );
}

/** Standard alphabet, padded, nothing left over: the one spelling that the store wrote. */
function decodePadded(value: unknown): Buffer | undefined {
  if (typeof value !== 'string') return undefined;
  const bytes = Buffer.from(value, 'base64');
  return bytes.toString('base64') === value ? bytes : undefined;
}

/** For a key, which a person may have copied without its padding; either alphabet. */
function decodePlainBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64').replace(/=+$/, '') === text || bytes.toString('base64url') === text
    ? bytes
    : undefined;
}
