/**
 * Keys and passwords that their makers publish, in samples and documentation. Everybody has them, and they turn up
 * where no secret is; only the beginnings are written here, which tell them apart.
 */
import { table } from './assignment.ts';
import type { Sight } from './sight.ts';

/** Of Google's Firebase samples and quickstarts, behind `AIza`. */
const PUBLISHED = [
  ...['SyAnLA7N', 'SyCkEhVj', 'SyDMAScl', 'SyD3asb-', 'yDNSXIbF', 'SyAdOS2z', 'SyASWm6H', 'SyANUvH9'],
  ...['SyA5_iVa', 'SyA4UrcG', 'SyDSb51J', 'SyBF2RrA', 'SyBcE-OO', 'SyB8qGxt', 'SyA8vmAp'],
];
const GOOGLE = 'AIza';

/** DocSearch's key for searching, and the passwords of NuGet's documentation. */
const WHOLE = ['6fe4476ee5a1832882e326b506d14126', '33f!!lloppa', 'hal+9ooo_da!sY'];

/** Texts that only stand for a secret count up to one of these, over ten characters at least: `abcdefghij`, `0123456789`. */
const LAST = table('jJ9', false);
const COUNTED = 10;

export function isPublished(
  { bytes, text }: Pick<Sight, 'bytes' | 'text'>,
  from: number,
  to: number,
): boolean {
  for (let at = from + 1, run = 1; at < to; at++) {
    const byte = bytes[at] as number;
    run = byte === (bytes[at - 1] as number) + 1 ? run + 1 : 1;
    if (run >= COUNTED && LAST[byte] === 1) return true;
  }
  if (WHOLE.some((whole) => whole.length === to - from && text.startsWith(whole, from))) return true;
  return (
    text.startsWith(GOOGLE, from) && PUBLISHED.some((start) => text.startsWith(start, from + GOOGLE.length))
  );
}
