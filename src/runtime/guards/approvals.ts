import type { ApprovalRule } from '../../manifest/guards/schema.ts';
import { CLOCK_SKEW_MS } from './clock-skew.ts';
import type { GuardSnapshot, SnapshotApproval } from './snapshot.ts';
import { defer, pass, type Verdict } from './verdict.ts';
import { counted, durationMs } from './wording.ts';

/** Approvals arrive as files, at any time: one looks again. */
const RETRY_MS = 10_000;

/**
 * Defers until `threshold` distinct keys approve; however many approvals one key gives, it counts once. Not
 * counted: what is expired (by its own date or by `expires` after it was given), what is from the future, keys
 * outside `keys`, and with `notAuthor` every key that signed the manifest.
 */
export function evaluateApprovals(config: ApprovalRule, snapshot: GuardSnapshot): Verdict {
  const refusals = snapshot.approvals.map((approval) => refusalOf(approval, config, snapshot));
  const valid = snapshot.approvals.filter((_, index) => refusals[index] === null);
  const distinct = new Set(valid.map(({ kid }) => kid)).size;
  const found = `${distinct} of ${counted(config.threshold, 'approval')}`;
  if (distinct >= config.threshold) return pass(found);
  const ignored = [...Map.groupBy(refusals, (refusal) => refusal)]
    .flatMap(([refusal, those]) => (refusal === null ? [] : [`${those.length} ${refusal}`]))
    .join(', ');
  const note = ignored === '' ? '' : ` (not counted: ${ignored})`;
  return defer(`${found}${note}; give one with: ax approve ${snapshot.task.name}`, RETRY_MS);
}

/** Why an approval does not count; null when it does. */
function refusalOf(approval: SnapshotApproval, config: ApprovalRule, snapshot: GuardSnapshot): string | null {
  const { kid, createdAt, expiresAt, author } = approval;
  const lifetime = config.expires === undefined ? Number.POSITIVE_INFINITY : durationMs(config.expires);
  if (config.keys !== undefined && !config.keys.includes(kid)) return 'by keys that are not listed';
  // Both are asked, so that a snapshot in which they disagree does not let an author through.
  if (config.notAuthor === true && (author || snapshot.project.signers.includes(kid))) return 'by the author';
  if (createdAt > snapshot.now + CLOCK_SKEW_MS) return 'from the future';
  // Asked the safe way round: times that are no numbers do not make an approval valid.
  return snapshot.now < Math.min(expiresAt, createdAt + lifetime) ? null : 'expired';
}
