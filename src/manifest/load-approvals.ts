import { type AxError, isAxError } from '../errors.ts';
import type { VerificationKey } from '../security/signing-keys.ts';
import type { Revocations } from '../store/revocations.ts';
import { type ApprovalSubject, verifyApproval } from './approval.ts';

/** An approval that holds for a run, as its guards see it. Milliseconds since the epoch. */
export interface LoadedApproval {
  readonly kid: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** The key also signed the manifest that is approved. */
  readonly author: boolean;
}

export interface LoadedApprovals {
  readonly valid: readonly LoadedApproval[];
  /** Those that do not count, each with its reason. */
  readonly refused: readonly { readonly source: string; readonly error: AxError }[];
}

export interface ApprovalsAbout {
  /** The keys that are trusted for the project; HMAC keys among them do not count. */
  readonly keys: readonly VerificationKey[];
  /** The kids of the keys whose signatures of the manifest were counted. */
  readonly signers: readonly string[];
  readonly revoked: Revocations;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Sorts approvals into those that hold for a subject and those that do not: one that is refused takes nothing
 * from the others. The same approval in two files is one. Two approvals by one key stay two, since a guard may
 * find one of them too old and the other not; it is the guard that counts distinct keys.
 */
export function loadApprovals(
  files: readonly { readonly source: string; readonly bytes: Buffer }[],
  subject: ApprovalSubject,
  { keys, revoked, signers, now }: ApprovalsAbout,
): LoadedApprovals {
  const valid = new Map<string, LoadedApproval>();
  const refused: { source: string; error: AxError }[] = [];
  for (const { source, bytes } of files) {
    try {
      const { id, kid, createdAt, expiresAt } = verifyApproval(bytes, subject, {
        keys,
        revoked,
        now,
        source,
      });
      valid.set(`${kid} ${id}`, { kid, createdAt, expiresAt, author: signers.includes(kid) });
    } catch (error) {
      if (!isAxError(error)) throw error;
      refused.push({ source, error });
    }
  }
  return { valid: [...valid.values()], refused };
}
