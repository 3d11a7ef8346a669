import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { decodeBase64, decodeBase64url, decodeHex } from '../security/base64.ts';
import {
  type Identity,
  parseReceiptKey,
  parseX25519Identity,
  parseX25519Recipient,
  type ReceiptKey,
  type Recipient,
  receiptKeyFromBytes,
} from '../security/encryption-keys.ts';
import { describeExpiry, isExpired } from '../security/expiry.ts';
import { parseJson } from '../security/json.ts';
import { MAX_RECIPIENTS } from '../security/jwe-parse.ts';
import {
  activeKey,
  activeRecipients,
  type KeyEntry,
  type Keyring,
  newestKey,
  requireUnexpired,
  requireUnrevoked,
} from './keyring.ts';

/**
 * What receipts are sealed to: `AX_RECIPIENTS` (public keys) and `AX_RECEIPT_KEY` where they are set, else the
 * keyring's active receipt key and all its recipients. Either of these two is enough; with recipients alone,
 * whose private parts are elsewhere, this machine writes what it cannot read. Expired keys are left out, as revoked
 * ones are, as long as another is there.
 *
 * @throws ENVIRONMENT_MALFORMED for a value that is set and cannot be used; it never means "no encryption"
 * @throws KEY_UNKNOWN when there is nothing to seal to, KEY_REVOKED and KEY_EXPIRED when all that there was is that
 * @throws KEY_MALFORMED for more keys than a receipt can have recipients
 */
export function sealingRecipients(context: Context, keyring: Keyring): Recipient[] {
  const fromEnvironment = [...environmentRecipients(context), ...environmentKey(context)];
  const now = context.now();
  if (fromEnvironment.length > 0) return requireSomeUnexpired(fromEnvironment, now);
  const active = activeKey(keyring, 'receipt');
  const receiptKey = active === undefined || isExpired(active, now) ? undefined : active;
  const recipients = activeRecipients(keyring);
  const ringed = [
    ...(receiptKey === undefined ? [] : [parseReceiptKey(receiptKey.jwk, receiptKey.kid)]),
    ...recipients
      .filter((entry) => !isExpired(entry, now))
      .map((entry) => parseX25519Recipient(entry.publicJwk, entry.kid)),
  ];
  if (ringed.length === 0) {
    for (const entry of [active, ...recipients]) if (entry !== undefined) requireUnexpired(entry, now);
    const newest = newestKey(keyring, 'receipt');
    if (newest !== undefined) requireUnrevoked(newest);
    throw new AxError('KEY_UNKNOWN', 'no receipt key: a run whose evidence cannot be sealed is not started', {
      hint: 'ax keys generate --role receipt, or ax keys import <a reader’s key>, or set AX_RECEIPT_KEY',
    });
  }
  if (ringed.length > MAX_RECIPIENTS) {
    throw new AxError(
      'KEY_MALFORMED',
      `keyring: expected at most ${MAX_RECIPIENTS} keys to seal receipts to, found ${ringed.length}`,
      { hint: 'revoke one that is not wanted: ax keys list, ax keys revoke <kid>' },
    );
  }
  return ringed;
}

function requireSomeUnexpired(recipients: Recipient[], now: number): Recipient[] {
  const good = recipients.filter((key) => !isExpired(key, now));
  const [first] = recipients;
  if (good.length > 0 || first === undefined || !isExpired(first, now)) return good;
  throw new AxError('KEY_EXPIRED', `AX_RECIPIENTS: the key ${first.kid} ${describeExpiry(first)}`, {
    hint: 'ask the reader for the public key that took its place',
  });
}

/**
 * What receipts can be opened with here: every receipt key of the keyring and the private keys of recipients, retired
 * and revoked ones too, since what is sealed to them stays so, and the environment's receipt key.
 *
 * @throws ENVIRONMENT_MALFORMED, KEY_MALFORMED
 */
export function openingIdentities(context: Context, keyring: Keyring): Identity[] {
  const ringed = keyring.flatMap((entry): Identity[] => {
    if (entry.role === 'receipt') return [parseReceiptKey(entry.jwk, entry.kid)];
    if (entry.role === 'recipient' && entry.hasPrivatePart)
      return [parseX25519Identity(entry.jwk, entry.kid)];
    return [];
  });
  return [...environmentKey(context), ...ringed];
}

/** What becomes of a recipient when a receipt is sealed again: it stays, or with null it does not. */
export type Readers = ReadonlyMap<string, Recipient | null>;

/**
 * Every key that is known here, by kid. Receipt keys of the keyring do not stay, since another takes their place,
 * nor do recipients that were revoked, and those to be left out. One that has expired is not among them, as if it were
 * not here: nothing is sealed to it, and nobody has said that its reader is to be shut out.
 *
 * @throws ENVIRONMENT_MALFORMED, KEY_MALFORMED
 */
export function readersOf(context: Context, keyring: Keyring, leftOut: readonly string[]): Readers {
  const now = context.now();
  const ringed = keyring.filter(({ role }) => role === 'receipt' || role === 'recipient');
  return new Map<string, Recipient | null>([
    ...[...environmentRecipients(context), ...environmentKey(context)]
      .filter((key) => !isExpired(key, now))
      .map((key) => [key.kid, key] as const),
    ...ringed
      .filter((entry) => !stays(entry) || !isExpired(entry, now))
      .map((entry) => [entry.kid, stays(entry) ? recipientOf(entry) : null] as const),
    ...leftOut.map((kid) => [kid, null] as const),
  ]);
}

function stays({ role, state }: KeyEntry): boolean {
  return role === 'recipient' && state === 'active';
}

function recipientOf({ publicJwk, kid }: KeyEntry): Recipient {
  return parseX25519Recipient(publicJwk, kid);
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
    // One place is AX_RECEIPT_KEY's.
    if (keys.length === 0 || keys.length >= MAX_RECIPIENTS) {
      throw new Error(`AX_RECIPIENTS: expected 1 to ${MAX_RECIPIENTS - 1} keys, found ${keys.length}`);
    }
    const recipients = keys.map((key, index) => parseX25519Recipient(key, `AX_RECIPIENTS[${index}]`));
    if (new Set(recipients.map(({ kid }) => kid)).size < recipients.length) {
      throw new Error('AX_RECIPIENTS: expected each key once');
    }
    return recipients;
  } catch (error) {
    throw new AxError('ENVIRONMENT_MALFORMED', error instanceof Error ? error.message : String(error), {
      hint: 'expected one X25519 public key as a JWK, or a JSON array of them',
      cause: error,
    });
  }
}
