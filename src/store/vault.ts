import { AxError } from '../errors.ts';
import {
  deriveProtectionKey,
  openProtected,
  type ProtectedKeyName,
  type ProtectedText,
  protectText,
  type ScryptParameters,
} from '../security/passphrase.ts';
import type { RandomBytes } from '../security/random.ts';

/**
 * What opens the protected keys of a keyring during one command: passphrases that were given, and the keys that
 * were derived from them. Deriving one takes a third of a second, so it happens when a private part is wanted and
 * not before, and once for each salt.
 */
export interface Vault {
  readonly hasPassphrase: () => boolean;
  /** Another passphrase to try, after those that are there. */
  readonly offer: (passphrase: string) => void;
  /**
   * @throws KEYRING_LOCKED when no passphrase was given
   * @throws PASSPHRASE_WRONG when none of them opens it, or a bit of it was changed
   */
  readonly open: (sealed: ProtectedText, name: ProtectedKeyName) => string;
  /** Seals with the passphrase that was given first. @throws KEYRING_LOCKED */
  readonly seal: (text: string, name: ProtectedKeyName, scrypt: ScryptParameters) => string;
}

export function createVault(randomBytes: RandomBytes, passphrase?: string): Vault {
  const passphrases = passphrase === undefined ? [] : [passphrase];
  const derived = new Map<string, Buffer>();
  const keyOf = (given: string, scrypt: ScryptParameters): Buffer => {
    const id = JSON.stringify([given, scrypt.salt, scrypt.n]);
    const key = derived.get(id) ?? deriveProtectionKey(given, scrypt);
    derived.set(id, key);
    return key;
  };
  return {
    hasPassphrase: () => passphrases.length > 0,
    offer: (given) => void passphrases.push(given),
    open(sealed, name) {
      requireAny(passphrases);
      for (const given of passphrases) {
        const text = openProtected(sealed, keyOf(given, sealed.scrypt));
        if (text !== undefined) return text;
      }
      throw new AxError(
        'PASSPHRASE_WRONG',
        `${name.role} key ${name.kid}: expected the passphrase that protects it, found another (or its file was changed)`,
        { hint: 'give the right AX_KEYRING_PASSPHRASE; if a change of it was cut short: ax keys protect' },
      );
    },
    seal(text, name, scrypt) {
      const [given = ''] = requireAny(passphrases);
      return protectText(text, { key: keyOf(given, scrypt), scrypt, name, randomBytes });
    },
  };
}

function requireAny(passphrases: readonly string[]): readonly string[] {
  if (passphrases.length > 0) return passphrases;
  throw new AxError('KEYRING_LOCKED', 'the keyring is protected, and no passphrase was given', {
    hint: 'set AX_KEYRING_PASSPHRASE, or run this on a terminal, which asks for it',
  });
}
