import { AxError } from '../errors.ts';
import { askSecret } from '../output/prompt.ts';
import type { EvidenceKeys } from '../runtime/receipt.ts';
import { generateReceiptKey, generateX25519, type Recipient } from '../security/encryption-keys.ts';
import { describeExpiry, type Expiring, isExpired } from '../security/expiry.ts';
import { MAX_RECIPIENTS } from '../security/jwe-parse.ts';
import { withTypableKid } from '../security/jwk.ts';
import {
  generateEd25519,
  generateHmacKey,
  parseSigningKey,
  parseVerificationKey,
  type VerificationKey,
} from '../security/signing-keys.ts';
import { appendAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import type { KeyRole } from '../store/key-file.ts';
import {
  activeKey,
  activeRecipients,
  addKey,
  isOfAnotherHost,
  type KeyEntry,
  type Keyring,
  loadKeyring,
  provePassphrase,
  requireUnexpired,
} from '../store/keyring.ts';
import { sealingRecipients } from '../store/receipt-keys.ts';
import { describeRevocation, loadRevocations, type Revocations } from '../store/revocations.ts';
import { registerStore } from '../store/store-register.ts';
import type { Session } from './session.ts';

export type SigningAlgorithm = 'ed25519' | 'hmac';

export function readKeyring({ home, context, vault }: Session): Keyring {
  return loadKeyring(home.keysDir, context.actor.uid, vault);
}

/**
 * Asks for the passphrase of a protected keyring, before a command that is going to want private keys. Where nobody
 * can be asked, the first use of one is refused.
 */
export async function unlockKeyring(session: Session): Promise<void> {
  const { context, output, vault } = session;
  if (vault.hasPassphrase() || !context.interactive || output.json) return;
  if (readKeyring(session).some(({ protection }) => protection !== null)) {
    vault.offer(await askSecret(context, 'Passphrase of the keyring:'));
  }
}

/** A signing key as trust has it, with its expiry. Only a shared secret, which is one with what verifies it, is opened for that. */
export function verificationKey(entry: KeyEntry): VerificationKey {
  return { ...parseVerificationKey(entry.publicJwk ?? entry.jwk, entry.kid), expiresAt: entry.expiresAt };
}

/** Of keys of the keyring and of others. */
export function readRevocations({ home, context }: Session): Revocations {
  return loadRevocations(home.keysDir, context.actor.uid);
}

/** Why a key of somebody else is not to be taken into use any more, or null: it was revoked here, or has expired. */
export function endOfKey(session: Session, key: { readonly kid: string } & Expiring): AxError | null {
  const hint = 'ask its owner for the public key that took its place';
  const revocation = readRevocations(session).get(key.kid);
  if (revocation !== undefined) {
    return new AxError('KEY_REVOKED', `the key ${key.kid} was ${describeRevocation(revocation)}`, { hint });
  }
  if (!isExpired(key, session.context.now())) return null;
  return new AxError('KEY_EXPIRED', `the key ${key.kid} ${describeExpiry(key)}`, { hint });
}

/** @throws USAGE when the keyring has as many recipients as a receipt can have beside the receipt key */
export function requireRoomForRecipient(keyring: Keyring): void {
  const room = MAX_RECIPIENTS - 1;
  if (activeRecipients(keyring).length < room) return;
  throw new AxError('USAGE', `expected at most ${room} recipients in the keyring, found as many already`, {
    hint: 'revoke one that is not wanted: ax keys list, ax keys revoke <kid>',
  });
}

const MAX_OTHER_HOSTS = 64;

/** @throws USAGE when the keyring has as many keys of other hosts as a verification is to try */
export function requireRoomForHost(keyring: Keyring): void {
  if (keyring.filter(isOfAnotherHost).length < MAX_OTHER_HOSTS) return;
  throw new AxError(
    'USAGE',
    `expected at most ${MAX_OTHER_HOSTS} keys of other hosts in the keyring, found as many already`,
    { hint: 'keep a keyring for each group of hosts: ax keys import --role host <file> --home <dir>' },
  );
}

/** Makes a key and puts it into the keyring. */
export function createKey(
  session: Session,
  database: Database,
  request: {
    role: KeyRole;
    algorithm?: SigningAlgorithm;
    change: 'generate' | 'rotate';
    expiresAt?: number | undefined;
  },
): KeyEntry {
  const { role, algorithm, change, expiresAt } = request;
  const jwk = withTypableKid(() => newJwk(session, role, algorithm));
  return keepKey(session, database, { role, change, jwk, expiresAt });
}

function newJwk({ context: { randomBytes } }: Session, role: KeyRole, algorithm?: SigningAlgorithm) {
  switch (role) {
    case 'receipt':
      return generateReceiptKey(randomBytes);
    case 'recipient':
      return generateX25519(randomBytes);
    case 'approval':
    case 'host':
      return generateEd25519(randomBytes);
    case 'signing':
      return algorithm === 'hmac' ? generateHmacKey(randomBytes) : generateEd25519(randomBytes);
  }
}

/**
 * Puts a key into the keyring, once its audit record is on disk: a crash may leave a record without a key, never
 * the reverse.
 */
export function keepKey(
  session: Session,
  database: Database,
  {
    role,
    change,
    jwk,
    expiresAt,
  }: { role: KeyRole; change: string; jwk: { kid: string }; expiresAt?: number | undefined },
): KeyEntry {
  const { context, home, vault } = session;
  provePassphrase(readKeyring(session));
  database.write(() =>
    appendAudit(database, context.now(), {
      type: 'key.change',
      runId: null,
      actor: context.actor,
      data: { change, role, kid: jwk.kid },
    }),
  );
  const { uid } = context.actor;
  return addKey(home.keysDir, { role, jwk, now: context.now(), expiresAt, uid, vault });
}

/**
 * What receipts are made with in this store, by the keyring as it is once the store is in its register. The host's key
 * is made on first use: it says which machine a receipt is from, and gives nobody any right; but one that has expired
 * is not replaced on the side, since somebody has decided on its end. A receipt key is never made on the side: who can
 * read evidence is a decision.
 *
 * @throws KEY_UNKNOWN, KEY_REVOKED, KEY_EXPIRED, KEY_MALFORMED, KEY_PERMISSIONS, ENVIRONMENT_MALFORMED
 */
export function evidenceKeys(session: Session, database: Database): EvidenceKeys {
  const { context, home } = session;
  // In this order: a key that was retired by then is not sealed to, and whoever removes one that is retired later finds
  // this store in the register.
  registerStore(home.storesDir, database.directory, context.actor.uid);
  const keyring = readKeyring(session);
  const recipients = requireEvidenceKeys(session, keyring);
  const host =
    activeKey(keyring, 'host') ?? createKey(session, database, { role: 'host', change: 'generate' });
  return { host: parseSigningKey(host.jwk, host.kid), recipients };
}

/**
 * The same question before anything is written: could a receipt be sealed and signed here now?
 *
 * @returns what it would be sealed to
 * @throws as `evidenceKeys` does
 */
export function requireEvidenceKeys({ context }: Session, keyring: Keyring): Recipient[] {
  const recipients = sealingRecipients(context, keyring);
  const host = activeKey(keyring, 'host');
  if (host !== undefined) requireUnexpired(host, context.now());
  return recipients;
}
