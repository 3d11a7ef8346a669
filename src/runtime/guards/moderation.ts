import { MAX_CHARACTERS, type ModerationConfig } from '../../manifest/guards/moderation.ts';
import {
  type BoundsFinding,
  type Field,
  fieldsOf,
  findOutOfBounds,
  type Submission,
  trimmed,
} from './moderation-bounds.ts';
import { type Comparison, compareWithRecent, type RecentRun, type Repeat } from './moderation-repeats.ts';
import { createTermFinder } from './moderation-terms.ts';
import type { Verdict } from './verdict.ts';

/**
 * The `moderation` guard over a run's title, description and inputs. Pure: the same answer for the same arguments.
 *
 * In this order, and the first that objects decides: bounds; denied terms (moderation-terms.ts); repeats of recent
 * runs (moderation-repeats.ts); more recent runs than can be compared. Work is bounded, whatever the texts: each has
 * at most 4000 characters once the bounds hold, and at most 1000 runs are compared.
 *
 * The finding is evidence. It names a field, a term as the policy spells it, or an earlier run with its score, and
 * quotes none of the texts.
 */

export type ModerationFinding =
  | BoundsFinding
  | { readonly kind: 'term'; readonly field: Field; readonly term: string }
  | ({ readonly kind: 'repeat'; readonly max: number; readonly compared: number } & Repeat)
  | { readonly kind: 'too-many-runs'; readonly compared: number; readonly closest?: Repeat }
  | { readonly kind: 'clean'; readonly compared: number; readonly closest?: Repeat };

export interface Moderation {
  readonly verdict: Verdict;
  readonly finding: ModerationFinding;
}

/**
 * @param recent the other runs of the store, in any order, without the one at hand: those of the window are picked
 * here. One more than `MAX_COMPARED_RUNS` of the latest is enough; fewer would hide that there are more.
 * @param now wall clock, milliseconds since the epoch
 */
export function evaluateModeration(
  config: ModerationConfig,
  submission: Submission,
  recent: readonly RecentRun[],
  now: number,
): Moderation {
  const texts = trimmed(submission);
  const bounds = findOutOfBounds(texts, config.maxCharacters ?? MAX_CHARACTERS);
  if (bounds !== undefined) return fail(reasonOf(bounds), bounds);

  const { find } = createTermFinder(config.deny ?? []);
  for (const [field, text] of fieldsOf(texts)) {
    const term = find(text);
    if (term !== undefined)
      return fail(`${field}: has the denied term "${term}"`, { kind: 'term', field, term });
  }

  if (config.similarity === undefined) return pass(config, { kind: 'clean', compared: 0 });
  const comparison = compareWithRecent(texts, recent, config.similarity, now);
  return judge(config, config.similarity.max, comparison);
}

function judge(config: ModerationConfig, max: number, comparison: Comparison): Moderation {
  const { compared, closest, isRepeat, overflowMs } = comparison;
  if (closest !== undefined && isRepeat) {
    return fail(
      `repeats run ${closest.runId}: similarity ${closest.score.toFixed(2)}, at most ${max.toFixed(2)}`,
      {
        kind: 'repeat',
        max,
        compared,
        ...closest,
      },
    );
  }
  const seen = { compared, ...(closest && { closest }) };
  if (overflowMs === undefined) return pass(config, { kind: 'clean', ...seen });
  // Passing without having compared them all would let a flood of runs wash a repeat through.
  const reason = `more than ${compared} runs in ${config.similarity?.window}, the most that are compared`;
  return {
    verdict: { verdict: 'defer', reason, retryAfterMs: overflowMs },
    finding: { kind: 'too-many-runs', ...seen },
  };
}

function reasonOf({ field, problem, characters, limit }: BoundsFinding): string {
  if (problem === 'too-long') return `${field}: expected at most ${limit} characters, found ${characters}`;
  if (problem === 'lone-surrogate') return `${field}: expected whole characters, found half of one`;
  return `${field}: expected no control characters`;
}

function pass({ deny }: ModerationConfig, finding: ModerationFinding & { kind: 'clean' }): Moderation {
  const reason = `within bounds, none of ${deny?.length ?? 0} denied terms, no repeat of ${finding.compared} recent runs`;
  return { verdict: { verdict: 'pass', reason }, finding };
}

function fail(reason: string, finding: ModerationFinding): Moderation {
  return { verdict: { verdict: 'fail', reason }, finding };
}
