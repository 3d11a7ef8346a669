import { MAX_CHARACTERS, type ModerationConfig } from '../../manifest/guards/moderation.ts';
import { parseDuration } from '../../security/duration.ts';
import type { Submission } from './moderation-bounds.ts';
import { type Profile, profileOf, similarityOf } from './moderation-similarity.ts';

/**
 * Whether a run repeats an earlier one.
 *
 * Titles are compared with titles and descriptions with descriptions; the score of the two is their weighted mean,
 * so neither a reused title nor a boilerplate description is a repeat by itself. Where neither run has a
 * description the titles decide. Runs that were given other inputs are other runs: the score is at most that of the
 * least similar input. (An input of free text is therefore a way out of a repeat; its `pattern` closes it.)
 *
 * The score is symmetric, 1 for a verbatim repeat, and repeating text within a field never changes it.
 */

/** A run of the same store, other than the one at hand. */
export interface RecentRun extends Submission {
  readonly runId: string;
  /** When it was submitted: wall clock, milliseconds since the epoch. */
  readonly at: number;
}

export interface Repeat {
  readonly runId: string;
  /** Cut, not rounded, to two decimals, so that a score is never printed above what it is. */
  readonly score: number;
}

export interface Comparison {
  /** How many runs were compared. */
  readonly compared: number;
  /** The most similar of them, the latest of equals. */
  readonly closest: Repeat | undefined;
  /** The closest is more similar than the policy allows. */
  readonly isRepeat: boolean;
  /** Set when the window holds more runs than are compared: until it no longer does, in milliseconds. */
  readonly overflowMs: number | undefined;
}

/** Bounds the work of one evaluation. A caller that reads one more can tell that there are more. */
export const MAX_COMPARED_RUNS = 1000;

const TITLE_WEIGHT = 0.3;

export function compareWithRecent(
  submission: Submission,
  recent: readonly RecentRun[],
  { max, window }: NonNullable<ModerationConfig['similarity']>,
  now: number,
): Comparison {
  const windowMs = parseDuration(window) ?? Number.POSITIVE_INFINITY;
  const inWindow = recent
    .map((run) => ({ run, age: ageOf(run, now) }))
    .filter(({ age }) => age <= windowMs)
    .sort((a, b) => a.age - b.age);
  const [own, ownInputs] = [profileOfTexts(submission), profileOfInputs(submission)];

  let [score, closest]: [number, RecentRun | undefined] = [0, undefined];
  for (const { run } of inWindow.slice(0, MAX_COMPARED_RUNS)) {
    const inputs = similarityOfInputs(ownInputs, profileOfInputs(run));
    // The score cannot exceed that of the inputs, and reading a description is most of the work.
    if (closest !== undefined && inputs <= score) continue;
    const found = Math.min(inputs, similarityOfTexts(own, profileOfTexts(run)));
    if (closest === undefined || found > score) [score, closest] = [found, run];
  }
  const leaving = inWindow[MAX_COMPARED_RUNS];
  return {
    compared: Math.min(inWindow.length, MAX_COMPARED_RUNS),
    closest: closest && { runId: closest.runId, score: Math.floor(score * 100) / 100 },
    isRepeat: score > max,
    overflowMs: leaving && Math.ceil(windowMs - leaving.age) + 1,
  };
}

/** A run from the future (the clock was set back) or without a proper time is one of now: nothing escapes by it. */
function ageOf({ at }: RecentRun, now: number): number {
  return Number.isFinite(at) ? Math.max(0, now - at) : 0;
}

interface Texts {
  readonly title: Profile;
  readonly description: Profile;
}

type Inputs = ReadonlyMap<string, Profile>;

function profileOfTexts({ title, description }: Submission): Texts {
  return { title: bounded(title), description: bounded(description) };
}

function profileOfInputs({ inputs }: Submission): Inputs {
  return new Map(Object.entries(inputs).map(([name, value]) => [name, bounded(value)]));
}

/** Texts were bounded when their run was admitted; a store that says otherwise does not make this slow. */
function bounded(text: string): Profile {
  return profileOf(text.slice(0, 2 * MAX_CHARACTERS));
}

function similarityOfTexts(a: Texts, b: Texts): number {
  const [hasTitle, hasDescription] = [isThere(a.title, b.title), isThere(a.description, b.description)];
  const title = similarityOf(a.title, b.title);
  const description = similarityOf(a.description, b.description);
  if (hasTitle && hasDescription) return TITLE_WEIGHT * title + (1 - TITLE_WEIGHT) * description;
  // Two runs that say nothing of themselves are not each other's repeats.
  return hasTitle ? title : hasDescription ? description : 0;
}

function isThere(a: Profile, b: Profile): boolean {
  return [a, b].some(({ total, symbols }) => total > 0 || symbols !== '');
}

function similarityOfInputs(a: Inputs, b: Inputs): number {
  let least = 1;
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const [own, other] = [a.get(name), b.get(name)];
    least = Math.min(least, own === undefined || other === undefined ? 0 : similarityOf(own, other));
  }
  return least;
}
