/**
 * What can stand behind a keyword, by the source of the expression that begins with it. One look there saves most texts
 * the expression.
 */
import { ATOM, setOf } from './atoms.ts';

/** Anything. */
export const ANY_BYTE = new Uint8Array(256).fill(1);

const MAY_BE_MISSING = /[?*]|\{0/y;

/** @returns letters of either case; all bytes where the source says it in another way. */
export function following(source: string, keyword: string): Uint8Array {
  let at = 0;
  for (const char of `${keyword}\n`) {
    ATOM.lastIndex = at;
    const atom = ATOM.exec(source)?.[0];
    if (atom === undefined) return ANY_BYTE;
    at = MAY_BE_MISSING.lastIndex = ATOM.lastIndex;
    if (MAY_BE_MISSING.test(source)) return ANY_BYTE;
    const set = setOf(atom, true);
    if (char === '\n') return set;
    if (set[char.charCodeAt(0)] === 0 || source[at] === '{') return ANY_BYTE;
  }
  return ANY_BYTE;
}

/** What is in any of some sets. */
export function anyOf(sets: readonly Uint8Array[]): Uint8Array {
  return ANY_BYTE.map((_, byte) => (sets.some((set) => set[byte] === 1) ? 1 : 0));
}
