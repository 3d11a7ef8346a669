import * as z from 'zod/mini';
import { AxError } from '../errors.ts';
import { canonicalJson } from '../security/canonical.ts';
import { type Envelope, parseEnvelope } from '../security/dsse.ts';
import { unsignedEnvelope } from '../security/dsse-sign.ts';
import { verifiedKeys } from '../security/dsse-verify.ts';
import { describeExpiry, isExpired } from '../security/expiry.ts';
import { decodeUtf8, parseJson } from '../security/json.ts';
import type { VerificationKey } from '../security/signing-keys.ts';
import { isUlid } from '../security/ulid.ts';
import { describeRevocation, type Revocations } from '../store/revocations.ts';
import { projectName, taskName } from './schema.ts';

/**
 * An approval: one person's signature under one task of one manifest with one set of inputs, for a time. It is
 * a DSSE envelope of its own payload type, so a signature under a manifest never counts as an approval, nor
 * the other way round. It travels as a file: an approver needs the repository and a key, not the runner.
 */

export const APPROVAL_PAYLOAD_TYPE = 'application/vnd.ax.approval.v1+json';
const SCHEMA = 'ax.approval/1';
/** More than any approval has. */
export const MAX_APPROVAL_BYTES = 64 * 1024;
/** How far an approver's clock may be ahead of ours. */
const CLOCK_SKEW_MS = 30_000;

const digest = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const approvalSchema = z.strictObject({
  schema: z.literal(SCHEMA),
  id: z.string().check(z.refine(isUlid)),
  project: projectName,
  manifestDigest: digest,
  task: taskName,
  inputsSha256: digest,
  issuedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
});

export type Approval = z.infer<typeof approvalSchema>;

/** What a run wants approved; an approval of anything else does not count for it. */
export interface ApprovalSubject {
  readonly project: string;
  readonly manifestDigest: string;
  readonly task: string;
  readonly inputsSha256: string;
}

/** An approval that holds for a subject. */
export interface ValidApproval {
  readonly id: string;
  readonly kid: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** An approval that is still to be signed, by one key that `requireApproverKey` lets through. */
export function unsignedApproval(
  subject: ApprovalSubject,
  { id, now, validMs }: { id: string; now: number; validMs: number },
): Envelope {
  const approval: Approval = {
    schema: SCHEMA,
    id,
    project: subject.project,
    manifestDigest: subject.manifestDigest,
    task: subject.task,
    inputsSha256: subject.inputsSha256,
    issuedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + validMs).toISOString(),
  };
  return unsignedEnvelope(APPROVAL_PAYLOAD_TYPE, Buffer.from(canonicalJson(approval)));
}

/** @throws KEY_MALFORMED for an HMAC key: everyone who can check what it signs could have made it */
export function requireApproverKey(key: VerificationKey): void {
  if (key.algorithm === 'Ed25519') return;
  throw new AxError(
    'KEY_MALFORMED',
    'expected an Ed25519 key to approve with, found a shared secret (HMAC)',
    {
      hint: 'ax keys rotate --role signing --algorithm ed25519',
    },
  );
}

export interface ApprovalPolicy {
  /** The keys that are trusted for the project; HMAC keys among them do not count. */
  readonly keys: readonly VerificationKey[];
  readonly revoked: Revocations;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What the file is called in a refusal. */
  readonly source: string;
}

/**
 * Verifies the approval in a file for a subject. The signature comes first; only then is anything believed of
 * what the file says.
 *
 * @throws SIGNATURE_UNTRUSTED, ENVELOPE_MALFORMED, JSON_MALFORMED, PAYLOAD_TYPE_UNEXPECTED
 * @throws APPROVAL_REFUSED when it is by a revoked or expired key (whatever date it bears: whoever has stolen the key
 *   can write any), expired, not yet valid, or of something else
 */
export function verifyApproval(
  bytes: Uint8Array,
  subject: ApprovalSubject,
  { keys, revoked, now, source }: ApprovalPolicy,
): ValidApproval {
  if (bytes.length > MAX_APPROVAL_BYTES) {
    throw refused(source, `expected at most ${MAX_APPROVAL_BYTES} bytes, found ${bytes.length}`);
  }
  const envelope = parseEnvelope(parseJson(decodeUtf8(bytes, source), source), source);
  if (envelope.payloadType !== APPROVAL_PAYLOAD_TYPE) {
    throw new AxError(
      'PAYLOAD_TYPE_UNEXPECTED',
      `${source}: expected payloadType ${APPROVAL_PAYLOAD_TYPE}, found ${JSON.stringify(envelope.payloadType.slice(0, 80))}`,
      {
        hint: 'this is not an approval; check which file it is',
      },
    );
  }
  // One signature is what the format has; that also bounds the work of finding out whose it is.
  if (envelope.signatures.length !== 1) {
    throw refused(source, `expected one signature, found ${envelope.signatures.length}`);
  }
  const [signer] = verifiedKeys(
    envelope,
    keys.filter((key) => key.algorithm === 'Ed25519'),
  );
  if (signer === undefined) {
    throw new AxError(
      'SIGNATURE_UNTRUSTED',
      `${source}: not signed by a key that is trusted for ${subject.project}`,
      {
        hint: 'ax trust list',
      },
    );
  }
  const revocation = revoked.get(signer.kid);
  if (revocation !== undefined) {
    throw refused(source, `its key ${signer.kid} was ${describeRevocation(revocation)}`);
  }
  if (isExpired(signer, now)) throw refused(source, `its key ${signer.kid} ${describeExpiry(signer)}`);
  const parsed = approvalSchema.safeParse(parseJson(decodeUtf8(envelope.payload, source), source));
  if (!parsed.success) throw refused(source, 'it is not an approval of this version');
  const { id, issuedAt, expiresAt, schema: _, ...about } = parsed.data;
  for (const [name, value] of Object.entries(about)) {
    const wanted = subject[name as keyof ApprovalSubject];
    if (value !== wanted) throw refused(source, `it is of another ${WORDS[name as keyof ApprovalSubject]}`);
  }
  const approval = { id, kid: signer.kid, createdAt: Date.parse(issuedAt), expiresAt: Date.parse(expiresAt) };
  // Asked the safe way round: a time that is no number does not make an approval valid.
  if (!(now < approval.expiresAt)) throw refused(source, `it expired at ${expiresAt}`);
  if (!(approval.createdAt <= now + CLOCK_SKEW_MS)) {
    throw refused(source, `it is from the future (${issuedAt})`);
  }
  return approval;
}

const WORDS: Readonly<Record<keyof ApprovalSubject, string>> = {
  project: 'project',
  manifestDigest: 'manifest (it was signed again since)',
  task: 'task',
  inputsSha256: 'set of inputs',
};

function refused(source: string, why: string): AxError {
  return new AxError('APPROVAL_REFUSED', `${source}: does not count: ${why}`, {
    hint: 'ask its author for a new one',
  });
}
