import * as z from 'zod/mini';
import { AxError } from '../errors.ts';
import { canonicalJson } from '../security/canonical.ts';
import type { RandomBytes } from '../security/random.ts';
import { deriveTextKey, openText, sealText, type TextKey } from '../security/seal-text.ts';
import { parseSigningKey, type SigningKey } from '../security/signing-keys.ts';
import type { Database } from './database.ts';
import type { Keyring } from './keyring.ts';
import { placeOf, type StartId } from './starts.ts';

/**
 * What started runs said of themselves, for the guard that finds repeats. The texts are sealed under a key of this
 * host, since inputs may be anybody's data; when what was started is in `starts`, in clear.
 */

const textsSchema = z.strictObject({
  title: z.string(),
  description: z.string(),
  inputs: z.record(z.string(), z.string()),
});

export type SubmissionTexts = z.infer<typeof textsSchema>;

export interface RecentSubmission extends Readonly<SubmissionTexts> {
  readonly runId: string;
  /** When it was last started: milliseconds since the epoch. */
  readonly at: number;
}

export interface RecentSubmissions {
  /** The newest first. */
  readonly recent: readonly RecentSubmission[];
  /** Runs that belong among them and whose texts are not known: no key here opens them, or they were changed. */
  readonly unreadable: number;
}

const FORMAT = 'ax.submission/1';

/** The key under which a host key seals submissions. */
export function submissionKey(host: SigningKey): TextKey {
  return deriveTextKey(host, FORMAT);
}

/**
 * The same for every host key of the keyring: what a retired one sealed stays readable.
 *
 * @throws KEY_MALFORMED
 */
export function submissionKeys(keyring: Keyring): TextKey[] {
  return keyring
    .filter(({ role, hasPrivatePart }) => role === 'host' && hasPrivatePart)
    .map(({ jwk, kid }) => submissionKey(parseSigningKey(jwk, kid)));
}

/**
 * Records the texts of a start; inside `database.write`, after `recordStart` in the same transaction. They are
 * deleted when the start is withdrawn or beyond the horizon of 25 days.
 *
 * @throws INTERNAL for an attempt whose start is not recorded
 */
export function recordSubmission(
  database: Database,
  submission: StartId & { texts: SubmissionTexts; key: TextKey; randomBytes: RandomBytes },
): void {
  const { runId, attempt, key, randomBytes } = submission;
  const place = placeOf(database, { runId, attempt });
  if (place === null) {
    throw new AxError('INTERNAL', `run ${runId}: expected a start of attempt ${attempt}, found none`, {
      hint: 'this is a defect in ax; please report it',
    });
  }
  const { title, description, inputs } = submission.texts;
  const text = canonicalJson({ title, description, inputs });
  const sealed = sealText(key, { text, aad: binding({ runId, attempt }), randomBytes });
  database
    .prepare('INSERT INTO submissions (place, kid, sealed) VALUES (?, ?, ?)')
    .run(place, key.kid, sealed);
}

/**
 * The texts of a project's runs other than the one at hand, on one snapshot of the store; not inside a transaction.
 * A run counts once, with its newest attempt of the time asked for. Before the start of the run at hand is recorded,
 * these are all others; afterwards only those committed before it, as in `usageOf`.
 *
 * @param since milliseconds since the epoch, inclusive
 * @param limit of recent and unreadable ones together
 */
export function recentSubmissions(
  database: Database,
  about: { project: string; since: number; except: StartId; limit: number; keys: readonly TextKey[] },
): RecentSubmissions {
  const { project, since, except, limit, keys } = about;
  const rows = database.read(() =>
    database
      .prepare(
        // In a query with max(), SQLite takes the other columns from the row that has it (sqlite.org/lang_select.html).
        `WITH latest AS (
           SELECT place, run_id, attempt, max(at) AS at FROM starts
           WHERE project = ? AND at >= ? AND run_id <> ? AND place < ? AND place IN (SELECT place FROM submissions)
           GROUP BY run_id ORDER BY at DESC, place DESC LIMIT ?
         )
         SELECT run_id, attempt, at, kid, sealed FROM latest JOIN submissions USING (place) ORDER BY at DESC, place DESC`,
      )
      .all(project, since, except.runId, placeOf(database, except) ?? Number.MAX_SAFE_INTEGER, limit),
  );
  const recent = rows.flatMap((row): RecentSubmission[] => {
    const [runId, attempt, at] = [String(row.run_id), Number(row.attempt), Number(row.at)];
    const key = keys.find(({ kid }) => kid === row.kid);
    if (key === undefined) return [];
    const text = openText(key, { sealed: row.sealed as Uint8Array, aad: binding({ runId, attempt }) });
    return text === undefined ? [] : [{ runId, at, ...textsSchema.parse(JSON.parse(text)) }];
  });
  return { recent, unreadable: rows.length - recent.length };
}

/** A text that was moved to another run or attempt does not open. */
function binding({ runId, attempt }: StartId): string {
  return canonicalJson({ format: FORMAT, runId, attempt });
}
