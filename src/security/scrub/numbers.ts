/** How numbers stand in text: what all that is recognised by its digits looks at. */
import { skip, table } from './assignment.ts';

export const DIGIT = table('0123456789', false);
export const WORD = table('_', true);
/** In a word, a decimal number, a file's name or a sum, it is part of something else. */
const NOT_BEFORE = table('_.+-', true);

/** The end of the digits at a place. */
export function digitsEnd(bytes: Uint8Array, at: number): number {
  return skip(bytes, at, bytes.length, DIGIT);
}

export function startsNumber(bytes: Uint8Array, at: number): boolean {
  return at === 0 || NOT_BEFORE[bytes[at - 1] as number] === 0;
}

/** No word and no further digits follow, not after a dot or a dash either. */
export function endsNumber(bytes: Uint8Array, at: number): boolean {
  if (at >= bytes.length) return true;
  const next = bytes[at] as number;
  if (WORD[next] === 1) return false;
  return !((next === DOT || next === DASH) && DIGIT[bytes[at + 1] ?? 0] === 1);
}

const DASH = 0x2d;
const DOT = 0x2e;
