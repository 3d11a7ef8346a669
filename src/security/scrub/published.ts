/**
 * Keys and passwords that their makers publish, in samples and documentation. Everybody has them, and they turn up
 * where no secret is; only the beginnings are written here, which tell them apart.
 */
/** Of Google's Firebase samples and quickstarts, behind `AIza`. */
const PUBLISHED = [
  ...['SyAnLA7N', 'SyCkEhVj', 'SyDMAScl', 'SyD3asb-', 'yDNSXIbF', 'SyAdOS2z', 'SyASWm6H', 'SyANUvH9'],
  ...['SyA5_iVa', 'SyA4UrcG', 'SyDSb51J', 'SyBF2RrA', 'SyBcE-OO', 'SyB8qGxt', 'SyA8vmAp'],
];
const GOOGLE = 'AIza';

/** DocSearch's key for searching, and the passwords of NuGet's documentation. */
const WHOLE = new Set(['6fe4476ee5a1832882e326b506d14126', '33f!!lloppa', 'hal+9ooo_da!sY']);

/** Texts that only stand for a secret. */
const ALPHABET = /abcdefghij|0123456789|ABCDEFGHIJ/;

export function isPublished(text: string): boolean {
  if (WHOLE.has(text) || ALPHABET.test(text)) return true;
  return text.startsWith(GOOGLE) && PUBLISHED.some((start) => text.startsWith(start, GOOGLE.length));
}
