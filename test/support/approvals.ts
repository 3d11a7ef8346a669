import type { ApprovalSubject } from '../../src/manifest/approval.ts';

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
