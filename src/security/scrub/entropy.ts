const counts = new Uint32Array(256);

/** `n * log2(n)` for what counts mostly are. */
const SHARES = Float64Array.from({ length: 64 }, (_, count) => (count === 0 ? 0 : count * Math.log2(count)));

/** Shannon's entropy of the bytes in a place, in bits a byte: 0 for `aaaa`, at most 4 for hex. */
export function entropyOf(bytes: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    counts[byte] = (counts[byte] as number) + 1;
  }
  let sum = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    const count = counts[byte] as number;
    if (count === 0) continue;
    sum += count < SHARES.length ? (SHARES[count] as number) : count * Math.log2(count);
    counts[byte] = 0;
  }
  return to === from ? 0 : Math.log2(to - from) - sum / (to - from);
}
