import { AxError, isAxError } from '../errors.ts';
import { canonicalJson } from '../security/canonical.ts';
import { sha256Hex } from '../security/digest.ts';
import { serializeEnvelope, signEnvelope } from '../security/dsse-sign.ts';
import { type JsonValue, parseJson } from '../security/json.ts';
import type { SigningKey, VerificationKey } from '../security/signing-keys.ts';
import type { StoredReceipt } from '../store/receipts.ts';
import { buildProvenance } from './provenance.ts';
import { type OpenedReceipt, verifyReceipt } from './receipt.ts';
import { readReceipt } from './receipt-reading.ts';
import { IN_TOTO_PAYLOAD_TYPE } from './statement.ts';

/** An opened receipt with what can be said of its signature here. */
export interface CheckedReceipt {
  readonly receipt: StoredReceipt;
  readonly opened: OpenedReceipt;
  /** The host key that it verifies by; null where no key here is that of its signer. */
  readonly signedBy: string | null;
}

/**
 * Verifies an opened receipt as far as the keys that are here go. An auditor may have the receipt key of a host and not
 * the host's own; what was tampered with is no auditor's business, and is refused.
 *
 * @throws SIGNATURE_INVALID, RECEIPT_TAMPERED
 */
export function checkReceipt(
  receipt: StoredReceipt,
  opened: OpenedReceipt,
  hostKeys: readonly VerificationKey[],
): CheckedReceipt {
  try {
    return { receipt, opened, signedBy: verifyReceipt(receipt, opened, hostKeys).keyid };
  } catch (error) {
    if (isAxError(error, 'SIGNATURE_UNTRUSTED')) return { receipt, opened, signedBy: null };
    throw error;
  }
}

/** The signed envelope, on one line: what is signed is in it byte for byte. */
export function envelopeLine({ receipt, opened }: CheckedReceipt): JsonValue {
  return parseJson(opened.envelopeText, `receipt ${receipt.id}`);
}

/**
 * The receipt as SLSA Provenance v1, signed as DSSE by a host key of this keyring.
 *
 * @returns null where nothing was executed, or it is no receipt of a run of ax
 * @throws SIGNATURE_UNTRUSTED for a receipt whose signer is not known here: nobody vouches for what they did not see
 * @throws KEY_UNKNOWN without a key to sign with
 */
export function provenanceLine(
  { receipt, opened, signedBy }: CheckedReceipt,
  signer: SigningKey | undefined,
): JsonValue | null {
  if (signedBy === null) {
    throw new AxError(
      'SIGNATURE_UNTRUSTED',
      `receipt ${receipt.id}: expected the signature of a host key of this keyring, found another`,
      {
        hint: 'export provenance where the receipt was written, or the envelope as it is with --format dsse',
      },
    );
  }
  if (signer === undefined) {
    throw new AxError('KEY_UNKNOWN', 'no host key of this machine to sign provenance with', {
      hint: 'ax keys generate --role host',
    });
  }
  const reading = readReceipt(opened.statement);
  if (reading === null) return null;
  const provenance = buildProvenance({
    reading,
    statementSha256: sha256Hex(opened.envelope.payload),
    hostKid: signedBy,
  });
  if (provenance === null) return null;
  const body = Buffer.from(canonicalJson(provenance));
  const envelope = signEnvelope(IN_TOTO_PAYLOAD_TYPE, body, [signer]);
  return parseJson(serializeEnvelope(envelope), 'provenance');
}

/** The row, who signed it and the statement, for tools that read lines. */
export function recordLine({ receipt, opened, signedBy }: CheckedReceipt): JsonValue {
  const { jwe, ...row } = receipt;
  return {
    schema: 'ax.receipt/1',
    ...row,
    actor: { uid: row.actor.uid, name: row.actor.name },
    startedAt: new Date(row.startedAt).toISOString(),
    recipients: jwe.recipients.map(({ header }) => header.kid),
    signedBy,
    statement: opened.statement,
  };
}
