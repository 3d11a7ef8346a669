import { resolve } from 'node:path';
import type { Context } from '../context.ts';
import { AxError, exitCodeOf } from '../errors.ts';
import { visible } from '../output/escape.ts';
import { importLegacy } from '../runtime/import-legacy.ts';
import {
  isMisshapen,
  type LegacyProblem,
  type LegacyReceipt,
  readLegacy,
  type UnreadLegacy,
} from '../runtime/legacy-receipt.ts';
import type { EvidenceKeys } from '../runtime/receipt.ts';
import type { Database } from '../store/database.ts';
import { legacyFileNames, type PassedOver, readLegacyFile } from '../store/legacy-files.ts';
import { legacyKeys } from '../store/legacy-keys.ts';
import { evidenceKeys, readKeyring, requireEvidenceKeys, unlockKeyring } from './keys-access.ts';
import { type GlobalOptions, openSession, type Session, withStore } from './session.ts';

export interface ImportOptions extends GlobalOptions {
  readonly legacy: string;
  readonly key?: readonly string[];
  readonly keyFile?: readonly string[];
}

interface Folder {
  readonly path: string;
  readonly names: readonly string[];
  readonly keys: readonly Buffer[];
  readonly strict: boolean;
}

interface Imported {
  readonly file: string;
  readonly id: string;
  readonly added: boolean;
}

interface Unread {
  readonly file: string;
  readonly problem: LegacyProblem | PassedOver;
  readonly detail: string;
}

/** How many receipts are taken over in one transaction. */
const BATCH = 100;

/**
 * `ax receipts import --legacy`: takes over the receipts of an older store. Its files are read and nothing else;
 * what could not be read is reported and the rest imported, so the status tells whether all of it was.
 */
export async function importCommand(context: Context, options: ImportOptions): Promise<number> {
  const session = await openSession(context, options);
  await unlockKeyring(session);
  const { output } = session;
  const folder = openFolder(context, options);
  if (options.key !== undefined) {
    output.warn(
      '--key: a command line is seen by every user of this machine; --key-file and AX_LEGACY_KEY are not',
    );
  }
  // Before anything is written: without a key to seal to there is no import.
  requireEvidenceKeys(session, readKeyring(session));
  const { imported, unread } = await withStore(session, (database) =>
    importFolder(session, database, { folder, keys: evidenceKeys(session, database) }),
  );
  report(session, folder, { imported, unread });
  return unread.length === 0 ? 0 : exitCodeOf('IMPORT_INVALID');
}

function openFolder(context: Context, options: ImportOptions): Folder {
  if (options.legacy === '') {
    throw new AxError('USAGE', '--legacy: expected a folder, found nothing', {
      hint: 'ax receipts import --legacy old/receipts',
    });
  }
  const path = resolve(context.cwd, options.legacy);
  const keys = legacyKeys(context, { texts: options.key ?? [], files: options.keyFile ?? [] });
  const names = legacyFileNames(path);
  const strict = names.some((name) => {
    const bytes = readLegacyFile(path, name);
    return typeof bytes !== 'string' && isMisshapen(bytes, name);
  });
  return { path, names, keys, strict };
}

function importFolder(
  { context }: Session,
  database: Database,
  { folder, keys }: { folder: Folder; keys: EvidenceKeys },
): { imported: Imported[]; unread: Unread[] } {
  const imported: Imported[] = [];
  const unread: Unread[] = [];
  for (let from = 0; from < folder.names.length; from += BATCH) {
    const receipts: LegacyReceipt[] = [];
    for (const name of folder.names.slice(from, from + BATCH)) {
      const found = readOne(folder, name);
      if ('problem' in found) unread.push(found);
      else receipts.push(found);
    }
    const stored = importLegacy({ context, database, keys }, receipts);
    for (const [index, { file }] of receipts.entries()) {
      const one = stored[index];
      if (one !== undefined) imported.push({ file, ...one });
    }
  }
  return { imported, unread };
}

function readOne(folder: Folder, file: string): LegacyReceipt | UnreadLegacy | Unread {
  const bytes = readLegacyFile(folder.path, file);
  if (typeof bytes !== 'string') return readLegacy({ bytes, file }, folder);
  return { file, problem: bytes, detail: 'expected a regular file of at most 4 MiB' };
}

function report(
  { output }: Session,
  { path, strict }: Folder,
  { imported, unread }: { imported: readonly Imported[]; unread: readonly Unread[] },
): void {
  const added = imported.filter((one) => one.added);
  const { green, red } = output.style;
  output.line(`${green('imported')}  ${added.length} receipt(s) of ${visible(path)}`);
  const known = imported.length - added.length;
  if (known > 0) output.line(`          ${known} had been imported before`);
  for (const { file, problem, detail } of unread) {
    output.line(`${red('not read')}  ${visible(file)}: ${problem}: ${visible(detail)}`);
  }
  if (unread.length > 0 && !output.json) output.note(hintOf(unread, strict));
  output.document({
    schema: 'ax.receipts.import/1',
    ok: unread.length === 0,
    imported: imported.map(({ file, id, added: isNew }) => ({ file, id, added: isNew })),
    unread: unread.map(({ file, problem, detail }) => ({ file, problem, detail })),
  });
}

function hintOf(unread: readonly Unread[], strict: boolean): string {
  if (unread.some(({ problem }) => problem === 'renamed') && strict) {
    return 'Some files were tampered with, so a name has to vouch for what is in a file. Move what was tampered with away, and import again.';
  }
  return unread.some(({ problem }) => problem === 'not-opened')
    ? 'With other keys, import again with --key-file: what is here already is left as it is.'
    : 'Nothing was changed in that folder.';
}
