/**
 * How long to wait before a retry: exponential with full jitter, a time drawn evenly from zero to the cap, so
 * that what failed together does not come back together.
 *
 * @param attempt the attempt that failed, 1 for the first
 * @returns milliseconds
 */
export function backoffDelay(
  { backoffMs, maxBackoffMs }: { backoffMs: number; maxBackoffMs: number },
  attempt: number,
  randomBytes: (count: number) => Uint8Array,
): number {
  const cap = Math.min(maxBackoffMs, backoffMs * 2 ** Math.min(attempt - 1, 30));
  const fraction = Buffer.from(randomBytes(6)).readUIntBE(0, 6) / 2 ** 48;
  return Math.floor(fraction * (cap + 1));
}
