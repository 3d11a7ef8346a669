import type { EvidenceKeys } from '../runtime/receipt.ts';
import { generateReceiptKey } from '../security/encryption-keys.ts';
import { generateEd25519, generateHmacKey, parseSigningKey } from '../security/signing-keys.ts';
import { appendAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import {
  activeKey,
  addKey,
  type KeyEntry,
  type KeyRole,
  type Keyring,
  loadKeyring,
} from '../store/keyring.ts';
import { sealingRecipients } from '../store/receipt-keys.ts';
import type { Session } from './session.ts';

export type SigningAlgorithm = 'ed25519' | 'hmac';

export function readKeyring({ home, context }: Session): Keyring {
  return loadKeyring(home.keysDir, context.actor.uid);
}

/** Makes a key, once its audit record is on disk: a crash may leave a record without a key, never the reverse. */
export function createKey(
  { context, home }: Session,
  database: Database,
  request: { role: KeyRole; algorithm?: SigningAlgorithm; change: 'generate' | 'rotate' },
): KeyEntry {
  const { randomBytes } = context;
  const jwk =
    request.role === 'receipt'
      ? generateReceiptKey(randomBytes)
      : request.algorithm === 'hmac'
        ? generateHmacKey(randomBytes)
        : generateEd25519(randomBytes);
  database.write(() =>
    appendAudit(database, context.now(), {
      type: 'key.change',
      runId: null,
      actor: context.actor,
      data: { change: request.change, role: request.role, kid: jwk.kid },
    }),
  );
  return addKey(home.keysDir, { role: request.role, jwk, now: context.now(), uid: context.actor.uid });
}

/**
 * What receipts are made with. The host's key is made on first use: it says which machine a receipt is from,
 * and gives nobody any right. A receipt key is never made on the side: who can read evidence is a decision.
 *
 * @throws KEY_UNKNOWN, KEY_MALFORMED, KEY_PERMISSIONS, ENVIRONMENT_MALFORMED
 */
export function evidenceKeys(session: Session, database: Database, keyring: Keyring): EvidenceKeys {
  const recipients = sealingRecipients(session.context, keyring);
  const host =
    activeKey(keyring, 'host') ?? createKey(session, database, { role: 'host', change: 'generate' });
  return { host: parseSigningKey(host.jwk, host.kid), recipients };
}
