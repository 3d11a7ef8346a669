import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { safeJson, visible } from '../output/escape.ts';
import { table } from '../output/table.ts';
import { openReceipt, verifyReceipt } from '../runtime/receipt.ts';
import { type Standing, standingOf } from '../runtime/receipt-standing.ts';
import { formatDuration } from '../security/duration.ts';
import type { JsonValue } from '../security/json.ts';
import { parseVerificationKey } from '../security/signing-keys.ts';
import { isUlidPrefix } from '../security/ulid.ts';
import { appendAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import type { Keyring } from '../store/keyring.ts';
import { openingIdentities } from '../store/receipt-keys.ts';
import { findReceipt, listReceipts, type StoredReceipt } from '../store/receipts.ts';
import { readKeyring, unlockKeyring } from './keys-access.ts';
import { type GlobalOptions, openSession, type Session, withExistingStore, withStore } from './session.ts';

export interface ListOptions extends GlobalOptions {
  readonly limit?: number;
  readonly before?: string;
}

/** `ax receipts list`: needs no key. */
export async function listCommand(context: Context, options: ListOptions): Promise<number> {
  const session = await openSession(context, options);
  const limit = options.limit ?? 50;
  const page = { limit: limit + 1, before: pageStart(options.before) };
  const found = await withExistingStore(session, [], (database) => listReceipts(database, page));
  const rows = found.slice(0, limit);
  const next = found.length > limit ? rows.at(-1)?.id : undefined;
  const { output } = session;
  output.line(
    table(
      ['RECEIPT', 'TASK', 'PROJECT', 'OUTCOME', 'STARTED', 'TOOK'],
      rows.map((row) => [
        row.id,
        visible(row.task),
        visible(row.project),
        row.outcome,
        new Date(row.startedAt).toISOString(),
        formatDuration(row.durationMs),
      ]),
      output.style,
    ),
  );
  if (next !== undefined) output.note(`more: ax receipts list --before ${next}`);
  output.document({
    schema: 'ax.receipts.list/1',
    receipts: rows.map((row) => ({ ...row, startedAt: new Date(row.startedAt).toISOString() })),
    ...(next === undefined ? {} : { next }),
  });
  return 0;
}

function pageStart(before: string | undefined): string | undefined {
  if (before === undefined || isUlidPrefix(before.toUpperCase())) return before?.toUpperCase();
  throw new AxError(
    'RECEIPT_UNKNOWN',
    `--before: expected the id of a receipt, found "${before.slice(0, 80)}"`,
    {
      hint: 'ax receipts list',
    },
  );
}

/** `ax receipts show <id>`: the receipt as it lies in the store, sealed; needs no key. */
export async function showCommand(context: Context, id: string, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  const receipt = await withStore(session, (database) => findReceipt(database, id.toUpperCase()));
  const { jwe, ...row } = receipt;
  const { output } = session;
  const facts = {
    ...row,
    startedAt: new Date(row.startedAt).toISOString(),
    recipients: jwe.recipients.map(({ header }) => ({ kid: header.kid, alg: header.alg })),
    ciphertextBytes: Buffer.from(jwe.ciphertext, 'base64url').length,
  };
  for (const [name, value] of Object.entries(facts)) {
    const text =
      typeof value === 'object'
        ? value.map(({ kid, alg }) => `${kid} (${alg})`).join(', ')
        : visible(String(value));
    output.line(`${output.style.dim(name.padEnd(15))}  ${text}`);
  }
  output.document({ schema: 'ax.receipts.show/1', receipt: facts, jwe });
  return 0;
}

/** `ax receipts decrypt <id>`: the in-toto Statement; `--raw` the DSSE envelope around it. */
export async function decryptCommand(
  context: Context,
  id: string,
  options: GlobalOptions & { raw?: boolean },
): Promise<number> {
  const session = await openSession(context, options);
  await unlockKeyring(session);
  const opened = await withStore(session, (database) => {
    const receipt = findReceipt(database, id.toUpperCase());
    const identities = openingIdentities(context, readKeyring(session));
    const found = openReceipt(receipt, identities);
    recordRead(session, database, receipt, 'decrypt');
    return found;
  });
  const text = options.raw === true ? opened.envelopeText.trimEnd() : safeJson(opened.statement, 2);
  context.stdout.write(`${text}\n`);
  return 0;
}

/** `ax receipts verify <id>`: seal, signature, and that the row says what the statement says. */
export async function verifyCommand(context: Context, id: string, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  await unlockKeyring(session);
  const { receipt, keyid, outcome, standing } = await withStore(session, (database) => {
    const found = findReceipt(database, id.toUpperCase());
    const keyring = readKeyring(session);
    const opened = openReceipt(found, openingIdentities(context, keyring));
    const signer = verifyReceipt(found, opened, hostKeys(keyring));
    const key = keyring.find((entry) => entry.kid === signer.keyid);
    if (key === undefined) throw new AxError('INTERNAL', 'a receipt was verified by a key that is not there');
    const now = standingOf(database, { key, receipt: found });
    recordRead(session, database, found, 'verify');
    return { receipt: found, keyid: signer.keyid, outcome: outcomeOf(opened.statement), standing: now };
  });
  const { output } = session;
  output.line(
    `${output.style.green('ok')}  receipt ${receipt.id}: seal, signature and row hold; signed by ${keyid}${STANDING[standing]}`,
  );
  output.line(`    run ${receipt.runId} of ${visible(receipt.task)}: ${outcome}`);
  output.document({
    schema: 'ax.receipts.verify/1',
    ok: true,
    id: receipt.id,
    runId: receipt.runId,
    keyid,
    outcome,
    standing,
  });
  return 0;
}

const STANDING: Readonly<Record<Standing, string>> = {
  current: '',
  superseded: ', superseded since and valid then',
  'revoked-later': ', revoked since and valid then',
};

function hostKeys(keyring: Keyring) {
  const keys = keyring
    .filter((entry) => entry.role === 'host')
    .map((entry) => parseVerificationKey(entry.publicJwk, entry.kid));
  if (keys.length > 0) return keys;
  throw new AxError('KEY_UNKNOWN', 'no host key here to verify a receipt with', {
    hint: 'run this where the receipt was written, or with its --home',
  });
}

function outcomeOf(statement: { readonly [name: string]: JsonValue }): string {
  const { predicate } = statement;
  return typeof predicate === 'object' && predicate !== null && !Array.isArray(predicate)
    ? String(predicate.outcome)
    : 'unknown';
}

/** Reading evidence leaves evidence. */
function recordRead({ context }: Session, database: Database, receipt: StoredReceipt, how: string): void {
  database.write(() =>
    appendAudit(database, context.now(), {
      type: 'receipt.read',
      runId: receipt.runId,
      actor: context.actor,
      data: { receiptId: receipt.id, how },
    }),
  );
}
