import { AxError, type ErrorCode, isAxError } from '../errors.ts';
import type { Identity } from '../security/encryption-keys.ts';
import type { JsonValue } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import type { VerificationKey } from '../security/signing-keys.ts';
import { auditPositionProblem } from '../store/audit-position.ts';
import type { Database } from '../store/database.ts';
import type { StoredReceipt } from '../store/receipts.ts';
import { type OpenedReceipt, openReceipt, tampered, verifyReceipt } from './receipt.ts';
import { type KeyStanding, type Standing, standingOf } from './receipt-standing.ts';

/** What a verification comes to; permanent words. */
export const VERDICTS = [
  'valid',
  'tampered',
  'revoked',
  'expired',
  'untrusted',
  'unreadable',
  'missing',
] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface VerifyingKeys {
  readonly identities: readonly Identity[];
  readonly hosts: readonly VerificationKey[];
  /** What has become of the keys since. */
  readonly keyring: readonly KeyStanding[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface VerifiedReceipt {
  readonly keyid: string;
  readonly standing: Standing;
  readonly statement: OpenedReceipt['statement'];
}

/**
 * Verifies a receipt where it lies: its seal and what it is bound to, the signature of a host key that is known
 * here, that the row says what the statement says, and its place in the audit log.
 *
 * @throws KEY_UNKNOWN when no key here opens it
 * @throws SIGNATURE_UNTRUSTED when no host key that is known here signed it
 * @throws KEY_REVOKED, KEY_EXPIRED when it cannot be shown to be from before its key was revoked, or expired
 * @throws SIGNATURE_INVALID, RECEIPT_TAMPERED when anything is not as it was written
 */
export function verifyStored(
  database: Database,
  receipt: StoredReceipt,
  { identities, hosts, keyring, now }: VerifyingKeys,
): VerifiedReceipt {
  const opened = openReceipt(receipt, identities);
  const { keyid } = verifyReceipt(receipt, opened, hosts);
  const { seq, hash } = auditOf(receipt, opened.statement);
  const position = { receiptId: receipt.id, runId: receipt.runId, seq, hash };
  const problem = auditPositionProblem(database, position);
  if (problem !== null) throw tampered(receipt.id, problem);
  const key = keyring.find(({ kid }) => kid === keyid);
  if (key === undefined) throw new AxError('INTERNAL', 'a receipt was verified by a key that is not there');
  return { keyid, standing: standingOf(database, { key, receipt, now }), statement: opened.statement };
}

function auditOf({ id }: StoredReceipt, { predicate }: { readonly [name: string]: JsonValue }) {
  const audit = isObject(predicate) ? predicate.audit : undefined;
  const { seq, hash } = isObject(audit) ? audit : {};
  if (typeof seq === 'number' && typeof hash === 'string') return { seq, hash };
  throw tampered(id, 'its statement names no place in the audit log');
}

const VERDICT_OF: Partial<Record<ErrorCode, Verdict>> = {
  RECEIPT_TAMPERED: 'tampered',
  SIGNATURE_INVALID: 'tampered',
  KEY_REVOKED: 'revoked',
  KEY_EXPIRED: 'expired',
  SIGNATURE_UNTRUSTED: 'untrusted',
  KEY_UNKNOWN: 'unreadable',
};

/** The verdict that a refusal of a receipt means; an error of another kind is thrown on. */
export function verdictOf(error: unknown): { verdict: Verdict; error: AxError } {
  const verdict = isAxError(error) ? VERDICT_OF[error.code] : undefined;
  if (verdict === undefined || !isAxError(error)) throw error;
  return { verdict, error };
}
