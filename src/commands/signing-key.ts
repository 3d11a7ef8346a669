import { AxError } from '../errors.ts';
import { parseSigningKey, type SigningKey } from '../security/signing-keys.ts';
import { type Keyring, requireKey, requireUnrevoked } from '../store/keyring.ts';

/**
 * The active signing key, or the one whose kid begins as given.
 *
 * @throws KEY_UNKNOWN, KEY_MALFORMED, KEY_REVOKED
 */
export function findSigningKey(keyring: Keyring, kid: string | undefined): SigningKey {
  if (kid === undefined) {
    const entry = requireKey(keyring, 'signing');
    return parseSigningKey(entry.jwk, entry.kid);
  }
  const [entry, second] = keyring.filter((key) => key.role === 'signing' && key.kid.startsWith(kid));
  if (entry === undefined || second !== undefined) {
    const found = entry === undefined ? 'none' : 'several';
    throw new AxError('KEY_UNKNOWN', `expected one signing key that begins with "${kid}", found ${found}`, {
      hint: 'ax keys list',
    });
  }
  requireUnrevoked(entry);
  return parseSigningKey(entry.jwk, entry.kid);
}
