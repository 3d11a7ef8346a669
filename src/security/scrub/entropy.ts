const counts = new Uint32Array(256);

/** Shannon's entropy of a text of one byte a character, in bits a character: 0 for `aaaa`, at most 4 for hex. */
export function entropyOf(text: string): number {
  counts.fill(0);
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at) & 0xff;
    counts[char] = (counts[char] as number) + 1;
  }
  let sum = 0;
  for (let char = 0; char < counts.length; char++) {
    const count = counts[char] as number;
    if (count > 0) sum -= (count / text.length) * Math.log2(count / text.length);
  }
  return sum;
}
