import * as z from 'zod/mini';
import { AxError } from '../errors.ts';
import { toNumericDate } from '../security/expiry.ts';
import { decodeUtf8, parseJson } from '../security/json.ts';
import { publicJwk } from '../security/jwk.ts';
import { parseVerificationKey, type VerificationKey } from '../security/signing-keys.ts';
import { projectName } from './schema.ts';

/** Whose signatures count for a project, how many of them, and from which version on. */
export interface ProjectTrust {
  readonly threshold: number;
  readonly keys: readonly VerificationKey[];
  /** Keys whose approvals count and whose signatures under a manifest do not. */
  readonly approvers: readonly VerificationKey[];
  readonly minVersion: number;
}

export type Trust = ReadonlyMap<string, ProjectTrust>;

export const MAX_TRUSTED_KEYS = 64;

const trustSchema = z.strictObject({
  projects: z.record(
    projectName,
    z.strictObject({
      threshold: z.int().check(z.minimum(1), z.maximum(MAX_TRUSTED_KEYS)),
      keys: z.array(z.unknown()).check(z.minLength(1), z.maxLength(MAX_TRUSTED_KEYS)),
      approvers: z.optional(z.array(z.unknown()).check(z.maxLength(MAX_TRUSTED_KEYS))),
      minVersion: z.optional(z.int().check(z.minimum(1))),
    }),
  ),
});

/**
 * Reads a trust file: `{projects: {"acme/web": {threshold, keys: [JWK…], approvers?: [JWK…], minVersion?}}}`.
 *
 * Refused: a threshold that its distinct keys cannot reach, the same key twice, an HMAC key with a threshold above 1
 * or as an approver, since everyone who can verify an HMAC can make one, and a key that is marked as revoked. An
 * expired key is read: it counts for nothing any more, and the others still do.
 *
 * @throws TRUST_MALFORMED; never an empty trust in its place
 */
export function parseTrust(bytes: Uint8Array, source: string): Trust {
  try {
    const result = trustSchema.safeParse(parseJson(decodeUtf8(bytes, source), source));
    if (!result.success) {
      const issue = result.error.issues[0];
      throw malformed(`${source}: ${issue?.path.join('.')}: ${issue?.message}`);
    }
    return new Map(
      Object.entries(result.data.projects).map(([project, entry]) => {
        const where = `${source}: projects.${project}`;
        const keys = entry.keys.map((key, index) => parseVerificationKey(key, `${where}.keys[${index}]`));
        checkKeys(keys, entry.threshold, where);
        const approvers = (entry.approvers ?? []).map((key, index) =>
          parseVerificationKey(key, `${where}.approvers[${index}]`),
        );
        checkApprovers(approvers, keys, where);
        const { threshold, minVersion = 1 } = entry;
        return [project, { threshold, keys, approvers, minVersion }];
      }),
    );
  } catch (error) {
    if (error instanceof AxError && error.code !== 'TRUST_MALFORMED') {
      throw malformed(error.message, error);
    }
    throw error;
  }
}

/** @throws TRUST_MALFORMED */
export function checkKeys(keys: readonly VerificationKey[], threshold: number, where: string): void {
  const distinct = new Set(keys.map((key) => key.kid));
  if (distinct.size !== keys.length) throw malformed(`${where}: expected each key once`);
  if (threshold > distinct.size) {
    throw malformed(
      `${where}: expected at least ${threshold} keys for a threshold of ${threshold}, found ${distinct.size}`,
    );
  }
  if (threshold > 1 && keys.some((key) => key.algorithm === 'HS256')) {
    throw malformed(`${where}: expected public keys for a threshold above 1, found an HMAC key`);
  }
}

/** @throws TRUST_MALFORMED */
export function checkApprovers(
  approvers: readonly VerificationKey[],
  keys: readonly VerificationKey[],
  where: string,
): void {
  const kids = [...keys, ...approvers].map(({ kid }) => kid);
  if (new Set(kids).size < kids.length) {
    throw malformed(`${where}: expected each key once: those of \`keys\` may approve as well`);
  }
  if (approvers.some(({ algorithm }) => algorithm === 'HS256')) {
    throw malformed(`${where}: expected public keys as approvers, found an HMAC key`);
  }
}

/** The keys whose approvals count. */
export function approvalKeys({ keys, approvers }: ProjectTrust): VerificationKey[] {
  return [...keys, ...approvers];
}

function malformed(message: string, cause?: unknown): AxError {
  return new AxError('TRUST_MALFORMED', message, {
    hint: 'correct the trust file, or make it anew with: ax trust add <project> <key.jwk>',
    cause,
  });
}

/** The text of a trust file. */
export function serializeTrust(trust: Trust): string {
  const projects = Object.fromEntries(
    [...trust].map(([project, { threshold, keys, approvers, minVersion }]) => [
      project,
      {
        threshold,
        keys: keys.map(trustedJwk),
        ...(approvers.length > 0 ? { approvers: approvers.map(trustedJwk) } : {}),
        ...(minVersion > 1 ? { minVersion } : {}),
      },
    ]),
  );
  return `${JSON.stringify({ projects }, null, 2)}\n`;
}

/** How a trusted key is written down. For an HMAC key that is the secret itself, so the file is private. */
function trustedJwk(key: VerificationKey): object {
  if (key.algorithm === 'Ed25519') return publicJwk(key);
  const { kty, k } = key.secret.export({ format: 'jwk' });
  const exp = key.expiresAt === undefined ? {} : { exp: toNumericDate(key.expiresAt) };
  return { kty, alg: 'HS256', k, kid: key.kid, ...exp };
}

/** The same trust without the expiries of its keys: for looking back at what they signed, never for running it. */
export function withoutExpiry(trust: Trust): Trust {
  return new Map(
    [...trust].map(([project, entry]) => [
      project,
      { ...entry, keys: entry.keys.map((key) => ({ ...key, expiresAt: undefined })) },
    ]),
  );
}
