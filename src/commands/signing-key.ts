import { AxError } from '../errors.ts';
import { agentSigner } from '../runtime/ssh-agent.ts';
import { localSigner, type Signer } from '../security/signer.ts';
import { parseSigningKey } from '../security/signing-keys.ts';
import type { KeyRole } from '../store/key-file.ts';
import {
  type KeyEntry,
  type Keyring,
  requireKey,
  requireUnexpired,
  requireUnrevoked,
} from '../store/keyring.ts';
import { readKeyring, unlockKeyring, verificationKey } from './keys-access.ts';
import type { Session } from './session.ts';

/**
 * The active signing key, or the one whose kid begins as given. One whose private part is not in the keyring signs
 * through an ssh-agent; for that, nobody is asked for the keyring's passphrase.
 *
 * @throws KEY_UNKNOWN, KEY_MALFORMED, KEY_REVOKED, KEY_EXPIRED, KEYRING_LOCKED, PASSPHRASE_WRONG
 */
export async function findSigner(session: Session, kid: string | undefined): Promise<Signer> {
  const keyring = readKeyring(session);
  const entry = kid === undefined ? requireKey(keyring, 'signing') : keyNamed(keyring, ['signing'], kid);
  return signerOf(session, entry);
}

/**
 * The active approval key, where there is none the active signing key, or the one of both roles whose kid begins as
 * given. A revoked approval key is not made up for by a signing key.
 *
 * @throws KEY_UNKNOWN, KEY_MALFORMED, KEY_REVOKED, KEY_EXPIRED, KEYRING_LOCKED, PASSPHRASE_WRONG
 */
export async function findApprover(session: Session, kid: string | undefined): Promise<Signer> {
  const keyring = readKeyring(session);
  const separate = keyring.some(({ role }) => role === 'approval');
  const entry =
    kid === undefined
      ? requireKey(keyring, separate ? 'approval' : 'signing')
      : keyNamed(keyring, ['signing', 'approval'], kid);
  return signerOf(session, entry);
}

async function signerOf(session: Session, entry: KeyEntry): Promise<Signer> {
  requireUnexpired(entry, session.context.now());
  const key = entry.hasPrivatePart ? null : verificationKey(entry);
  if (key?.algorithm === 'Ed25519') return agentSigner(session.context, key);
  await unlockKeyring(session);
  return localSigner({ ...parseSigningKey(entry.jwk, entry.kid), expiresAt: entry.expiresAt });
}

function keyNamed(keyring: Keyring, roles: readonly KeyRole[], kid: string): KeyEntry {
  const [entry, second] = keyring.filter((key) => roles.includes(key.role) && key.kid.startsWith(kid));
  if (entry === undefined || second !== undefined) {
    const found = entry === undefined ? 'none' : 'several';
    throw new AxError(
      'KEY_UNKNOWN',
      `expected one ${roles.join(' or ')} key that begins with "${kid}", found ${found}`,
      { hint: 'ax keys list' },
    );
  }
  requireUnrevoked(entry);
  return entry;
}
