const counts = new Uint32Array(256);

/** `n * log2(n)` for what counts mostly are. */
const SHARES = Float64Array.from({ length: 64 }, (_, count) => (count === 0 ? 0 : count * Math.log2(count)));

/** Shannon's entropy of a text of one byte a character, in bits a character: 0 for `aaaa`, at most 4 for hex. */
export function entropyOf(text: string, from = 0, to = text.length): number {
  for (let at = from; at < to; at++) {
    const char = text.charCodeAt(at) & 0xff;
    counts[char] = (counts[char] as number) + 1;
  }
  let sum = 0;
  for (let at = from; at < to; at++) {
    const char = text.charCodeAt(at) & 0xff;
    const count = counts[char] as number;
    if (count === 0) continue;
    sum += count < SHARES.length ? (SHARES[count] as number) : count * Math.log2(count);
    counts[char] = 0;
  }
  return to === from ? 0 : Math.log2(to - from) - sum / (to - from);
}
