/** DSSE v1 (secure-systems-lab/dsse, protocol.md): verifying by several keys. */
import { AxError } from '../errors.ts';
import { type Envelope, pae } from './dsse.ts';
import { verifyEd25519Aside } from './ed25519.ts';
import { type VerificationKey, verifySignature } from './signing-keys.ts';

/**
 * The distinct keys that have signed the envelope, in the order of their signatures. Distinct means by key
 * material: a key that is given twice, that signed twice, or whose signature was relabelled with another keyid is
 * one key. A keyid decides only which key is tried first. A signature that none of the keys verifies is skipped.
 *
 * At most `signatures.length * keys.length` signatures are checked, and no key once it is found.
 */
export function verifiedKeys(envelope: Envelope, keys: readonly VerificationKey[]): VerificationKey[] {
  const message = pae(envelope.payloadType, envelope.payload);
  const pending = new Map(keys.map((key) => [key.kid, key]));
  const verified: VerificationKey[] = [];
  for (const { keyid, sig } of envelope.signatures) {
    const hinted = pending.get(keyid);
    const inOrder = hinted === undefined ? pending.values() : new Set([hinted, ...pending.values()]);
    for (const key of inOrder) {
      if (!verifySignature(key, message, sig)) continue;
      verified.push(key);
      pending.delete(key.kid);
      break;
    }
  }
  return verified;
}

/**
 * Whether the first signature is by this key and names it, so that it is the first of `verifiedKeys`. It is found out
 * on another thread where that is worth it.
 */
export async function isFirstSigner(envelope: Envelope, key: VerificationKey): Promise<boolean> {
  const [first] = envelope.signatures;
  if (first === undefined || first.keyid !== key.kid) return false;
  const message = pae(envelope.payloadType, envelope.payload);
  return key.algorithm === 'Ed25519'
    ? verifyEd25519Aside(key.publicKey, message, first.sig)
    : verifySignature(key, message, first.sig);
}

/**
 * Demands valid signatures by at least `threshold` distinct keys of `keys`, and returns all the keys that signed.
 * With a threshold above 1 an HMAC key counts for nothing: every verifier of an HMAC could have made it.
 *
 * @throws SIGNATURE_INVALID when the threshold is missed and a signature names a trusted key that did not make it
 * @throws SIGNATURE_UNTRUSTED when the threshold is missed otherwise
 * @throws TRUST_MALFORMED for a threshold that is not a whole number of at least 1
 */
export function verifyThreshold(
  envelope: Envelope,
  keys: readonly VerificationKey[],
  threshold: number,
): VerificationKey[] {
  if (!Number.isSafeInteger(threshold) || threshold < 1) {
    throw new AxError('TRUST_MALFORMED', `threshold: expected a whole number from 1, found ${threshold}`, {
      hint: 'see the trusted keys with: ax trust list',
    });
  }
  const counted = threshold === 1 ? keys : keys.filter((key) => key.algorithm !== 'HS256');
  const verified = verifiedKeys(envelope, counted);
  if (verified.length >= threshold) return verified;
  throw refusal(envelope, { counted, verified, threshold });
}

interface Count {
  readonly counted: readonly VerificationKey[];
  readonly verified: readonly VerificationKey[];
  readonly threshold: number;
}

/** Here alone a keyid tells two cases apart, and both are refusals. */
function refusal(envelope: Envelope, { counted, verified, threshold }: Count): AxError {
  const broken = counted.find(
    (key) => !verified.includes(key) && envelope.signatures.some(({ keyid }) => keyid === key.kid),
  );
  const kind = threshold === 1 ? 'trusted keys' : 'trusted Ed25519 keys';
  const expected = `expected valid signatures by ${threshold} of ${counted.length} ${kind}`;
  const found = `found ${verified.length}`;
  return broken === undefined
    ? new AxError('SIGNATURE_UNTRUSTED', `${expected}, ${found}`, {
        hint: 'see which keys are trusted with: ax trust list',
      })
    : new AxError(
        'SIGNATURE_INVALID',
        `${expected}, ${found}; the one by ${broken.kid} is not over this content`,
        {
          hint: 'restore the signed file from a good copy, or sign it again with: ax sign',
        },
      );
}
