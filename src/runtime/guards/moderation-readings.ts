/** What folded text can be read as, character by character, by someone who looks for a word in it. */

/** Characters that are written for letters, with the letters. Each also stands for itself. */
const READINGS: ReadonlyMap<string, string> = new Map([
  ['0', 'o'],
  ['1', 'il'],
  ['2', 'z'],
  ['3', 'e'],
  ['4', 'a'],
  ['5', 's'],
  ['6', 'gb'],
  ['7', 't'],
  ['8', 'b'],
  ['9', 'g'],
  ['ǀ', 'il'],
  ['@', 'a'],
  ['$', 's'],
  ['!', 'il'],
  ['¡', 'i'],
  ['|', 'il'],
  ['¦', 'il'],
  ['+', 't'],
  ['†', 't'],
  ['€', 'e'],
  ['£', 'l'],
  ['¥', 'y'],
  ['¢', 'c'],
  ['©', 'c'],
  ['®', 'r'],
  ['×', 'x'],
]);

/** Of these, the symbols: they can as well be mere punctuation. For use inside a character class. */
export const SYMBOLS = '@$!¡|¦+†€£¥¢©®×';

/** The letters that a character of folded text may be read as, the likeliest first; none for most. */
export function readingsOf(char: string): string {
  return READINGS.get(char) ?? '';
}

/** One character of folded text in its place. */
export interface Cell {
  /** What it may be taken for. Empty for a space or a dot. */
  readonly letters: string;
  /**
   * Whether a word goes on across it: `letters` if it may stand between the letters of one word, `words` if it may
   * stand between words only, `none` if it is no separator.
   */
  readonly gap: 'letters' | 'words' | 'none';
  /** A word may end before it and begin after it. */
  readonly boundary: boolean;
  /** A word may begin or end right here, whatever is beside it: the script writes no spaces. */
  readonly unspaced: boolean;
  /** It may be one more of the letter before it, as in "drrop". */
  readonly isStretch: boolean;
}

/** A number, with the units and ordinals that are written onto it, or a version: none of its digits is a letter. */
const NUMBER = /^v?[0-9]+(?:ms|[smhdwkx]|[kmg]b|st|nd|rd|th)?$/;
const LETTER = /\p{L}/u;
const LONE_DIGIT = /^[0-9]$/;
const LONE_LETTER = /^\p{L}$/u;
const SYMBOL = new RegExp(`[${SYMBOLS}]`, 'gu');
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/**
 * The cells of folded text. Decided here, and so for every term alike:
 *
 * - A dot is crossed inside a word ("dr.op"). A space is crossed only from one letter on its own to the next
 *   ("d r o p"): "the pen is" has no other word in it. So is a dot beside a digit on its own ("as-5").
 * - Digits are letters inside words that have letters ("dr0p", "5top"), not in "10s", "v1" or "500".
 * - A letter is stretched when it stands three times or more ("drooop"), and also when twice, unless that is the
 *   word's only "ee" or "oo" or its "ss" at the end: those make other words ("rot" and "root", "asses" and "assess").
 */
export function cellsOf(folded: string): Cell[] {
  const pieces = folded.match(/[^ .]+|[ .]/gu) ?? [];
  return pieces.flatMap((piece, at) => {
    if (piece === ' ' || piece === '.') return [separator(pieces, at)];
    return cellsOfPiece(piece, digitsRead(pieces, at));
  });
}

type Pieces = readonly string[];

function separator(pieces: Pieces, at: number): Cell {
  const wide = pieces[at] === ' ' || isAlone(pieces, at - 1) || isAlone(pieces, at + 1);
  const gap = !wide || (isSingle(pieces[at - 1]) && isSingle(pieces[at + 1])) ? 'letters' : 'words';
  return { letters: '', gap, boundary: true, unspaced: false, isStretch: false };
}

/** A digit on its own, unless there is a dot and then letters on either side of it: "as-5", and not "dr.0.p". */
function isAlone(pieces: Pieces, at: number): boolean {
  const [before, after] = [pieces[at - 1], pieces[at + 1]];
  if (!LONE_DIGIT.test(pieces[at] ?? '')) return false;
  const inside =
    before === '.' && after === '.' && LETTER.test(pieces[at - 2] ?? '') && LETTER.test(pieces[at + 2] ?? '');
  return !inside;
}

/** One letter or digit, or none, the symbols about it aside: "d", "d!", "@". */
function isSingle(piece = ''): boolean {
  return [...piece.replace(SYMBOL, '')].length <= 1;
}

function digitsRead(pieces: Pieces, at: number): boolean {
  const [piece = '', before = '', after = ''] = [pieces[at], pieces[at - 2], pieces[at + 2]];
  if (!/[0-9]/.test(piece)) return false;
  if (isAlone(pieces, at)) return LONE_LETTER.test(before) || LONE_LETTER.test(after);
  return LONE_DIGIT.test(piece) || (LETTER.test(piece) && !NUMBER.test(piece));
}

function cellsOfPiece(piece: string, digitsAreRead: boolean): Cell[] {
  const chars = [...piece];
  const letters = chars.map((char, at) => {
    // A small l at the beginning of a word looks like a capital I.
    if (char === 'l' && at === 0) return 'li';
    const isDigit = char >= '0' && char <= '9';
    return isDigit && !digitsAreRead ? char : char + readingsOf(char);
  });
  const stretches = stretchesOf(letters);
  return chars.map((char, at) => cell(char, letters[at] ?? '', stretches[at] ?? false));
}

function cell(char: string, letters: string, isStretch: boolean): Cell {
  const isLetter = (char >= 'a' && char <= 'z') || LETTER.test(char);
  return {
    letters,
    gap: !isLetter && SYMBOLS.includes(char) ? 'letters' : 'none',
    boundary: !isLetter,
    unspaced: char > '\u0e00' && UNSPACED.test(char),
    isStretch,
  };
}

/** For each letter of a piece, whether it may be one more of the letter before it. */
function stretchesOf(letters: readonly string[]): boolean[] {
  const repeats = letters.map((own, at) => at > 0 && share(own, letters[at - 1] ?? ''));
  const runs = repeats.filter((repeat, at) => repeat && !repeats[at - 1]).length;
  return repeats.map((repeat, at) => {
    if (!repeat || repeats[at - 1] || repeats[at + 1]) return repeat;
    const own = letters[at] ?? '';
    const isOrdinary = (runs === 1 && /[eo]/.test(own)) || (at === letters.length - 1 && own.includes('s'));
    return !isOrdinary;
  });
}

function share(some: string, others: string): boolean {
  if (some.length === 1) return others.includes(some);
  return [...some].some((letter) => others.includes(letter));
}
