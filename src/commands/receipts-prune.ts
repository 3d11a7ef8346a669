import type { Context } from '../context.ts';
import { AxError, isAxError } from '../errors.ts';
import { visible } from '../output/escape.ts';
import { createSteps } from '../output/steps.ts';
import { parseDuration } from '../security/duration.ts';
import { isUlid, ulidTime } from '../security/ulid.ts';
import type { Database } from '../store/database.ts';
import { type Pruned, prunable, pruneReceipts, type Span } from '../store/prune.ts';
import { reclaimSpace } from '../store/reclaim.ts';
import { requireYes } from './require-yes.ts';
import { type GlobalOptions, openSession, type Session, withStoreIfAny } from './session.ts';

export interface PruneOptions extends GlobalOptions {
  readonly olderThan: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** Younger evidence is never pruned, so that `5m`, meant as months, removes nothing. */
const LEAST_AGE_MS = 24 * 60 * 60 * 1000;

const NOTHING: Pruned = { count: 0, first: null, last: null, records: [] };

/** `ax receipts prune --older-than`: removes receipts, and leaves evidence of each; needs no key. */
export async function pruneCommand(context: Context, options: PruneOptions): Promise<number> {
  const session = await openSession(context, options);
  const before = cutoff(options.olderThan, context.now());
  const pruned = await withStoreIfAny(session, async (database) => {
    if (database === null) return NOTHING;
    const span = prunable(database, before);
    if (options.dryRun === true) return { ...span, records: [] };
    if (span.count > 0) await ask(session, span, options);
    return prune(session, database, { before, total: span.count });
  });
  report(session, pruned, { before, dryRun: options.dryRun === true });
  return 0;
}

function cutoff(olderThan: string, now: number): number {
  const age = parseDuration(olderThan);
  // No id has a time before the epoch.
  if (age !== undefined && age >= LEAST_AGE_MS && age <= now) return now - age;
  throw new AxError(
    'USAGE',
    `--older-than: expected a duration of at least 1d, found "${olderThan.slice(0, 80)}"`,
    { hint: 'ax receipts prune --older-than 400d --dry-run' },
  );
}

async function ask(session: Session, span: Span, { olderThan, yes }: PruneOptions): Promise<void> {
  await requireYes(session, {
    text: `Prune ${span.count} receipt(s), ${spanText(span)}? They cannot be brought back.`,
    yes: yes === true,
    hint: `ax receipts prune --older-than ${olderThan} --yes`,
    otherwise: `none of ${span.count} receipt(s), ${spanText(span)}, was pruned`,
  });
}

async function prune(
  { context, output }: Session,
  database: Database,
  { before, total }: { before: number; total: number },
): Promise<Pruned> {
  const steps = await createSteps(context, output);
  try {
    const pruned = pruneReceipts(database, {
      before,
      actor: context.actor,
      now: context.now,
      onProgress: (done) => steps.update(`pruned ${done} of ${total} receipts`),
    });
    // With nothing to prune too: a prune that was killed may have left this to do.
    reclaim(database, pruned.count);
    return pruned;
  } finally {
    steps.done();
  }
}

function reclaim(database: Database, count: number): void {
  try {
    reclaimSpace(database);
  } catch (error) {
    if (!isAxError(error, 'STORE_BUSY')) throw error;
    throw new AxError(
      'STORE_BUSY',
      `${count} receipt(s) were pruned, but their bytes may still be in the journal: ${error.message}`,
      { hint: 'the same again in a moment finishes it', retryAfterSeconds: 1, cause: error },
    );
  }
}

function report(
  { output }: Session,
  { count, first, last, records }: Pruned,
  { before: moment, dryRun }: { before: number; dryRun: boolean },
): void {
  const before = new Date(moment).toISOString();
  const word = dryRun ? output.style.yellow('would prune') : output.style.green('pruned');
  const span = count === 0 ? `made before ${before}` : spanText({ count, first, last });
  output.line(`${word}  ${count} receipt(s), ${span}`);
  const [from, to] = [records[0], records.at(-1)];
  if (from !== undefined) {
    output.line(`        on record in the audit log: ${from === to ? from : `${from} to ${to}`}`);
  }
  output.document({ schema: 'ax.receipts.prune/1', dryRun, before, receipts: count, first, last, records });
}

/** By the times in the ids of the first and the last. */
function spanText({ first, last }: Span): string {
  return `made from ${timeOf(first)} to ${timeOf(last)}`;
}

function timeOf(id: string | null): string {
  return id !== null && isUlid(id) ? new Date(ulidTime(id)).toISOString() : visible(String(id));
}
