/** DSSE v1 (secure-systems-lab/dsse, protocol.md and envelope.md): the envelope, and what is signed. */
import { AxError } from '../errors.ts';
import { decodeBase64 } from './base64.ts';
import type { JsonValue } from './json.ts';
import { isObject, kindOf } from './json-shape.ts';

/** The most signatures that an envelope may hold: with the number of keys, it bounds the work of verifying. */
export const MAX_SIGNATURES = 16;

/** An envelope with its base64 undone. Nothing in it can be believed before its signatures are verified. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Buffer;
  readonly signatures: readonly EnvelopeSignature[];
}

export interface EnvelopeSignature {
  /** An unauthenticated hint at the key to try first; empty when there is none. Never a reason to trust. */
  readonly keyid: string;
  readonly sig: Buffer;
  /** An unauthenticated hint at the public key itself, for first contact; never used to verify. */
  readonly jwk?: JsonValue;
}

/**
 * The bytes that are signed: `"DSSEv1" SP LEN(type) SP type SP LEN(body) SP body`, lengths in bytes (not
 * characters) of UTF-8. The lengths make it impossible to move a byte from one part to the other.
 *
 * @throws ENVELOPE_MALFORMED for a type with a lone surrogate, which UTF-8 would turn into another type.
 */
export function pae(payloadType: string, body: Uint8Array): Buffer {
  if (!payloadType.isWellFormed()) {
    throw new AxError('ENVELOPE_MALFORMED', 'payloadType: expected Unicode text, found a lone surrogate', {
      hint: 'use a media type such as application/vnd.in-toto+json',
    });
  }
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${body.length} `;
  return Buffer.concat([Buffer.from(head), body]);
}

/**
 * Reads an envelope. Members that DSSE does not name are ignored, as it demands; `keyid` may be absent; base64 may
 * be in either alphabet, but strict. Which key signed, and whether, is not asked here.
 *
 * @param source what the envelope is called in a refusal, such as its path
 * @throws ENVELOPE_MALFORMED with the member, what was expected there and what was found.
 */
export function parseEnvelope(value: JsonValue, source: string): Envelope {
  if (!isObject(value)) throw malformed(source, 'a DSSE envelope', value);
  const { payloadType, payload, signatures } = value;
  // A lone surrogate would be signed as U+FFFD: two types, one signature.
  if (typeof payloadType !== 'string' || !payloadType.isWellFormed()) {
    throw malformed(`${source}: payloadType`, 'Unicode text', payloadType);
  }
  if (!Array.isArray(signatures) || signatures.length < 1 || signatures.length > MAX_SIGNATURES) {
    throw malformed(`${source}: signatures`, `an array of 1 to ${MAX_SIGNATURES}`, signatures);
  }
  return {
    payloadType,
    payload: parseBytes(payload, `${source}: payload`),
    signatures: signatures.map((item, index) => parseSignature(item, `${source}: signatures[${index}]`)),
  };
}

function parseSignature(value: JsonValue, where: string): EnvelopeSignature {
  if (!isObject(value)) throw malformed(where, 'an object', value);
  const { keyid = '', sig, jwk } = value;
  if (typeof keyid !== 'string') throw malformed(`${where}.keyid`, 'a string or nothing', keyid);
  const bytes = parseBytes(sig, `${where}.sig`);
  // To DSSE's protobuf form an empty member is an absent one, and `sig` is required.
  if (bytes.length === 0) throw malformed(`${where}.sig`, 'a signature', sig);
  return { keyid, sig: bytes, ...(jwk === undefined ? {} : { jwk: jwk as JsonValue }) };
}

function parseBytes(value: unknown, where: string): Buffer {
  const bytes = typeof value === 'string' ? decodeBase64(value) : undefined;
  if (bytes === undefined) throw malformed(where, 'padded base64 in one alphabet', value);
  return bytes;
}

function malformed(where: string, expected: string, found: unknown): AxError {
  const other = typeof found === 'string' && found !== '' ? 'other text' : kindOf(found);
  return new AxError('ENVELOPE_MALFORMED', `${where}: expected ${expected}, found ${other}`, {
    hint: 'restore the file from a good copy, or sign it again with: ax sign',
  });
}
