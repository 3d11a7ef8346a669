import { AxError } from '../../errors.ts';
import { decodeBase64url, encodeBase64url } from '../../security/base64.ts';
import { canonicalJson } from '../../security/canonical.ts';
import { hmacSha256, verifyHmacSha256 } from '../../security/hmac.ts';
import { isObject } from '../../security/json-shape.ts';
import { isUlid } from '../../security/ulid.ts';
import { parseAnswer } from './answer.ts';
import type { GuardSnapshot } from './snapshot.ts';
import type { Verdict } from './verdict.ts';

/** A verdict with everything that it was given about: taken from any other place, it does not hold. */
export interface BoundVerdict {
  /** SHA-256, hex, of the manifest that asks for the guard. */
  readonly manifestDigest: string;
  /** SHA-256, hex, over the canonical JSON of the guard's configuration (`sha256Canonical`). */
  readonly guardDigest: string;
  readonly runId: string;
  readonly phase: GuardSnapshot['phase'];
  /** SHA-256, hex, of the snapshot that the guard saw. */
  readonly snapshotDigest: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly verdict: Verdict;
}

export interface SignedVerdict extends BoundVerdict {
  /** HMAC-SHA256, base64url. */
  readonly mac: string;
}

/** What whoever relies on a verdict knows about it already. */
export type ExpectedVerdict = Pick<BoundVerdict, 'manifestDigest' | 'guardDigest' | 'runId' | 'phase'> &
  Partial<Pick<BoundVerdict, 'snapshotDigest' | 'at'>>;

/** Keeps these MACs apart from every other use of the key: no canonical JSON begins like this. */
const DOMAIN = 'ax.guard-verdict/1\n';
const MIN_KEY_BYTES = 32;
const BINDINGS = ['manifestDigest', 'guardDigest', 'runId', 'phase', 'snapshotDigest', 'at'] as const;
const MEMBERS: readonly string[] = [...BINDINGS, 'verdict', 'mac'];

/**
 * Signs a verdict under a run's session key.
 *
 * @throws INTERNAL for members that are not of their form, and for a key of less than 32 bytes.
 */
export function signVerdict(content: BoundVerdict, key: Uint8Array): SignedVerdict {
  const { manifestDigest, guardDigest, runId, phase, snapshotDigest, at, verdict } = content;
  // Member by member: what else the object holds is neither signed nor passed on as if it were.
  const bound = { manifestDigest, guardDigest, runId, phase, snapshotDigest, at, verdict };
  const signed = { ...bound, mac: encodeBase64url(macOf(bound, key)) };
  const problem = problemOf(signed);
  if (problem !== undefined) throw defect(problem);
  return signed;
}

/**
 * Takes a verdict out of its envelope.
 *
 * @throws GUARD_VERDICT_INVALID unless it is exactly of its form, was signed with this key as it stands, and is about
 * what is expected.
 */
export function verifyVerdict(value: unknown, expected: ExpectedVerdict, key: Uint8Array): Verdict {
  const problem = problemOf(value);
  if (problem !== undefined) throw invalid(problem);
  const { mac, ...bound } = value as SignedVerdict;
  const bytes = decodeBase64url(mac);
  if (bytes === undefined || !verifyHmacSha256(key, macInput(bound, key), bytes)) {
    throw invalid('its MAC does not match its content');
  }
  for (const name of BINDINGS) {
    const wanted = expected[name];
    if (wanted !== undefined && bound[name] !== wanted) {
      throw invalid(`expected ${name} ${wanted}, found ${bound[name]}`);
    }
  }
  return bound.verdict;
}

/** What is not of its form, or undefined. Asked before anything is believed or computed. */
function problemOf(value: unknown): string | undefined {
  if (!isObject(value)) return 'expected an object';
  const strange = Object.keys(value).find((name) => !MEMBERS.includes(name));
  if (strange !== undefined) return 'expected no other members';
  for (const name of ['manifestDigest', 'guardDigest', 'snapshotDigest'] as const) {
    if (!isDigest(value[name])) return `expected ${name} to be a SHA-256 digest in hex`;
  }
  if (typeof value.runId !== 'string' || !isUlid(value.runId)) return 'expected runId to be a ULID';
  if (value.phase !== 'check' && value.phase !== 'spawn') return 'expected phase to be check or spawn';
  if (!Number.isSafeInteger(value.at)) return 'expected at to be in whole milliseconds';
  if (typeof value.mac !== 'string') return 'expected mac to be a string';
  const answer = parseAnswer(value.verdict);
  return typeof answer === 'string' ? `verdict: ${answer}` : undefined;
}

function isDigest(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function macOf(bound: BoundVerdict, key: Uint8Array): Buffer {
  return hmacSha256(key, macInput(bound, key));
}

function macInput(bound: BoundVerdict, key: Uint8Array): Buffer {
  if (key.length < MIN_KEY_BYTES)
    throw defect(`expected a key of ${MIN_KEY_BYTES} bytes, found ${key.length}`);
  return Buffer.from(DOMAIN + canonicalJson(bound));
}

function invalid(problem: string): AxError {
  return new AxError('GUARD_VERDICT_INVALID', `guard verdict: ${problem}`, {
    hint: 'it was changed or belongs to another run; start the task again with: ax run',
  });
}

function defect(problem: string): AxError {
  return new AxError('INTERNAL', `guard verdict: ${problem}`, {
    hint: 'this is a defect in ax; please report it',
  });
}
