import { type SigningKey, signMessage, type VerificationKey } from './signing-keys.ts';

/** What makes signatures by a key, wherever its private part is. */
export interface Signer {
  /** What they are verified with. */
  readonly key: VerificationKey;
  /** @throws AxError when no signature comes about; what comes about is still to be verified */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
}

/** Signs with a private part that is here. */
export function localSigner(key: SigningKey): Signer {
  return { key, sign: async (message) => signMessage(key, message) };
}
