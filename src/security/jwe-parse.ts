/** The stored form of a receipt, taken apart (RFC 7516 section 7.2.1). */
import { GCM_IV_BYTES, GCM_TAG_BYTES } from './aes-gcm.ts';
import { decodeUtf8, type JsonValue, parseJson } from './json.ts';
import { type ParsedRecipient, parseRecipient } from './jwe-recipient.ts';
import { exactly, readBytes, tampered } from './jwe-shape.ts';

export const MAX_RECIPIENTS = 16;

/** A JWE with its base64url undone; only its shape is known to be right. */
export interface ParsedJwe {
  /** The protected header, JSON text. */
  readonly header: Buffer;
  readonly aad: Buffer;
  readonly iv: Buffer;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
  readonly recipients: readonly ParsedRecipient[];
}

/**
 * Reads the five members that ax writes and no others: no `aad`, no `unprotected`, nothing that could change how
 * the rest is read.
 *
 * @throws RECEIPT_TAMPERED for any other shape, encoding or size.
 */
export function parseJwe(value: unknown): ParsedJwe {
  const jwe = exactly(value, ['protected', 'iv', 'ciphertext', 'tag', 'recipients'], 'JWE');
  const iv = readBytes(jwe.iv, 'iv');
  const tag = readBytes(jwe.tag, 'tag');
  if (iv.length !== GCM_IV_BYTES || tag.length !== GCM_TAG_BYTES) {
    throw tampered(`expected an iv of 12 and a tag of 16 bytes, found ${iv.length} and ${tag.length}`);
  }
  const { recipients } = jwe;
  if (!Array.isArray(recipients) || recipients.length < 1 || recipients.length > MAX_RECIPIENTS) {
    throw tampered(`recipients: expected an array of 1 to ${MAX_RECIPIENTS}, found something else`);
  }
  return {
    header: readBytes(jwe.protected, 'protected'),
    // RFC 7516 section 5.1 step 14: the encoded text as it stands, not the header encoded again.
    aad: Buffer.from(jwe.protected as string),
    iv,
    ciphertext: readBytes(jwe.ciphertext, 'ciphertext'),
    tag,
    recipients: recipients.map((item: unknown, index) => parseRecipient(item, `recipients[${index}]`)),
  };
}

/** @throws RECEIPT_TAMPERED unless it is strict JSON */
export function parseHeader(bytes: Buffer): JsonValue {
  try {
    return parseJson(decodeUtf8(bytes, 'protected'), 'protected');
  } catch (error) {
    throw tampered('its protected header is not strict JSON', error);
  }
}
