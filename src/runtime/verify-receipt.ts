import { AxError, type ErrorCode, isAxError } from '../errors.ts';
import type { Identity } from '../security/encryption-keys.ts';
import type { JsonValue } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import type { VerificationKey } from '../security/signing-keys.ts';
import { auditPositionProblem, placeOfReceipt, type RunEnds, readEnds } from '../store/audit-position.ts';
import type { Database } from '../store/database.ts';
import type { StoredReceipt } from '../store/receipts.ts';
import { type OpenedReceipt, openReceipt, tampered, verifyReceipt } from './receipt.ts';
import {
  type KeyStanding,
  type Revocations,
  revocationsIn,
  type Standing,
  standingOf,
} from './receipt-standing.ts';

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
  /** What has become of the host keys since. */
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
 * @throws AUDIT_TAMPERED when the audit log cannot be read where it has the revocations
 */
export function verifyStored(
  database: Database,
  receipt: StoredReceipt,
  keys: VerifyingKeys,
): VerifiedReceipt {
  const opened = openReceipt(receipt, keys.identities);
  const { keyid } = verifyReceipt(receipt, opened, keys.hosts);
  const revocations = revocationsIn(database, keys.keyring);
  const ends = readEnds(database, [receipt.runId]);
  return placeSigned(database, { receipt, opened, keyid }, { ...keys, revocations, ends });
}

/** What is known beside a receipt, of which much is the same for many. */
export interface Surroundings extends VerifyingKeys {
  readonly revocations: Revocations;
  /** Of the receipt's run, among others. */
  readonly ends: RunEnds;
}

/**
 * The last part of `verifyStored`: what the audit log says of a receipt that this key has signed, and of the key.
 *
 * @throws RECEIPT_TAMPERED, KEY_REVOKED, KEY_EXPIRED
 */
export function placeSigned(
  database: Database,
  { receipt, opened, keyid }: { receipt: StoredReceipt; opened: OpenedReceipt; keyid: string },
  { keyring, now, revocations, ends }: Surroundings,
): VerifiedReceipt {
  const { id, runId } = receipt;
  const { seq, hash } = auditOf(receipt, opened.statement);
  const problem = auditPositionProblem(database, ends, { receiptId: id, runId, seq, hash });
  if (problem !== null) throw tampered(id, problem);
  const key = keyring.find(({ kid }) => kid === keyid);
  if (key === undefined) throw new AxError('INTERNAL', 'a receipt was verified by a key that is not there');
  const standing = standingOf({ id, runId, place: placeOfReceipt(ends, receipt) }, key, { revocations, now });
  return { keyid, standing, statement: opened.statement };
}

function auditOf({ id }: StoredReceipt, { predicate }: { readonly [name: string]: JsonValue }) {
  const audit = isObject(predicate) ? predicate.audit : undefined;
  const { seq, hash } = isObject(audit) ? audit : {};
  if (typeof seq === 'number' && typeof hash === 'string') return { seq, hash };
  throw tampered(id, 'its statement names no place in the audit log');
}

const VERDICT_OF: Partial<Record<ErrorCode, Exclude<Verdict, 'valid'>>> = {
  RECEIPT_TAMPERED: 'tampered',
  SIGNATURE_INVALID: 'tampered',
  KEY_REVOKED: 'revoked',
  KEY_EXPIRED: 'expired',
  SIGNATURE_UNTRUSTED: 'untrusted',
  KEY_UNKNOWN: 'unreadable',
};

/** The verdict that a refusal of a receipt means; an error of another kind is thrown on. */
export function verdictOf(error: unknown): { verdict: Exclude<Verdict, 'valid'>; error: AxError } {
  const verdict = isAxError(error) ? VERDICT_OF[error.code] : undefined;
  if (verdict === undefined || !isAxError(error)) throw error;
  return { verdict, error };
}
