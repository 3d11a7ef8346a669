import { createHash } from 'node:crypto';

/** What is kept of a stream: enough to see how it began and ended, and to tell whether another one was the same. */
export interface Captured {
  /** All that was written. */
  readonly bytes: number;
  /** Of all that was written, in hex. */
  readonly sha256: string;
  readonly head: string;
  /** Never repeats what is in `head`; empty when everything fitted there. */
  readonly tail: string;
  /** How many bytes are in neither, the parts of a character that a cut went through included. */
  readonly omittedBytes: number;
}

export interface Capture {
  write(chunk: Uint8Array): void;
  /** What was captured so far; may be asked again. */
  result(): Captured;
}

/**
 * Keeps the first `limits.head` and the last `limits.tail` bytes of a stream, and no more than that in memory
 * whatever its volume. What is kept is decoded as UTF-8: invalid bytes become U+FFFD, but a cut never makes one,
 * for a character that a cut went through is left out. How the stream was split into chunks makes no difference.
 */
export function createCapture(limits: { readonly head: number; readonly tail: number }): Capture {
  const hash = createHash('sha256');
  const head = Buffer.alloc(limits.head);
  // A ring: what comes after the head is at its offset, modulo the size.
  const ring = Buffer.alloc(limits.tail);
  let bytes = 0;

  return {
    write(chunk) {
      hash.update(chunk);
      const room = Math.max(limits.head - bytes, 0);
      head.set(chunk.subarray(0, room), limits.head - room);
      writeRing(ring, chunk.subarray(room), Math.max(bytes - limits.head, 0));
      bytes += chunk.length;
    },
    result() {
      const rest = Math.max(bytes - limits.head, 0);
      const first = head.subarray(0, bytes - rest);
      const last = readRing(ring, rest);
      // Cuts are where the head stops short of the stream's end, and where the tail begins after its start. The
      // stream's own ends are none: what is broken there was broken by its writer, and shows.
      const kept = rest === 0 ? first : first.subarray(0, first.length - unfinishedAtEnd(first));
      const tail = last.length === bytes ? last : last.subarray(continuedAtStart(last));
      return {
        bytes,
        sha256: hash.copy().digest('hex'),
        head: kept.toString(),
        tail: tail.toString(),
        omittedBytes: bytes - kept.length - tail.length,
      };
    },
  };
}

/** Writes what stands at `offset` of a stream that the ring keeps the end of. */
function writeRing(ring: Buffer, chunk: Uint8Array, offset: number): void {
  if (ring.length === 0) return;
  const skipped = Math.max(chunk.length - ring.length, 0);
  const last = chunk.subarray(skipped);
  const at = (offset + skipped) % ring.length;
  ring.set(last.subarray(0, ring.length - at), at);
  ring.set(last.subarray(ring.length - at), 0);
}

/** The ring's content in order, when `length` bytes went into it. */
function readRing(ring: Buffer, length: number): Buffer {
  if (length <= ring.length) return ring.subarray(0, length);
  const at = length % ring.length;
  return Buffer.concat([ring.subarray(at), ring.subarray(0, at)]);
}

/** How many bytes at the end begin a character that they do not complete. */
function unfinishedAtEnd(bytes: Uint8Array): number {
  for (let back = 1; back <= 3; back++) {
    const byte = bytes.at(-back);
    if (byte === undefined || byte < 0x80) return 0;
    if (byte >= 0xc0) return sequenceLength(byte) > back ? back : 0;
  }
  return 0;
}

/** How many bytes at the start, at most the three there can be, continue a character that began before them. */
function continuedAtStart(bytes: Uint8Array): number {
  let count = 0;
  while (count < 3 && isContinuation(bytes[count])) count++;
  return count;
}

function sequenceLength(lead: number): number {
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte < 0xc0;
}
