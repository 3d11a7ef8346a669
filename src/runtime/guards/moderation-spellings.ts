import { foldWords } from './moderation-fold.ts';
import { inflectionsOf } from './moderation-inflections.ts';
import { SYMBOLS } from './moderation-readings.ts';

/**
 * The denied terms as an automaton over letters. Terms share what they have in common, so that what is under way in
 * a text at any time is at most each letter of each distinct word once.
 */

/** Inside a word, after a letter of it. */
export interface State {
  readonly letter: string;
  readonly next: Map<string, State>;
  /** Set where the last word of a term ends. */
  term: string | undefined;
  /** Where a word ends that is not the last: where the next may begin. */
  readonly follow: Start[];
}

/** Before a word. */
export interface Start {
  readonly next: Map<string, State>;
  /** Words that are not spelled out yet, by first letter: most terms begin with what no word of a text does. */
  readonly unspelled: Map<string, Map<string, Word>>;
}

/** What a word leads to, in all its forms. */
interface Word {
  term: string | undefined;
  follow: Start | undefined;
}

export function createStart(): Start {
  return { next: new Map(), unspelled: new Map() };
}

/** The state after the first letter of a word. */
export function firstOf(start: Start, letter: string): State | undefined {
  const words = start.unspelled.get(letter);
  if (words !== undefined) {
    start.unspelled.delete(letter);
    for (const [word, leads] of words) spell(start, word, leads);
  }
  return start.next.get(letter);
}

/** All forms of a word lead to the same place: those of several words add up, and do not multiply. */
function spell({ next }: Start, word: string, { term, follow }: Word): void {
  for (const form of inflectionsOf(word)) {
    let [level, state]: [Map<string, State>, State | undefined] = [next, undefined];
    for (const letter of form) {
      state = level.get(letter) ?? { letter, next: new Map(), term: undefined, follow: [] };
      level.set(letter, state);
      level = state.next;
    }
    if (state === undefined) continue;
    state.term ??= term;
    if (follow !== undefined) state.follow.push(follow);
  }
}

export function addTerm(root: Start, term: string): void {
  for (const words of spellingsOf(term)) {
    let start = root;
    for (const [at, text] of words.entries()) {
      const word = wordAt(start, text);
      if (at === words.length - 1) word.term ??= term;
      else start = word.follow ??= createStart();
    }
  }
}

function wordAt({ unspelled }: Start, text: string): Word {
  const [first = ''] = text;
  const words = unspelled.get(first) ?? new Map<string, Word>();
  unspelled.set(first, words);
  const word = words.get(text) ?? { term: undefined, follow: undefined };
  words.set(text, word);
  return word;
}

const DIVIDERS = new RegExp(`[ .${SYMBOLS}]+`, 'u');

/**
 * The words of a term, folded. Its symbols divide words, and its digits mean themselves. Greek and a few other
 * letters pass for one Latin letter in lower case and for another as capitals, so each case is a spelling of its own.
 */
function spellingsOf(term: string): string[][] {
  const lower = term.toLowerCase();
  const title = lower.replace(/(?<!\p{L})\p{L}/gu, (first) => first.toUpperCase());
  const cases = /[^\0-\x7f]/.test(lower) ? [lower, lower.toUpperCase(), title] : [lower];
  const spellings = new Set(cases.map((text) => foldWords(text).replaceAll('ǀ', 'i')));
  return [...spellings].map((text) => text.split(DIVIDERS).filter((word) => word !== ''));
}
