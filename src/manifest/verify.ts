import { AxError } from '../errors.ts';
import { sha256Hex } from '../security/digest.ts';
import { type Envelope, parseEnvelope } from '../security/dsse.ts';
import { verifiedKeys } from '../security/dsse-verify.ts';
import { describeExpiry, isExpired } from '../security/expiry.ts';
import { decodeUtf8, parseJson } from '../security/json.ts';
import { describeRevocation, type Revocations } from '../store/revocations.ts';
import { parsePayload } from './payload.ts';
import type { Manifest } from './schema.ts';
import type { ProjectTrust, Trust } from './trust.ts';

/**
 * From the bytes of `ax.lock` to a manifest that may run. Each step is a function; none does I/O. The bytes
 * that were verified are the bytes that are used: nothing is read again.
 */

declare const verified: unique symbol;

/** A manifest whose signatures, project, dates and version hold. Only `verifyManifest` makes one. */
export interface VerifiedManifest {
  readonly manifest: Manifest;
  /** The bytes that were signed, for whoever reads them again by itself. */
  readonly payload: Uint8Array;
  /** SHA-256, hex, of the signed payload: the identity of what was signed. */
  readonly digest: string;
  /** SHA-256, hex, of the file that carried it. */
  readonly lockSha256: string;
  /** The distinct trusted keys whose signatures hold. */
  readonly keyids: readonly string[];
  readonly [verified]: true;
}

export interface VerifyPolicy {
  readonly trust: Trust;
  /** Keys whose signatures do not count, whoever trusts them and whenever they were made. */
  readonly revoked: Revocations;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The highest version of a project that this machine has accepted; 0 for none. */
  readonly highestVersionSeen: (project: string) => number;
}

export const MANIFEST_PAYLOAD_TYPE = 'application/vnd.ax.manifest.v1+json';
const MAX_LOCK_BYTES = 4 * 1024 * 1024;
/** How far the signer's clock may be ahead of ours. */
const CLOCK_SKEW_MS = 5 * 60 * 1000;

/** One thing that was checked; every failure is reported, not the first alone. */
export interface Check {
  readonly name: string;
  readonly detail: string;
  readonly error: AxError | null;
}

export type Verification =
  | { readonly ok: true; readonly verified: VerifiedManifest; readonly checks: readonly Check[] }
  | {
      readonly ok: false;
      readonly checks: readonly Check[];
      readonly error: AxError;
      /** What trusted keys did sign, though something else is against it: to report on, never to run. */
      readonly manifest: Manifest | null;
    };

/**
 * Verifies a lock file.
 *
 * Order: size, UTF-8, envelope, payload type, signatures of distinct trusted keys against the threshold; only
 * then is the payload parsed, strictly, and its project, dates and version are held against trust, clock and
 * memory. A failure of the first group ends it; those of the second are all found.
 */
export function verifyManifest(lock: Uint8Array, policy: VerifyPolicy): Verification {
  const checks: Check[] = [];
  const step = <T>(name: string, body: () => { value: T; detail: string }): T | undefined => {
    try {
      const { value, detail } = body();
      checks.push({ name, detail, error: null });
      return value;
    } catch (error) {
      if (!(error instanceof AxError)) throw error;
      checks.push({ name, detail: error.message, error });
      return undefined;
    }
  };
  const failed = (manifest: Manifest | null = null): Verification => {
    const error = checks.find((check) => check.error !== null)?.error;
    return {
      ok: false,
      checks,
      error: error ?? new AxError('INTERNAL', 'verification stopped without a reason'),
      manifest,
    };
  };

  const envelope = step('envelope', () => readEnvelope(lock));
  if (envelope === undefined) return failed();
  const signed = step('signatures', () => checkSignatures(envelope, policy));
  if (signed === undefined) return failed();
  const manifest = step('payload', () => {
    const value = parsePayload(envelope.payload);
    return { value, detail: `${Object.keys(value.tasks).length} task(s)` };
  });
  if (manifest === undefined) return failed();

  const entry = step('project', () => checkProject(manifest, signed));
  step('validity', () => checkValidity(manifest, policy.now));
  step('version', () => checkVersion(manifest, entry?.trust.minVersion ?? 1, policy.highestVersionSeen));
  if (entry === undefined) return failed();
  if (checks.some((check) => check.error !== null)) return failed(manifest);
  const result = {
    manifest,
    payload: envelope.payload,
    digest: sha256Hex(envelope.payload),
    lockSha256: sha256Hex(lock),
    keyids: entry.keyids,
  };
  return { ok: true, verified: result as unknown as VerifiedManifest, checks };
}

/** @throws ENVELOPE_MALFORMED, JSON_MALFORMED, PAYLOAD_TYPE_UNEXPECTED */
export function readEnvelope(lock: Uint8Array): { value: Envelope; detail: string } {
  if (lock.length > MAX_LOCK_BYTES) {
    throw new AxError(
      'ENVELOPE_MALFORMED',
      `ax.lock: expected at most ${MAX_LOCK_BYTES} bytes, found ${lock.length}`,
      {
        hint: 'pin fewer or larger dependencies, then: ax sign',
      },
    );
  }
  const envelope = parseEnvelope(parseJson(decodeUtf8(lock, 'ax.lock'), 'ax.lock'), 'ax.lock');
  if (envelope.payloadType !== MANIFEST_PAYLOAD_TYPE) {
    throw new AxError(
      'PAYLOAD_TYPE_UNEXPECTED',
      `ax.lock: expected payloadType ${MANIFEST_PAYLOAD_TYPE}, found ${JSON.stringify(envelope.payloadType)}`,
      { hint: 'this is not a manifest; restore ax.lock, or: ax sign' },
    );
  }
  return { value: envelope, detail: `${envelope.signatures.length} signature(s)` };
}

