import { AxError, isAxError } from '../errors.ts';
import { canonicalJson } from '../security/canonical.ts';
import type { Envelope } from '../security/dsse.ts';
import { parseEnvelope } from '../security/dsse.ts';
import { serializeEnvelope, signEnvelope } from '../security/dsse-sign.ts';
import { verifyThreshold } from '../security/dsse-verify.ts';
import type { Identity, Recipient } from '../security/encryption-keys.ts';
import { decodeUtf8, type JsonValue, parseJson } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import { type Jwe, open, seal } from '../security/jwe.ts';
import type { Secret } from '../security/mask.ts';
import { createValueScrubber, withhold } from '../security/scrub/value.ts';
import type { SigningKey, VerificationKey } from '../security/signing-keys.ts';
import type { ReceiptRow, StoredReceipt } from '../store/receipts.ts';
import { isOwnField } from './own-fields.ts';
import {
  buildStatement,
  IN_TOTO_PAYLOAD_TYPE,
  LEGACY_PREDICATE_TYPE,
  RECEIPT_PREDICATE_TYPE,
  type ReceiptFacts,
  STATEMENT_TYPE,
} from './statement.ts';

/** What evidence is made with: the host's signature, and whoever may read it. */
export interface EvidenceKeys {
  readonly host: SigningKey;
  readonly recipients: readonly Recipient[];
}

/** The kids of whoever may read it. */
export function kidsOf({ recipients }: EvidenceKeys): string[] {
  return recipients.map(({ kid }) => kid);
}

/**
 * Makes a receipt, in this order and no other: scrub, sign, encrypt. What is not scrubbed is never signed, and
 * what is not encrypted never leaves this function. When scrubbing fails, the receipt still says how the attempt ended,
 * and withholds every text that is not an id, a digest or a name of ax's own.
 */
export function makeReceipt(
  facts: ReceiptFacts,
  keys: EvidenceKeys,
  randomBytes: (count: number) => Uint8Array,
): StoredReceipt {
  const { receiptId, run } = facts;
  const row = {
    id: receiptId,
    runId: run.id,
    attempt: run.attempt,
    project: run.project,
    task: run.task,
    outcome: facts.outcome,
    actor: run.actor,
    startedAt: facts.startedAt,
    durationMs: facts.durationMs,
  };
  const secrets = facts.plan?.secrets ?? [];
  // A refusal has no plan, and may have a manifest that held.
  const addresses =
    facts.plan?.scrubsAddresses ?? facts.verified?.manifest.policy.scrub?.ipAddresses ?? false;
  const statement = buildStatement(facts);
  return sealStatement({ row, statement, secrets, addresses }, keys, randomBytes);
}

/** The same for a statement that is no receipt of a run, with the row that it will lie in. */
export function sealStatement(
  source: {
    row: ReceiptRow;
    statement: { [name: string]: JsonValue };
    secrets: readonly Secret[];
    /** IP addresses are removed too. */
    addresses: boolean;
  },
  keys: EvidenceKeys,
  randomBytes: (count: number) => Uint8Array,
): StoredReceipt {
  const { row } = source;
  const statement = scrubbed(source);
  const envelope = signEnvelope(IN_TOTO_PAYLOAD_TYPE, Buffer.from(canonicalJson(statement)), [keys.host]);
  return {
    ...row,
    jwe: seal(Buffer.from(serializeEnvelope(envelope)), {
      protectedHeader: sealedHeader(row.id, row.runId),
      recipients: keys.recipients,
      randomBytes,
    }),
  };
}

/** Binds the ciphertext to its row: a receipt that was moved to another row does not open. */
function sealedHeader(receiptId: string, runId: string): { [name: string]: JsonValue } {
  return { typ: 'ax-receipt+jwe', receiptId, runId, version: 1 };
}

function scrubbed({ statement, secrets, addresses }: Parameters<typeof sealStatement>[0]): JsonValue {
  try {
    const policy = { secrets, credentials: true, personal: true, addresses };
    return createValueScrubber({ ...policy, keeps: isOwnField })(statement);
  } catch {
    return withhold(statement, isOwnField);
  }
}

declare const opened: unique symbol;

/** A receipt whose seal held. Its signature is yet to be verified. Only `openReceipt` makes one. */
export interface OpenedReceipt {
  readonly envelope: Envelope;
  /** The envelope as it was sealed, JSON text. */
  readonly envelopeText: string;
  readonly statement: { readonly [name: string]: JsonValue };
  readonly [opened]: true;
}

/** A receipt and what it is bound to, wherever it is kept. */
export type SealedReceipt = Pick<StoredReceipt, 'id' | 'runId' | 'jwe'>;

/**
 * Decrypts a receipt.
 *
 * @throws KEY_UNKNOWN when no identity here can open it
 * @throws RECEIPT_TAMPERED when anything under the seal, or the row that it is bound to, was changed
 */
