import { type ApprovalSubject, unsignedApproval } from '../../src/manifest/approval.ts';
import type { Envelope } from '../../src/security/dsse.ts';
import { addSignature } from '../../src/security/dsse-sign.ts';
import type { SigningKey } from '../../src/security/signing-keys.ts';

/** What is approved in tests of approvals, and when. */
export const NOW = Date.UTC(2026, 0, 15, 12);
export const HOUR = 3_600_000;
export const ID = '01JDZ8M3Q0000000000000000A';
export const SUBJECT: ApprovalSubject = {
  project: 'acme/web',
  manifestDigest: 'a'.repeat(64),
  task: 'deploy',
  inputsSha256: 'b'.repeat(64),
};

/** An approval as `ax approve` makes it, by a key that is here. */
export function signApproval(
  subject: ApprovalSubject,
  { key, ...when }: { id: string; key: SigningKey; now: number; validMs: number },
): Envelope {
  return addSignature(unsignedApproval(subject, when), key);
}
