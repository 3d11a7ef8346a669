import { isAxError } from '../errors.ts';
import { verifiedKeys } from '../security/dsse-verify.ts';
import { decodeUtf8, parseJson } from '../security/json.ts';
import type { VerificationKey } from '../security/signing-keys.ts';
import { parseVerificationKey } from '../security/signing-keys.ts';
import { type Manifest, manifestSchema } from './schema.ts';
import { readEnvelope } from './verify.ts';

/** What a manifest by a stranger claims. Nothing of it is true before a person has said so. */
export interface Introduction {
  readonly claimed: Manifest;
  /** Keys that the envelope brings along and that did sign it. Whose they are is the question. */
  readonly keys: readonly VerificationKey[];
}

/**
 * Reads the keys and the claims of a manifest that nobody here trusts yet, to show them to a person.
 *
 * @returns null when it is not well formed or brings no key that signed it; an HMAC key is never brought along
 */
export function readIntroduction(lock: Uint8Array): Introduction | null {
  try {
    const envelope = readEnvelope(lock).value;
    const offered = envelope.signatures.flatMap(({ jwk }) =>
      jwk === undefined ? [] : [parseVerificationKey(jwk, 'ax.lock: jwk')],
    );
    const keys = verifiedKeys(envelope, offered).filter((key) => key.algorithm === 'Ed25519');
    const payload = parseJson(decodeUtf8(envelope.payload, 'ax.lock payload'), 'ax.lock payload');
    const claimed = manifestSchema.safeParse(payload);
    return keys.length > 0 && claimed.success ? { claimed: claimed.data, keys } : null;
  } catch (error) {
    if (isAxError(error)) return null;
    throw error;
  }
}