interface Candidate {
  readonly trust: ProjectTrust;
  readonly keyids: readonly string[];
}

/**
 * The projects whose trusted keys reach their threshold on this envelope. Which of them it is for is in the
 * payload, and that is not looked at before a signature holds.
 *
 * A revoked key does not count, and one that has expired in a project's trust does not for that project; also for what
 * says that it was issued before: whoever has stolen the key can write any date.
 */
function checkSignatures(
  envelope: Envelope,
  { trust, revoked, now }: Pick<VerifyPolicy, 'trust' | 'revoked' | 'now'>,
): { value: ReadonlyMap<string, Candidate>; detail: string } {
  const everyKey = [
    ...new Map([...trust.values()].flatMap((entry) => entry.keys).map((key) => [key.kid, key])).values(),
  ];
  const signers = verifiedKeys(envelope, everyKey).map((key) => key.kid);
  const unrevoked = signers.filter((kid) => !revoked.has(kid));
  const candidates = new Map<string, Candidate>();
  let best: { project: string; found: number; threshold: number } | undefined;
  for (const [project, entry] of trust) {
    const keys = entry.keys.filter((key) => unrevoked.includes(key.kid) && !isExpired(key, now));
    const keyids = keys.map(({ kid }) => kid);
    if (keyids.length >= entry.threshold) candidates.set(project, { trust: entry, keyids });
    else if (keyids.length > (best?.found ?? 0)) {
      best = { project, found: keyids.length, threshold: entry.threshold };
    }
  }
  if (candidates.size > 0) {
    const counted = new Set([...candidates.values()].flatMap(({ keyids }) => keyids));
    return { value: candidates, detail: `by ${unrevoked.filter((kid) => counted.has(kid)).join(', ')}` };
  }
  for (const kid of signers) {
    const revocation = revoked.get(kid);
    if (revocation === undefined) continue;
    throw new AxError(
      'KEY_REVOKED',
      `ax.lock: the signature by ${kid} does not count: the key was ${describeRevocation(revocation)}`,
      { hint: 'review ax.yaml and sign it with another trusted key: ax sign' },
    );
  }
  const expired = [...trust.values()]
    .flatMap(({ keys }) => keys)
    .find((key) => unrevoked.includes(key.kid) && isExpired(key, now));
  if (expired !== undefined && isExpired(expired, now)) {
    throw new AxError(
      'KEY_EXPIRED',
      `ax.lock: the signature by ${expired.kid} does not count: the key ${describeExpiry(expired)}`,
      { hint: 'review ax.yaml and sign it with another trusted key: ax sign' },
    );
  }
  if (best !== undefined) {
    throw new AxError(
      'SIGNATURE_UNTRUSTED',
      `ax.lock: expected signatures of ${best.threshold} distinct keys for ${best.project}, found ${best.found}`,
      { hint: 'have another trusted key sign it: ax sign --add' },
    );
  }
  const claimed = new Set(envelope.signatures.map((signature) => signature.keyid));
  if (everyKey.some((key) => claimed.has(key.kid))) {
    throw new AxError(
      'SIGNATURE_INVALID',
      'ax.lock: the signature of a trusted key does not match the content',
      {
        hint: 'ax.lock was changed after it was signed; restore it, or review ax.yaml and: ax sign',
      },
    );
  }
  throw new AxError('SIGNATURE_UNTRUSTED', 'ax.lock: not signed by any key that is trusted here', {
    hint: 'ax trust list shows who is; ax trust add <project> <key.jwk> adds a key you have checked',
  });
}

function checkProject(
  manifest: Manifest,
  candidates: ReadonlyMap<string, Candidate>,
): { value: Candidate; detail: string } {
  const candidate = candidates.get(manifest.project);
  if (candidate === undefined) {
    throw new AxError(
      'PROJECT_MISMATCH',
      `ax.lock: signed for ${manifest.project} by keys that are trusted for ${[...candidates.keys()].join(', ')}`,
      {
        hint: `if these keys may sign for ${manifest.project} too: ax trust add ${manifest.project} <key.jwk>`,
      },
    );
  }
  return { value: candidate, detail: manifest.project };
}

function checkValidity(manifest: Manifest, now: number): { value: true; detail: string } {
  if (now >= Date.parse(manifest.expiresAt)) {
    throw new AxError('MANIFEST_EXPIRED', `ax.lock: expired at ${manifest.expiresAt}`, { hint: 'ax sign' });
  }
  if (now + CLOCK_SKEW_MS < Date.parse(manifest.issuedAt)) {
    throw new AxError(
      'MANIFEST_NOT_YET_VALID',
      `ax.lock: issued at ${manifest.issuedAt}, which is in the future`,
      {
        hint: 'check the clock of this machine, and of the one that signed',
      },
    );
  }
  return { value: true, detail: `until ${manifest.expiresAt}` };
}

function checkVersion(
  manifest: Manifest,
  minVersion: number,
  highestVersionSeen: (project: string) => number,
): { value: true; detail: string } {
  const floor = Math.max(minVersion, highestVersionSeen(manifest.project));
  if (manifest.version < floor) {
    throw new AxError(
      'MANIFEST_ROLLED_BACK',
      `ax.lock: expected version ${floor} or later of ${manifest.project}, found ${manifest.version}`,
      { hint: 'take the current ax.lock; if this older content is meant to run, sign it anew: ax sign' },
    );
  }
  return { value: true, detail: `version ${manifest.version}` };
}
