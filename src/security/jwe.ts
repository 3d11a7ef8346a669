/**
 * Receipts at rest: JWE in the general JSON serialization (RFC 7516 section 7.2.1), content under A256GCM, the
 * content key under A256KW or ECDH-ES+A256KW. ax reads the one shape that it writes, so neither a header nor an
 * algorithm is ever negotiated with whoever last touched the store.
 */
import { AxError } from '../errors.ts';
import { decryptGcm, encryptGcm, GCM_IV_BYTES, GCM_KEY_BYTES } from './aes-gcm.ts';
import { encodeBase64url } from './base64.ts';
import { canonicalJson } from './canonical.ts';
import { equalBytes } from './digest.ts';
import type { Identity, ReceiptKey, Recipient } from './encryption-keys.ts';
import type { JsonValue } from './json.ts';
import { MAX_RECIPIENTS, parseHeader, parseJwe } from './jwe-parse.ts';
import {
  decryptKey,
  encryptKey,
  type JweRecipient,
  type ParsedRecipient,
  parseRecipient,
} from './jwe-recipient.ts';
import { tampered } from './jwe-shape.ts';
import { unwrapKeys, wrapKeys } from './key-wrap-batch.ts';
import { drawBytes, type RandomBytes } from './random.ts';

export type { JweRecipient };

export type Jwe = {
  protected: string;
  iv: string;
  ciphertext: string;
  tag: string;
  recipients: JweRecipient[];
};

type Header = Readonly<Record<string, JsonValue>>;

const ENC = 'A256GCM';

/** Header parameters with a meaning of their own to JOSE; in the caller's header they would change the format. */
const RESERVED = ['enc', 'alg', 'kid', 'epk', 'apu', 'apv', 'zip', 'crit'];

export interface SealOptions {
  /** What the ciphertext is bound to, in the clear: ids, type, version. */
  readonly protectedHeader: Header;
  readonly recipients: readonly Recipient[];
  readonly randomBytes: RandomBytes;
}

/**
 * Encrypts to all recipients, each of which can open alone. Content key, nonce and ephemeral keys are fresh in
 * every call, and the content key is overwritten before this returns or throws.
 *
 * @throws KEY_UNKNOWN without a recipient: nothing falls back to plaintext
 * @throws INTERNAL for a protected header with a parameter of JOSE's, or with more than sixteen recipients
 */
export function seal(plaintext: Uint8Array, { protectedHeader, recipients, randomBytes }: SealOptions): Jwe {
  if (recipients.length === 0) {
    throw new AxError('KEY_UNKNOWN', 'expected at least one key to seal the receipt to, found none', {
      hint: 'make one with: ax keys generate',
    });
  }
  const reserved = RESERVED.find((name) => Object.hasOwn(protectedHeader, name));
  if (reserved !== undefined || recipients.length > MAX_RECIPIENTS) {
    const problem = reserved ?? `${recipients.length} recipients`;
    throw new AxError('INTERNAL', `a receipt cannot be sealed with ${problem}`, {
      hint: 'this is a defect in ax; please report it',
    });
  }
  const header = encodeBase64url(Buffer.from(canonicalJson({ ...protectedHeader, enc: ENC })));
  const contentKey = drawBytes(randomBytes, GCM_KEY_BYTES);
  try {
    const iv = drawBytes(randomBytes, GCM_IV_BYTES);
    const { ciphertext, tag } = encryptGcm({ key: contentKey, iv, aad: Buffer.from(header) }, plaintext);
    return {
      protected: header,
      iv: encodeBase64url(iv),
      ciphertext: encodeBase64url(ciphertext),
      tag: encodeBase64url(tag),
      recipients: recipients.map((recipient) => encryptKey(recipient, contentKey, randomBytes)),
    };
  } finally {
    contentKey.fill(0);
  }
}

export interface OpenOptions {
  readonly keys: readonly Identity[];
  /** The header that this very receipt was sealed with; it stops one row's receipt passing for another's. */
  readonly expectedHeader: Header;
}

/**
 * Decrypts with the keys that the recipients name. Where several of them are at hand, each must lead to the same
 * content key: GCM does not commit to its key, so one ciphertext could be made to say two things.
 *
 * @throws KEY_UNKNOWN naming the keys that would open it, when none of them is among `keys`
 * @throws RECEIPT_TAMPERED for anything else: another shape or encoding, an unknown member, another header, and
 * any byte that was changed. No part of the plaintext is given out.
 */
export function open(jwe: unknown, { keys, expectedHeader }: OpenOptions): Buffer {
  const parsed = parseJwe(jwe);
  const expected = canonicalJson({ ...expectedHeader, enc: ENC });
  // As ax writes it, it needs no parsing.
  if (
    !parsed.header.equals(Buffer.from(expected)) &&
    canonicalJson(parseHeader(parsed.header)) !== expected
  ) {
    throw tampered('the protected header is not the one that this receipt was sealed with');
  }
  const contentKey = findContentKey(parsed.recipients, keys);
  try {
    const plaintext = decryptGcm({ key: contentKey, iv: parsed.iv, aad: parsed.aad }, parsed);
    if (plaintext === undefined) throw tampered('its content does not authenticate');
    return plaintext;
  } finally {
    contentKey.fill(0);
  }
}

function findContentKey(recipients: readonly ParsedRecipient[], keys: readonly Identity[]): Buffer {
  const identities = new Map(keys.map((key) => [key.kid, key]));
  const candidates: Buffer[] = [];
  try {
    for (const recipient of recipients) {
      const identity = identities.get(recipient.kid);
      if (identity !== undefined) candidates.push(decryptKey(identity, recipient));
    }
    const [contentKey, ...others] = candidates;
    if (contentKey === undefined) throw unknownKey(recipients);
    if (others.some((other) => !equalBytes(other, contentKey))) {
      throw tampered('its recipients hold different content keys');
    }
    return Buffer.from(contentKey);
  } finally {
    for (const candidate of candidates) candidate.fill(0);
  }
}

function unknownKey(recipients: readonly ParsedRecipient[]): AxError {
  const needed = recipients.map(({ kid }) => kid).join(', ');
  return new AxError('KEY_UNKNOWN', `receipt: expected one of the keys ${needed}, found none of them`, {
    hint: 'run this where the key is, or with its --home; ax receipts show lists the keys that open it',
  });
}

/**
 * The same content keys for another receipt key, in the same order. Only the wrapping is authenticated here: whether
 * the content is intact shows when it is opened.
 *
 * @throws KEY_UNKNOWN when a recipient is not `from`
 * @throws RECEIPT_TAMPERED when one has another shape or does not unwrap
 */
export function rewrap(
  recipients: readonly unknown[],
  { from, to }: { from: ReceiptKey; to: ReceiptKey },
): JweRecipient[] {
  const wrapped = recipients.map((recipient) => {
    const parsed = parseRecipient(recipient, 'recipient');
    if (parsed.kid !== from.kid) throw unknownKey([parsed]);
    if (parsed.alg !== from.algorithm) throw tampered(`the content key for ${from.kid} does not unwrap`);
    return parsed.encryptedKey;
  });
  const contentKeys = unwrapKeys(from.key, wrapped);
  try {
    const known = contentKeys.map((key) => {
      if (key !== undefined) return key;
      throw tampered(`the content key for ${from.kid} does not unwrap`);
    });
    return wrapKeys(to.key, known).map((bytes) => ({
      header: { alg: to.algorithm, kid: to.kid },
      encrypted_key: encodeBase64url(bytes),
    }));
  } finally {
    for (const key of contentKeys) key?.fill(0);
  }
}
