import { foldText } from './moderation-fold.ts';
import { type Cell, cellsOf } from './moderation-readings.ts';
import { addTerm, createStart, firstOf, type Start, type State } from './moderation-spellings.ts';

/**
 * Denied terms, found however they are dressed up.
 *
 * Found: other case, look-alike and decorated letters, marks, invisible characters; digits and symbols for letters
 * inside a word (`dr0p`, `p@ss`); punctuation between letters (`d.r.o.p`, `dr-op`), spaces between single letters
 * (`d r o p`), stretched letters (`drooop`); regular English inflections; the words of a term apart by white space,
 * punctuation, line ends or a change of case (`drop-table`, `dropTable`).
 *
 * A term is a word, not a part of one: `ass` is not in `class`, `assess` or `cl@ss`. Digits and symbols are where a
 * word may end, so `drop` is in `drop2`. In scripts without spaces every character is such a place.
 *
 * Not found, since they read as something else or would refuse what is honest: a word cut by a space into pieces of
 * several letters (`dr op`), words run together (`droptable` for `drop table`), letters that are left out, masked
 * (`dr*p`), swapped or misspelled, pairs that look like one letter (`rn`, `vv`), synonyms, irregular inflections,
 * reversed or upside-down text, encodings, and a singular where the term is a plural. And a slug whose words make up
 * a term (`pen-is`) is found, honest or not.
 *
 * Time is linear in the text, times what can be under way at once: for most texts and policies next to nothing, and
 * at most the letters of the policy's distinct words.
 */
export interface TermFinder {
  /** The denied term that ends first in the text, as the policy spells it. */
  find(text: string): string | undefined;
}

export function createTermFinder(terms: readonly string[]): TermFinder {
  const root = createStart();
  for (const term of terms) addTerm(root, term);
  return { find: (text) => (terms.length === 0 ? undefined : search(cellsOf(foldText(text)), root)) };
}

/** Everything that a term may have come to, at one place in the text. */
interface Progress {
  readonly words: Set<State>;
  /** Between two words of a term. */
  readonly gaps: Set<Start>;
}

function search(cells: readonly Cell[], root: Start): string | undefined {
  let progress: Progress = { words: new Set(), gaps: new Set() };
  for (const [at, cell] of cells.entries()) {
    const reached: Progress = { words: new Set(), gaps: new Set() };
    readLetter(cell, progress, reached);
    if (isEdge(cells[at - 1], cell)) begin(cell, root, reached);
    if (isEdge(cells[at + 1], cell)) {
      for (const { term } of reached.words) if (term !== undefined) return term;
    }
    crossGap(cell, progress, reached);
    progress = reached;
  }
  return undefined;
}

/** Whether a word may begin or end between a cell and the one beside it. */
function isEdge(beside: Cell | undefined, cell: Cell): boolean {
  return beside === undefined || beside.boundary || beside.unspaced || cell.unspaced;
}

function begin({ letters }: Cell, start: Start, reached: Progress): void {
  for (const letter of letters) {
    const state = firstOf(start, letter);
    if (state !== undefined) reached.words.add(state);
  }
}

/** Takes the cell for the next letter of a word, or for one more of its last. */
function readLetter(cell: Cell, { words, gaps }: Progress, reached: Progress): void {
  for (const start of gaps) begin(cell, start, reached);
  for (const state of words) {
    for (const letter of cell.letters) {
      const next = state.next.get(letter);
      if (next !== undefined) reached.words.add(next);
    }
    if (cell.isStretch && cell.letters.includes(state.letter)) reached.words.add(state);
  }
}

/** Takes the cell for what stands between letters or words. */
function crossGap({ gap }: Cell, { words, gaps }: Progress, reached: Progress): void {
  if (gap === 'none') return;
  for (const start of gaps) reached.gaps.add(start);
  for (const state of words) {
    for (const start of state.follow) reached.gaps.add(start);
    if (gap === 'letters') reached.words.add(state);
  }
}
