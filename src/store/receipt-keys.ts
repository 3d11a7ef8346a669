import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { decodeBase64, decodeBase64url, decodeHex } from '../security/base64.ts';
import {
  type Identity,
  parseReceiptKey,
  parseX25519Recipient,
  type ReceiptKey,
  type Recipient,
  receiptKeyFromBytes,
} from '../security/encryption-keys.ts';
import { parseJson } from '../security/json.ts';
import { activeKey, type Keyring } from './keyring.ts';

/**
 * What receipts are sealed to: `AX_RECIPIENTS` (public keys) and `AX_RECEIPT_KEY` where they are set, else the
 * keyring's active receipt key.
 *
 * @throws ENVIRONMENT_MALFORMED for a value that is set and cannot be used; it never means "no encryption"
 * @throws KEY_UNKNOWN when there is nothing to seal to
 */
export function sealingRecipients(context: Context, keyring: Keyring): Recipient[] {
  const fromEnvironment = [...environmentRecipients(context), ...environmentKey(context)];
  if (fromEnvironment.length > 0) return fromEnvironment;
  const active = activeKey(keyring, 'receipt');
  if (active === undefined) {
    throw new AxError('KEY_UNKNOWN', 'no receipt key: a run whose evidence cannot be sealed is not started', {
      hint: 'ax keys generate --role receipt, or set AX_RECEIPT_KEY (32 bytes, base64 or hex)',
    });
  }
  return [parseReceiptKey(active.jwk, active.kid)];
}

/** What receipts can be opened with here: every receipt key of the keyring, retired ones too, and the environment's. */
export function openingIdentities(context: Context, keyring: Keyring): Identity[] {
  const ringed = keyring
    .filter((entry) => entry.role === 'receipt')
    .map((entry) => parseReceiptKey(entry.jwk, entry.kid));
  return [...environmentKey(context), ...ringed];
}

function environmentKey(context: Context): ReceiptKey[] {
  const text = context.env.AX_RECEIPT_KEY;
  if (text === undefined) return [];
  // 64 hex digits are base64 too, but of 48 bytes: the length says which it is.
  const bytes = text.length === 64 ? decodeHex(text) : (decodeBase64(text) ?? decodeBase64url(text));
  if (bytes?.length !== 32) {
    throw new AxError('ENVIRONMENT_MALFORMED', 'AX_RECEIPT_KEY: expected 32 bytes in base64 or hex', {
      hint: 'make one with: openssl rand -base64 32',
    });
  }
  return [receiptKeyFromBytes(bytes)];
}

function environmentRecipients(context: Context): Recipient[] {
  const text = context.env.AX_RECIPIENTS;
  if (text === undefined) return [];
  try {
    const value = parseJson(text, 'AX_RECIPIENTS');
    const keys = Array.isArray(value) ? value : [value];
    if (keys.length === 0) throw new Error('AX_RECIPIENTS: expected at least one key');
    return keys.map((key, index) => parseX25519Recipient(key, `AX_RECIPIENTS[${index}]`));
  } catch (error) {
    throw new AxError('ENVIRONMENT_MALFORMED', error instanceof Error ? error.message : String(error), {
      hint: 'expected one X25519 public key as a JWK, or a JSON array of them',
      cause: error,
    });
  }
}