export function openReceipt(receipt: SealedReceipt, identities: readonly Identity[]): OpenedReceipt {
  const plaintext = open(receipt.jwe, {
    keys: identities,
    expectedHeader: sealedHeader(receipt.id, receipt.runId),
  });
  const where = `receipt ${receipt.id}`;
  try {
    const envelopeText = decodeUtf8(plaintext, where);
    const envelope = parseEnvelope(parseJson(envelopeText, where), where);
    const statement = parseJson(decodeUtf8(envelope.payload, where), where);
    if (envelope.payloadType !== IN_TOTO_PAYLOAD_TYPE || !isObject(statement)) {
      throw tampered(receipt.id, 'it does not hold an in-toto statement');
    }
    return { envelope, envelopeText, statement } as unknown as OpenedReceipt;
  } catch (error) {
    if (isAxError(error, 'RECEIPT_TAMPERED') || !isAxError(error)) throw error;
    throw tampered(receipt.id, error.message, error);
  }
}

/**
 * The same plaintext under a new seal: another content key and nonce, other recipients, the same header.
 *
 * @throws KEY_UNKNOWN, RECEIPT_TAMPERED as `openReceipt`; what does not authenticate is not sealed again
 */
export function resealReceipt(
  receipt: StoredReceipt,
  keys: {
    identities: readonly Identity[];
    recipients: readonly Recipient[];
    randomBytes: (count: number) => Uint8Array;
  },
): Jwe {
  const header = sealedHeader(receipt.id, receipt.runId);
  const plaintext = open(receipt.jwe, { keys: keys.identities, expectedHeader: header });
  try {
    return seal(plaintext, {
      protectedHeader: header,
      recipients: keys.recipients,
      randomBytes: keys.randomBytes,
    });
  } finally {
    plaintext.fill(0);
  }
}

function signerOf(id: string, envelope: Envelope, hostKeys: readonly VerificationKey[]): VerificationKey {
  try {
    const [signer] = verifyThreshold(envelope, hostKeys, 1);
    if (signer !== undefined) return signer;
  } catch (error) {
    if (!isAxError(error, 'SIGNATURE_UNTRUSTED')) throw error;
    throw new AxError('SIGNATURE_UNTRUSTED', `receipt ${id}: signed by no host that is known here`, {
      hint: 'if you know the host that signed it: ax keys import --role host <its public key>',
      cause: error,
    });
  }
  throw new AxError('INTERNAL', 'a threshold of one was met by no key');
}

/**
 * Verifies an opened receipt: signed by a host key that is known here, and saying of itself what its row says.
 *
 * @throws SIGNATURE_UNTRUSTED, SIGNATURE_INVALID, RECEIPT_TAMPERED
 */
export function verifyReceipt(
  receipt: StoredReceipt,
  opened: OpenedReceipt,
  hostKeys: readonly VerificationKey[],
): { keyid: string } {
  const signer = signerOf(receipt.id, opened.envelope, hostKeys);
  requireOwnRow(receipt, opened);
  return { keyid: signer.kid };
}

/** The part of `verifyReceipt` that is not about the signature. @throws RECEIPT_TAMPERED */
export function requireOwnRow(receipt: StoredReceipt, { statement }: OpenedReceipt): void {
  if (statement._type !== STATEMENT_TYPE || !isObject(statement.predicate)) {
    throw tampered(receipt.id, 'it is not an in-toto Statement v1');
  }
  // What was imported must not pass for something that ax has run, nor the other way round.
  const expected = receipt.outcome === 'imported' ? LEGACY_PREDICATE_TYPE : RECEIPT_PREDICATE_TYPE;
  if (statement.predicateType !== expected) {
    throw tampered(receipt.id, `expected a statement of type ${expected}, found another`);
  }
  const { predicate } = statement;
  const claimed: Record<string, JsonValue> = {
    receiptId: receipt.id,
    runId: receipt.runId,
    attempt: receipt.attempt,
    project: receipt.project,
    task: receipt.task,
    outcome: receipt.outcome,
    actor: { uid: receipt.actor.uid, name: receipt.actor.name },
    startedAt: new Date(receipt.startedAt).toISOString(),
    durationMs: receipt.durationMs,
  };
  for (const [name, value] of Object.entries(claimed)) {
    const signed = predicate[name];
    if (signed === value) continue;
    if (signed === undefined || canonicalJson(signed) !== canonicalJson(value)) {
      throw tampered(
        receipt.id,
        `the store says ${name} ${canonicalJson(value)}, the signed statement says otherwise`,
      );
    }
  }
}

/** The refusal of a receipt that is not as it was written. */
export function tampered(id: string, problem: string, cause?: unknown): AxError {
  return new AxError('RECEIPT_TAMPERED', `receipt ${id}: ${problem}`, {
    hint: 'keep a copy of the store as evidence; see what else changed with: ax audit verify',
    cause,
  });
}
