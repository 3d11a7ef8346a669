import { foldText, isAscii, seenOf } from './moderation-fold.ts';
import { readingsOf, SYMBOLS } from './moderation-readings.ts';

/**
 * How alike two texts are, from 0 to 1.
 *
 * A text is the set of: the trigrams of each of its words, white space before and after included (weight 1 each);
 * its numbers, whole (`1.2.3` is one; weight 12); and its pairs of neighbouring words, by their first three letters
 * (weight 3). The score is Dice's: twice the weight that is shared over the weight of both.
 *
 * - Symmetric; 1 for texts that fold to the same, 0 for texts without a common trigram or number.
 * - Only the first time a word occurs counts, for pairs too. So repeating a text, or a part of it that came before,
 *   as often as one likes and with or without space between, changes no score. (11 is another number than 1.)
 * - A typo or an inflection costs a few trigrams, another word its trigrams and two pairs, another order pairs
 *   alone, and another number as much as a long word, since releases of one thing may differ by little else.
 *
 * Time and memory are linear in the text.
 */
export interface Profile {
  readonly weights: ReadonlyMap<string, number>;
  readonly total: number;
  /** Of a text without letters and digits: its characters, each where it first occurs. */
  readonly symbols: string;
}

const NUMBER_WEIGHT = 12;
const PAIR_WEIGHT = 3;
/** No way of writing makes more of 4000 characters; compatibility forms that unfold further are not writing. */
const MAX_UNFOLDED = 12_000;

export function profileOf(text: string): Profile {
  const once = withoutRepeats(text.trim());
  const weights = new Map<string, number>();
  let last = '';
  for (const word of new Set(tokensOf(once))) {
    if (NUMBER.test(word)) weights.set(`#${word}`, NUMBER_WEIGHT);
    else addTrigrams(word, weights);
    if (last !== '') weights.set(pairOf(last, word), PAIR_WEIGHT);
    last = word;
  }
  let total = 0;
  for (const weight of weights.values()) total += weight;
  return { weights, total, symbols: total === 0 ? symbolsOf(once) : '' };
}

export function similarityOf(a: Profile, b: Profile): number {
  if (a.total + b.total === 0) return a.symbols === b.symbols ? 1 : 0;
  const [small, large] = a.weights.size <= b.weights.size ? [a, b] : [b, a];
  let shared = 0;
  for (const [feature, weight] of small.weights) if (large.weights.has(feature)) shared += weight;
  return (2 * shared) / (a.total + b.total);
}

const NUMBER = /^\p{N}/u;

/** A number, or a word; and what stands inside a word, where digits and symbols are letters (`depl0y`). */
function patternsOf(digit: string, letter: string) {
  return {
    tokens: new RegExp(`${digit}+(?:\\.${digit}+)*|${letter}+`, 'gu'),
    inside: new RegExp(`(?<=${letter})(?:${digit}|[${SYMBOLS}])+(?=${letter})`, 'gu'),
  };
}

const OF_ASCII = patternsOf('[0-9]', '[a-z]');
const OF_UNICODE = patternsOf('\\p{N}', '\\p{L}');

function tokensOf(text: string): string[] {
  // I, l and 1 cannot be told apart for sure, and here need not be.
  const folded = foldText(wholeWords(text)).replace(/[lǀ]/g, 'i');
  const { tokens, inside } = isAscii(folded) ? OF_ASCII : OF_UNICODE;
  return folded.replace(inside, lettersOf).match(tokens) ?? [];
}

/** As much of a text as is compared: a compatibility form can be one character that stands for eighteen. */
function wholeWords(text: string): string {
  const unfolded = text.normalize('NFKD');
  if (unfolded.length <= MAX_UNFOLDED) return unfolded;
  const space = unfolded.lastIndexOf(' ', MAX_UNFOLDED);
  return unfolded.slice(0, space > 0 ? space : MAX_UNFOLDED);
}

function symbolsOf(text: string): string {
  return [...new Set(seenOf(text).replace(/\s/g, ''))].join('');
}

function lettersOf(run: string): string {
  return [...run].map((char) => readingsOf(char)[0] ?? char).join('');
}

/** The beginnings of two words, or a whole number: a typo or another ending leaves most of a word's pairs alone. */
function pairOf(...words: [string, string]): string {
  return words.map((word) => (NUMBER.test(word) ? word : word.slice(0, 3))).join(' ');
}

function addTrigrams(word: string, weights: Map<string, number>): void {
  const padded = ` ${word} `;
  for (let at = 0; at < word.length; at++) weights.set(padded.slice(at, at + 3), 1);
}

/** The shortest text that this one is a repetition of. A number is not: 11 is another number than 1. */
function withoutRepeats(text: string): string {
  if (!/[A-Za-z]/.test(text) && /^[\p{N}\p{P}]*$/u.test(text)) return text;
  for (let size = 1; size <= text.length / 2; size++) {
    // Most sizes do not divide, and most that do differ early: a few dozen comparisons of a bounded text at most.
    if (text.length % size === 0 && text.startsWith(text.slice(size))) return text.slice(0, size);
  }
  return text;
}
