import { AxError } from '../errors.ts';
import { parseSigningKey, type SigningKey } from '../security/signing-keys.ts';
import {
  type KeyEntry,
  type Keyring,
  requireKey,
  requireUnexpired,
  requireUnrevoked,
} from '../store/keyring.ts';

/**
 * The active signing key, or the one whose kid begins as given.
 *
 * @param now milliseconds since the epoch
 * @throws KEY_UNKNOWN, KEY_MALFORMED, KEY_REVOKED, KEY_EXPIRED
 */
export function findSigningKey(keyring: Keyring, kid: string | undefined, now: number): SigningKey {
  const entry = findEntry(keyring, kid);
  requireUnexpired(entry, now);
  return { ...parseSigningKey(entry.jwk, entry.kid), expiresAt: entry.expiresAt };
}

function findEntry(keyring: Keyring, kid: string | undefined): KeyEntry {
  if (kid === undefined) return requireKey(keyring, 'signing');
  const [entry, second] = keyring.filter((key) => key.role === 'signing' && key.kid.startsWith(kid));
  if (entry === undefined || second !== undefined) {
    const found = entry === undefined ? 'none' : 'several';
    throw new AxError('KEY_UNKNOWN', `expected one signing key that begins with "${kid}", found ${found}`, {
      hint: 'ax keys list',
    });
  }
  requireUnrevoked(entry);
  return entry;
}
