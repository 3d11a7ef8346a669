import { AxError } from '../errors.ts';
import { parseSigningKey, type SigningKey } from '../security/signing-keys.ts';
import type { KeyRole } from '../store/key-file.ts';
import { type KeyEntry, type Keyring, requireKey, requireUnrevoked } from '../store/keyring.ts';

/**
 * The active signing key, or the one whose kid begins as given.
 *
 * @throws KEY_UNKNOWN, KEY_MALFORMED, KEY_REVOKED
 */
export function findSigningKey(keyring: Keyring, kid: string | undefined): SigningKey {
  const entry = kid === undefined ? requireKey(keyring, 'signing') : named(keyring, ['signing'], kid);
  return parseSigningKey(entry.jwk, entry.kid);
}

/**
 * The active approval key, where there is none the active signing key, or the one of both roles whose kid begins
 * as given. A revoked approval key is not made up for by a signing key.
 *
 * @throws KEY_UNKNOWN, KEY_MALFORMED, KEY_REVOKED
 */
export function findApprovalKey(keyring: Keyring, kid: string | undefined): SigningKey {
  const separate = keyring.some(({ role }) => role === 'approval');
  const entry =
    kid === undefined
      ? requireKey(keyring, separate ? 'approval' : 'signing')
      : named(keyring, ['signing', 'approval'], kid);
  return parseSigningKey(entry.jwk, entry.kid);
}

function named(keyring: Keyring, roles: readonly KeyRole[], kid: string): KeyEntry {
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
