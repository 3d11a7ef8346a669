import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import type { Identity, ReceiptKey } from '../security/encryption-keys.ts';
import type { Database } from '../store/database.ts';
import type { Keyring } from '../store/keyring.ts';
import { openingIdentities, type Readers, readersOf } from '../store/receipt-keys.ts';
import { readReceipt, replaceSeal } from '../store/receipts.ts';
import { resealReceipt } from './receipt.ts';

/** What receipts are opened with and sealed to again. */
export interface Resealing {
  readonly to: ReceiptKey;
  readonly identities: readonly Identity[];
  readonly readers: Readers;
}

/** @throws ENVIRONMENT_MALFORMED, KEY_MALFORMED */
export function resealingKeys(
  context: Context,
  keyring: Keyring,
  { to, leftOut }: { to: ReceiptKey; leftOut: readonly string[] },
): Resealing {
  const identities = openingIdentities(context, keyring);
  return { to, identities, readers: readersOf(context, keyring, leftOut) };
}

/**
 * Seals a receipt again with a fresh content key and nonce, to the new receipt key and to every other reader that it
 * had and whose key still counts; inside `database.write`. What is under the seal stays byte for byte.
 *
 * @throws RECEIPT_TAMPERED, KEY_UNKNOWN; it is then as it was
 */
export function reencrypt(
  { context, database }: { context: Context; database: Database },
  id: string,
  { to, identities, readers }: Resealing,
): void {
  const receipt = readReceipt(database, id);
  if (receipt === null) return;
  const others = receipt.jwe.recipients.map(({ header }) => header.kid).filter((kid) => kid !== to.kid);
  requireReaders(others, readers);
  const recipients = [to, ...others.flatMap((kid) => readers.get(kid) ?? [])];
  const jwe = resealReceipt(receipt, { identities, recipients, randomBytes: context.randomBytes });
  replaceSeal(database, { id, jwe });
}

/**
 * Refuses a re-encryption that would shut out a reader without anybody having said so.
 *
 * @throws KEY_UNKNOWN naming the readers whose public keys are not here or have expired
 */
export function requireReaders(kids: readonly string[], readers: Readers): void {
  const unknown = kids.filter((kid) => !readers.has(kid));
  const [first] = unknown;
  if (first === undefined) return;
  throw new AxError(
    'KEY_UNKNOWN',
    `expected the public key of every reader that receipts are sealed to, found none, or one that has expired, of ${unknown.join(', ')}`,
    {
      hint: `ax keys import <its public key>, or leave it out: ax keys rotate --reencrypt --without ${first}`,
    },
  );
}
