import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { safeJson, visible } from '../output/escape.ts';
import { table } from '../output/table.ts';
import { type OpenedReceipt, openReceipt } from '../runtime/receipt.ts';
import { chooseReceipt, readSealedReceipts } from '../runtime/sealed-file.ts';
import { formatDuration } from '../security/duration.ts';
import { isUlidPrefix } from '../security/ulid.ts';
import { appendAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import { openingIdentities } from '../store/receipt-keys.ts';
import { findReceipt, listReceipts, type StoredReceipt } from '../store/receipts.ts';
import { findRun, type OutcomeName } from '../store/runs.ts';
import { readKeyring, unlockKeyring } from './keys-access.ts';
import { parseMoment } from './moment.ts';
import { readNamedFile } from './named-file.ts';
import { type GlobalOptions, openSession, type Session, withExistingStore, withStore } from './session.ts';

export interface ListOptions extends GlobalOptions {
  readonly limit?: number;
  readonly before?: string;
  readonly task?: string;
  readonly outcome?: OutcomeName;
  readonly actor?: string;
  readonly run?: string;
  readonly since?: string;
  readonly until?: string;
}

/** `ax receipts list`: needs no key. */
export async function listCommand(context: Context, options: ListOptions): Promise<number> {
  const session = await openSession(context, options);
  const limit = options.limit ?? 50;
  const { task, outcome, run } = options;
  const now = context.now();
  const page = {
    limit: limit + 1,
    before: pageStart(options.before),
    task,
    outcome,
    actor: parseActor(options.actor),
    since: parseMoment(options.since, '--since', now),
    until: parseMoment(options.until, '--until', now),
  };
  const found = await withExistingStore(session, [], (database) => {
    const runId = run === undefined ? undefined : findRun(database, run.toUpperCase()).id;
    return listReceipts(database, { ...page, runId });
  });
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
  const filtered = [task, outcome, options.actor, run, options.since, options.until].some(
    (one) => one !== undefined,
  );
  if (next !== undefined) {
    output.note(
      filtered ? `more: the same with --before ${next}` : `more: ax receipts list --before ${next}`,
    );
  }
  output.document({
    schema: 'ax.receipts.list/1',
    receipts: rows.map((row) => ({ ...row, startedAt: new Date(row.startedAt).toISOString() })),
    ...(next === undefined ? {} : { next }),
  });
  return 0;
}

/** A uid that is none would look for nothing without saying so. */
function parseActor(actor: string | undefined): string | undefined {
  if (actor === undefined || !actor.startsWith('uid:') || /^uid:(?:0|[1-9][0-9]{0,9})$/.test(actor))
    return actor;
  throw new AxError('USAGE', `--actor: expected a user's name or uid:N, found "${actor.slice(0, 80)}"`, {
    hint: '--actor uid:1000',
  });
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
  const shown = {
    ...facts,
    actor: `${row.actor.name} (uid ${row.actor.uid})`,
    recipients: facts.recipients.map(({ kid, alg }) => `${kid} (${alg})`).join(', '),
  };
  for (const [name, value] of Object.entries(shown)) {
    output.line(`${output.style.dim(name.padEnd(15))}  ${visible(String(value))}`);
  }
  output.document({ schema: 'ax.receipts.show/1', receipt: facts, jwe });
  return 0;
}

export interface DecryptOptions extends GlobalOptions {
  readonly raw?: boolean;
  readonly file?: string;
}

/** `ax receipts decrypt [id]`, of the store or of a file: the in-toto Statement; `--raw` the DSSE envelope around it. */
export async function decryptCommand(
  context: Context,
  id: string | undefined,
  options: DecryptOptions,
): Promise<number> {
  const session = await openSession(context, options);
  await unlockKeyring(session);
  const opened = await openOne(session, id, options.file);
  const text = options.raw === true ? opened.envelopeText.trimEnd() : safeJson(opened.statement, 2);
  context.stdout.write(`${text}\n`);
  return 0;
}

async function openOne(
  session: Session,
  id: string | undefined,
  file: string | undefined,
): Promise<OpenedReceipt> {
  const { context } = session;
  if (file !== undefined) {
    const receipts = readSealedReceipts(readNamedFile(context, file), file);
    return openReceipt(chooseReceipt(receipts, id, file), openingIdentities(context, readKeyring(session)));
  }
  if (id === undefined) {
    throw new AxError('USAGE', 'ax receipts decrypt takes the id of a receipt, or --file', {
      hint: 'ax receipts list',
    });
  }
  return withStore(session, (database) => {
    const receipt = findReceipt(database, id.toUpperCase());
    const opened = openReceipt(receipt, openingIdentities(context, readKeyring(session)));
    recordRead(session, database, receipt, 'decrypt');
    return opened;
  });
}

/** Reading evidence leaves evidence. */
export function recordRead(
  { context }: Session,
  database: Database,
  receipt: StoredReceipt,
  how: string,
): void {
  database.write(() =>
    appendAudit(database, context.now(), {
      type: 'receipt.read',
      runId: receipt.runId,
      actor: context.actor,
      data: { receiptId: receipt.id, how },
    }),
  );
}
