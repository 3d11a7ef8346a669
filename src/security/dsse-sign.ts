/** DSSE v1 (secure-systems-lab/dsse, protocol.md and envelope.md): signing envelopes and writing them. */
import { AxError, isAxError } from '../errors.ts';
import { encodeBase64 } from './base64.ts';
import { type Envelope, type EnvelopeSignature, MAX_SIGNATURES, pae } from './dsse.ts';
import type { JsonValue } from './json.ts';
import { type Ed25519PublicJwk, publicJwk } from './jwk.ts';
import type { Signer } from './signer.ts';
import {
  parseVerificationKey,
  type SigningKey,
  signMessage,
  type VerificationKey,
  verifySignature,
} from './signing-keys.ts';

/**
 * Signs a body with each of the keys.
 *
 * @throws KEY_UNKNOWN without a key: an envelope with no signature must not come about.
 */
export function signEnvelope(payloadType: string, body: Uint8Array, keys: readonly SigningKey[]): Envelope {
  if (keys.length === 0) {
    throw new AxError('KEY_UNKNOWN', 'expected at least one key to sign with, found none', {
      hint: 'make one with: ax keys generate',
    });
  }
  return keys.reduce(addSignature, unsignedEnvelope(payloadType, body));
}

/** What a signer is given for its first signature; an envelope without one is never written. */
export function unsignedEnvelope(payloadType: string, body: Uint8Array): Envelope {
  return { payloadType, payload: Buffer.from(body), signatures: [] };
}

/**
 * Adds a signature over the payload as it is. An earlier signature by the same key, under whatever keyid, is
 * replaced, and so is one that only claims this key's id.
 *
 * @throws ENVELOPE_MALFORMED when there are sixteen signatures by others already.
 */
export function addSignature(envelope: Envelope, key: SigningKey): Envelope {
  const message = pae(envelope.payloadType, envelope.payload);
  const others = signaturesByOthers(envelope, key, message);
  return { ...envelope, signatures: [...others, signatureBy(key, signMessage(key, message))] };
}

/**
 * The same by a signer elsewhere, whose word is not taken for it: what it gives is verified.
 *
 * @throws ENVELOPE_MALFORMED before the signer is asked
 * @throws SIGNATURE_INVALID when what it gives is no signature by its key over the payload
 * @throws what the signer throws
 */
export async function addSignatureOf(envelope: Envelope, signer: Signer): Promise<Envelope> {
  const { key } = signer;
  const message = pae(envelope.payloadType, envelope.payload);
  const others = signaturesByOthers(envelope, key, message);
  const sig = Buffer.from(await signer.sign(message));
  if (!verifySignature(key, message, sig)) {
    throw new AxError('SIGNATURE_INVALID', `expected a signature by ${key.kid}, found one that is not`, {
      hint: 'what keeps the key answers wrongly; nothing was written. Look at it: ssh-add -l',
    });
  }
  return { ...envelope, signatures: [...others, signatureBy(key, sig)] };
}

function signaturesByOthers(
  { signatures }: Envelope,
  key: VerificationKey,
  message: Uint8Array,
): EnvelopeSignature[] {
  const others = signatures.filter(
    ({ keyid, sig }) => keyid !== key.kid && !verifySignature(key, message, sig),
  );
  if (others.length >= MAX_SIGNATURES) {
    const found = `found ${others.length} by other keys`;
    throw new AxError('ENVELOPE_MALFORMED', `expected at most ${MAX_SIGNATURES} signatures, ${found}`, {
      hint: 'sign the content afresh with the keys that are needed',
    });
  }
  return others;
}

function signatureBy(key: VerificationKey, sig: Buffer): EnvelopeSignature {
  // The JWK of an HMAC key is the secret itself, so there is no public hint to give.
  return key.algorithm === 'Ed25519' ? { keyid: key.kid, sig, jwk: publicJwk(key) } : { keyid: key.kid, sig };
}

/**
 * The text of an envelope: JSON indented by two spaces, standard base64, a newline at the end. A `jwk` hint is
 * written anew from the public key it holds, and left out when it holds none: whatever came in with a parsed
 * envelope, no secret goes out.
 */
export function serializeEnvelope(envelope: Envelope): string {
  const { payloadType, payload, signatures } = envelope;
  const document = {
    payloadType,
    payload: encodeBase64(payload),
    signatures: signatures.map(({ keyid, sig, jwk }) => ({ keyid, sig: encodeBase64(sig), jwk: hint(jwk) })),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function hint(jwk: JsonValue | undefined): Ed25519PublicJwk | undefined {
  if (jwk === undefined) return undefined;
  try {
    const key = parseVerificationKey(jwk, 'jwk');
    return key.algorithm === 'Ed25519' ? publicJwk(key) : undefined;
  } catch (error) {
    // One that is marked as revoked introduces nobody either.
    if (isAxError(error)) return undefined;
    throw error;
  }
}
