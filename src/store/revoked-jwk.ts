import { parseNumericDate, toNumericDate } from '../security/expiry.ts';
import { isObject } from '../security/json-shape.ts';
import { malformed, parseJwk } from '../security/jwk.ts';
import { isReason, type Revocation } from './revocations.ts';

/**
 * A revocation on its way to another machine: the public JWK with a member `revoked`, as OpenID Federation 1.0
 * section 8.7 has it: `{revoked_at, reason?}`, the time in seconds since the epoch. Nobody has signed it. It is
 * somebody's word, and what comes of it is for whoever reads it to decide.
 */
export interface RevokedJwk {
  readonly kid: string;
  readonly algorithm: 'Ed25519' | 'X25519';
  /** As it is stated: its time may lie in the future. */
  readonly stated: Revocation;
}

/** The member `revoked` of an exported key. */
export function revokedMember({ at, reason }: Revocation): { revoked_at: number; reason?: string } {
  return { revoked_at: toNumericDate(at), ...(reason === null ? {} : { reason }) };
}

/** True for a JWK that says of itself that it was revoked, well or badly. */
export function isMarkedRevoked(jwk: unknown): jwk is { readonly [member: string]: unknown } {
  return isObject(jwk) && jwk.revoked !== undefined;
}

/**
 * Reads a public JWK that is marked as revoked.
 *
 * @param where what it is called in a refusal, such as its file
 * @throws KEY_MALFORMED for a key without that mark or with one of another form, a secret or private key, a reason
 * that is not one line of up to 200 characters, and as `parseJwk` does
 */
export function parseRevokedJwk(value: unknown, where: string): RevokedJwk {
  if (!isMarkedRevoked(value)) {
    throw malformed(where, 'expected a key that is marked as revoked (with a member revoked), found none');
  }
  const { revoked, ...jwk } = value;
  const key = parseJwk(jwk, where);
  if ('k' in key || key.d !== undefined) {
    throw malformed(where, 'expected a public key, found a private or shared one');
  }
  const { revoked_at, reason = null } = isObject(revoked) ? revoked : {};
  const at = parseNumericDate(revoked_at);
  if (at === undefined) {
    throw malformed(where, 'revoked.revoked_at: expected a time in whole seconds since the epoch');
  }
  if (reason !== null && (typeof reason !== 'string' || !isReason(reason))) {
    throw malformed(where, 'revoked.reason: expected one line of up to 200 characters');
  }
  return { kid: key.kid, algorithm: key.algorithm, stated: { at, reason } };
}
