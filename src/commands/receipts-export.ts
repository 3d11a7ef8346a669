import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { visible } from '../output/escape.ts';
import type { Database } from '../store/database.ts';
import { isErrno } from '../store/files.ts';
import { createOutputFile } from '../store/output-file.ts';
import { countReceipts, type ReceiptSelection } from '../store/receipt-selection.ts';
import { findReceipt } from '../store/receipts.ts';
import { unlockKeyring } from './keys-access.ts';
import { type ExportFormat, exportedText, MAX_ON_A_PAGE, type Tally } from './receipts-export-text.ts';
import { type GlobalOptions, openSession, type Session, withStoreIfAny } from './session.ts';
import { parseSince } from './since.ts';

export interface ExportOptions extends GlobalOptions {
  readonly format: ExportFormat;
  readonly all?: boolean;
  readonly since?: string;
  readonly output?: string;
  readonly force?: boolean;
  readonly recipient?: readonly string[];
}

/**
 * `ax receipts export`: receipts in formats of others. A file comes into being whole, once all of it is there, or not
 * at all; who has exported what is on record before any of it leaves the store.
 */
export async function exportCommand(
  context: Context,
  ids: readonly string[],
  options: ExportOptions,
): Promise<number> {
  const session = await openSession(context, options);
  await unlockKeyring(session);
  const selection = parseSelection(context, ids, options);
  const target = parseTarget(context, options);
  const encrypt = await encryption(options);
  return withStoreIfAny(session, async (database) => {
    const chosen = choose(database, ids, selection);
    refuseLongPage(options.format, chosen.count);
    const tally: Tally = { receipts: 0, passedOver: 0 };
    const text = bytesOf(exportedText(session, database, { ...chosen, format: options.format, tally }));
    const content = encrypt === null ? text : await encrypt(text);
    if (target === null) await toStdout(context, content);
    else await toFile(session, { path: target, content, options, tally });
    if (tally.passedOver > 0) {
      session.output.note(`passed over ${tally.passedOver} receipt(s) of runs in which nothing was executed`);
    }
    return 0;
  });
}

function parseSelection(
  context: Context,
  ids: readonly string[],
  { all, since }: ExportOptions,
): ReceiptSelection {
  const ways = [ids.length > 0, all === true, since !== undefined].filter(Boolean).length;
  if (ways !== 1) {
    throw new AxError('USAGE', `expected ids, --all or --since, one of them; found ${ways}`, {
      hint: 'ax receipts export <id> --format dsse, or ax receipts list to find one',
    });
  }
  return since === undefined ? {} : { since: parseSince(since, context.now()) };
}

/** The file to make; null for stdout. */
function parseTarget(context: Context, { format, output, force }: ExportOptions): string | null {
  if (output === '' || (output === undefined && force === true)) {
    throw new AxError('USAGE', '--output: expected a file, found nothing', { hint: '-o receipts.jsonl' });
  }
  if (output !== undefined) return resolve(context.cwd, output);
  if (format === 'age' && context.stdoutIsTerminal) {
    throw new AxError('USAGE', 'expected a file for age’s binary format, found a terminal', {
      hint: '-o receipts.age',
    });
  }
  return null;
}

async function encryption({ format, recipient = [] }: ExportOptions) {
  if ((format === 'age') !== recipient.length > 0) {
    const problem =
      format === 'age' ? 'expected a recipient, found none' : `expected --format age, found ${format}`;
    throw new AxError('USAGE', `--recipient: ${problem}`, {
      hint: 'ax receipts export <id> --format age --recipient age1… -o receipt.age',
    });
  }
  if (format !== 'age') return null;
  return (await import('../security/age.ts')).encryptToAge(recipient);
}

/** Every id is looked for before any is exported. */
function choose(database: Database | null, ids: readonly string[], selection: ReceiptSelection) {
  const wanted = ids.map((id) => {
    if (database !== null) return findReceipt(database, id.toUpperCase()).id;
    throw new AxError('RECEIPT_UNKNOWN', `no receipt "${id.slice(0, 80)}": there is no store here`, {
      hint: 'run this in the project, or with its --store',
    });
  });
  const named = ids.length === 0 ? null : [...new Set(wanted)];
  const count = named?.length ?? (database === null ? 0 : countReceipts(database, selection));
  return { named, selection, count };
}

function refuseLongPage(format: ExportFormat, count: number): void {
  if (format !== 'html' || count <= MAX_ON_A_PAGE) return;
  throw new AxError(
    'USAGE',
    `--format html: expected at most ${MAX_ON_A_PAGE} receipts on a page, found ${count}`,
    { hint: 'a later --since, or --format ndjson' },
  );
}

async function* bytesOf(text: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const part of text) yield Buffer.from(part);
}

async function toStdout({ stdout }: Context, content: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    await pipeline(Readable.from(content), stdout, { end: false });
  } catch (error) {
    // The reader has gone away, as that of `ax … | head` does.
    if (!isErrno(error, 'EPIPE')) throw error;
  }
}

async function toFile(
  { output }: Session,
  {
    path,
    content,
    options,
    tally,
  }: { path: string; content: AsyncIterable<Uint8Array>; options: ExportOptions; tally: Tally },
): Promise<void> {
  const file = createOutputFile(path, { replace: options.force === true });
  let bytes = 0;
  try {
    for await (const chunk of content) {
      file.write(chunk);
      bytes += chunk.length;
    }
    file.commit();
  } finally {
    file.abandon();
  }
  const { format } = options;
  output.line(
    `${output.style.green('exported')}  ${tally.receipts} receipt(s) as ${format}: ${visible(path)}`,
  );
  output.document({ schema: 'ax.receipts.export/1', format, file: path, bytes, ...tally });
}
