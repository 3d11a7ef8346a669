import { AxError } from '../errors.ts';
import { readApprovalFiles } from '../manifest/approval-files.ts';
import { loadApprovals } from '../manifest/load-approvals.ts';
import { approvalKeys } from '../manifest/trust.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import { visible } from '../output/escape.ts';
import type { GuardSources } from '../runtime/guards/collect.ts';
import { keysOf } from '../runtime/guards/keys.ts';
import type { Isolate } from '../runtime/isolate/isolate.ts';
import type { SigningKey } from '../security/signing-keys.ts';
import type { Keyring } from '../store/keyring.ts';
import { submissionKey, submissionKeys } from '../store/submissions.ts';
import { readRevocations } from './keys-access.ts';
import type { Session } from './session.ts';

export interface GuardSourcesRequest {
  readonly isolate: Isolate;
  readonly keyring: Keyring;
  readonly verified: VerifiedManifest;
  /** The key that signs receipts here; null where there is none yet, and none is made. */
  readonly host: SigningKey | null;
  /** The kids that receipts are sealed to. */
  readonly recipients: readonly string[];
  /** Paths of approvals, from the command line. */
  readonly approvals: readonly string[];
}

/**
 * What guards see beside the run itself. Approvals and revocations are read again whenever guards are asked, so
 * one that is put in its place while a run waits is found; an approval that does not count is told once.
 *
 * @throws USAGE, IO for approvals that are not there now
 */
export function guardSources(session: Session, request: GuardSourcesRequest): GuardSources {
  const { context, home, output } = session;
  const { isolate, keyring, verified, host, recipients, approvals } = request;
  const { project } = verified.manifest;
  const told = new Set<string>();
  // Named and not there is a slip to hear about before anything is started.
  if (approvals.length > 0) readApprovalFiles(context.cwd, approvals);
  return {
    isolate,
    storeDir: session.storeDir,
    keys: keysOf(keyring, { signers: verified.keyids, recipients, hostKid: host?.kid ?? '' }),
    approvals({ taskId, inputsSha256 }) {
      if (approvals.length === 0) return [];
      const trust = loadTrust(context, home).get(project);
      const { valid, refused } = loadApprovals(
        readApprovalFiles(context.cwd, approvals),
        { project, manifestDigest: verified.digest, task: taskId, inputsSha256 },
        {
          keys: trust === undefined ? [] : approvalKeys(trust),
          revoked: readRevocations(session),
          signers: verified.keyids,
          now: context.now(),
        },
      );
      for (const { error } of refused) {
        if (told.has(error.message)) continue;
        told.add(error.message);
        output.warn(`${visible(taskId)}: ${visible(error.message)}`);
      }
      return valid;
    },
    submissionKey() {
      if (host === null) throw new AxError('INTERNAL', 'there is no host key to seal a submission with');
      return submissionKey(host);
    },
    submissionKeys: () => submissionKeys(keyring),
  };
}
