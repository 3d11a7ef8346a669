import { AxError } from '../errors.ts';
import { safeJson } from '../output/escape.ts';
import { openReceipt } from '../runtime/receipt.ts';
import {
  type CheckedReceipt,
  checkReceipt,
  envelopeLine,
  provenanceLine,
  recordLine,
} from '../runtime/receipt-export.ts';
import { readReceipt } from '../runtime/receipt-reading.ts';
import type { Identity } from '../security/encryption-keys.ts';
import { parseSigningKey, type SigningKey, type VerificationKey } from '../security/signing-keys.ts';
import { appendAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import { activeKey, requireUnexpired } from '../store/keyring.ts';
import { openingIdentities } from '../store/receipt-keys.ts';
import { type ReceiptSelection, receiptIdsAfter } from '../store/receipt-selection.ts';
import { findReceipt, loadReceipt, type StoredReceipt } from '../store/receipts.ts';
import { readKeyring, verificationKey } from './keys-access.ts';
import { PAGE_END, pageHead, receiptArticle } from './receipt-page.ts';
import type { Session } from './session.ts';

export const EXPORT_FORMATS = ['dsse', 'in-toto', 'slsa', 'jwe', 'age', 'ndjson', 'html'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** A page with more is more than a browser opens: each receipt may have 256 KiB of output. */
export const MAX_ON_A_PAGE = 1000;

/** How many receipts are read, and put on record as read, at a time. */
const PAGE = 200;

/** What came of an export, counted as it goes. */
export interface Tally {
  receipts: number;
  /** Receipts that have no form in this format. */
  passedOver: number;
}

export interface ExportRequest {
  readonly format: ExportFormat;
  /** The ids to export; null for all of the selection. */
  readonly named: readonly string[] | null;
  readonly selection: ReceiptSelection;
  readonly count: number;
  readonly tally: Tally;
}

interface ExportKeys {
  readonly identities: readonly Identity[];
  readonly hosts: readonly VerificationKey[];
  readonly signer: SigningKey | undefined;
}

/**
 * The text of an export, a receipt at a time: a line of JSON each, but for the page. Memory does not grow with the
 * number of receipts.
 */
export async function* exportedText(
  session: Session,
  database: Database | null,
  request: ExportRequest,
): AsyncGenerator<string> {
  const { format, count, tally } = request;
  if (format === 'html') {
    yield pageHead({ receipts: count, at: new Date(session.context.now()).toISOString() });
  }
  if (database !== null) {
    const keys = format === 'jwe' ? null : exportKeys(session, format);
    for (const ids of pagesOf(database, request)) {
      const parts = ids.flatMap((id) => {
        // Of a selection, one may have been pruned meanwhile.
        const receipt = request.named === null ? loadReceipt(database, id) : findReceipt(database, id);
        return receipt === null ? [] : [{ receipt, text: textOf(receipt, keys, request) }];
      });
      recordReads(session, database, { format, receipts: parts.map(({ receipt }) => receipt) });
      for (const { text } of parts) {
        if (text === null) tally.passedOver += 1;
        else {
          tally.receipts += 1;
          yield text;
        }
      }
    }
  }
  if (format === 'html') yield PAGE_END;
}

function* pagesOf(database: Database, { named, selection }: ExportRequest): Generator<readonly string[]> {
  if (named !== null) {
    for (let from = 0; from < named.length; from += PAGE) yield named.slice(from, from + PAGE);
    return;
  }
  for (let after = ''; ; ) {
    const ids = receiptIdsAfter(database, selection, { after, limit: PAGE });
    const last = ids.at(-1);
    if (last === undefined) return;
    yield ids;
    after = last;
  }
}

function exportKeys(session: Session, format: ExportFormat): ExportKeys {
  const keyring = readKeyring(session);
  const active = activeKey(keyring, 'host');
  if (format === 'slsa' && active !== undefined) requireUnexpired(active, session.context.now());
  return {
    identities: openingIdentities(session.context, keyring),
    hosts: keyring.filter(({ role }) => role === 'host').map((entry) => verificationKey(entry)),
    signer: active === undefined ? undefined : parseSigningKey(active.jwk, active.kid),
  };
}

/** Null where the receipt has no form in this format, and was not asked for by its id. */
function textOf(receipt: StoredReceipt, keys: ExportKeys | null, request: ExportRequest): string | null {
  const { format, named } = request;
  if (keys === null) return line(receipt.jwe);
  const checked = checkReceipt(receipt, openReceipt(receipt, keys.identities), keys.hosts);
  switch (format) {
    case 'in-toto':
      return line(checked.opened.statement);
    case 'ndjson':
      return line(recordLine(checked));
    case 'html':
      return articleOf(checked);
    case 'slsa': {
      const provenance = provenanceLine(checked, keys.signer);
      if (provenance === null && named !== null) throw nothingExecuted(receipt);
      return provenance === null ? null : line(provenance);
    }
    default:
      return line(envelopeLine(checked));
  }
}

function line(value: unknown): string {
  return `${safeJson(value)}\n`;
}

function articleOf({ receipt, opened, signedBy }: CheckedReceipt): string {
  const { statement } = opened;
  return receiptArticle({ id: receipt.id, reading: readReceipt(statement), statement, signedBy });
}

function nothingExecuted({ id, outcome }: StoredReceipt): AxError {
  return new AxError(
    'EXPORT_IMPOSSIBLE',
    `receipt ${id}: expected a run in which something was executed, found one that was ${outcome}`,
    { hint: `ax receipts export ${id} --format dsse` },
  );
}

/** Reading evidence leaves evidence: committed before the first of these receipts is given out. */
function recordReads(
  { context }: Session,
  database: Database,
  { format, receipts }: { format: ExportFormat; receipts: readonly StoredReceipt[] },
): void {
  database.write(() => {
    for (const { id, runId } of receipts) {
      appendAudit(database, context.now(), {
        type: 'receipt.read',
        runId,
        actor: context.actor,
        data: { receiptId: id, how: `export-${format}` },
      });
    }
  });
}
