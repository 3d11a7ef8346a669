/** The part of a stream that is in sight: grows at its end, is dropped from its start. */
export interface Window {
  length(): number;
  /** As they are until the next change. */
  bytes(): Buffer;
  append(chunk: Buffer): void;
  drop(count: number): void;
}

const MIN_SIZE = 1024;

/** Bytes are copied a fixed number of times each, however small the chunks are that they come in. */
export function createWindow(): Window {
  let store = Buffer.alloc(0);
  let length = 0;
  return {
    length: () => length,
    bytes: () => store.subarray(0, length),
    append(chunk) {
      if (length + chunk.length > store.length) {
        const larger = Buffer.alloc(Math.max(MIN_SIZE, length + chunk.length, 2 * length));
        store.copy(larger, 0, 0, length);
        store = larger;
      }
      length += chunk.copy(store, length);
    },
    drop(count) {
      store.copyWithin(0, count, length);
      length -= count;
    },
  };
}
