import { LETTERS } from './moderation-lookalikes.ts';
import { SYMBOLS } from './moderation-readings.ts';

/** Marks on letters, and what is drawn as nothing: zero-width characters, soft hyphens, tags, bidi controls. */
const UNSEEN = /[\p{M}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;

const WHITE_SPACE = /(?:\.?\s)+\.?/g;
const BEYOND_ASCII = /[^\0-\x7f]/gu;
const OTHER_DIGIT = /[^\P{Nd}0-9]/gu;

/** What folding looks for, given what is upper case, lower case and any letter, and what else is kept. */
function patternsOf(upper: string, lower: string, letter: string, kept: string) {
  return {
    /** Where a change of case divides a word: `drop|Table`, `XML|D|rop`; not the plural of an acronym (`VMs`). */
    caseChange: new RegExp(
      `(?<=${lower})(?=${upper})|(?<=${upper})(?=${upper}${lower}{2})|(?<=${upper}{2})(?=${lower}{2})`,
      'gu',
    ),
    /** Beside a capital, a small l is one too, or an I. */
    smallL: new RegExp(`(?<=${upper})l|l(?=${upper})`, 'gu'),
    wordWithI: new RegExp(`(?<!${letter})${letter}*?I${letter}*`, 'gu'),
    lower: new RegExp(lower, 'u'),
    punctuation: new RegExp(`[^${kept}${SYMBOLS}\\s]+`, 'gu'),
  };
}

type Patterns = ReturnType<typeof patternsOf>;

/** Compiling a pattern with Unicode properties takes longer than to run it, and most text is ASCII. */
const OF_ASCII = patternsOf('[A-ZꞮ]', '[a-z]', '[A-Za-zꞮ]', 'a-zǀ0-9');
const OF_UNICODE = patternsOf('\\p{Lu}', '\\p{Ll}', '\\p{L}', '\\p{Lu}\\p{Ll}\\p{Lt}\\p{Lo}\\p{N}');

/**
 * Text reduced to what its reader sees: the one form in which denied terms and texts, and texts among each other,
 * are compared. Compatibility forms (full width, mathematical alphabets, ligatures, circled letters), marks,
 * invisible characters, case and look-alike letters make no difference to it.
 *
 * - Letters are lower case; where a character passes for a Latin letter, it is that letter.
 * - What reads more than one way stays as it is, for `readingsOf`: digits, symbols such as `@` and `$`, and `ǀ`,
 *   which stands for an upper-case I (or l) that may be either of i and l.
 * - A stretch of anything else is one space if it has white space in it, else one dot. A dot also marks where a
 *   change of case divides a word.
 *
 * Folding what is folded changes nothing.
 */
export function foldText(text: string): string {
  const patterns = isAscii(text) ? OF_ASCII : OF_UNICODE;
  return foldSeen(markCase(seenOf(text), patterns), patterns);
}

/** The same for a word list, where case has nothing to tell: no `ǀ` for an I, no dot where case changes. */
export function foldWords(text: string): string {
  return foldSeen(seenOf(text), isAscii(text) ? OF_ASCII : OF_UNICODE);
}

export function isAscii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}

/** The text without what cannot be seen, in compatibility decomposition. */
export function seenOf(text: string): string {
  return isAscii(text) ? text : text.normalize('NFKD').replace(UNSEEN, '');
}

/** Case tells words apart and I from l, so it is looked at before it goes. `Ɪ` is a capital that folds to `ǀ`. */
function markCase(seen: string, { caseChange, smallL, wordWithI, lower }: Patterns): string {
  // In a word all in capitals an I stands beside what an L looks like, and cannot be taken for one.
  const markI = (word: string): string =>
    word.length > 1 && !lower.test(word) ? word : word.replaceAll('I', 'Ɪ');
  return seen.replace(smallL, 'Ɪ').replace(wordWithI, markI).replace(caseChange, '.');
}

function foldSeen(seen: string, { punctuation }: Patterns): string {
  return seen
    .replace(BEYOND_ASCII, (char) => LETTERS.get(char) ?? LETTERS.get(char.toLowerCase()) ?? char)
    .replace(OTHER_DIGIT, asciiDigit)
    .toLowerCase()
    .replace(punctuation, '.')
    .replace(WHITE_SPACE, ' ')
    .replace(/^[ .]|[ .]$/g, '');
}

/** The decimal digits of every script come ten in a row, from zero to nine. */
function asciiDigit(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  let value = 0;
  while (value < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(code - value - 1))) value++;
  return String(value);
}
