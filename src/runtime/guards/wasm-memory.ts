/**
 * Gives the memory that a WebAssembly module declares an upper bound, so that the engine itself refuses to let it
 * grow further. An interpreter counts what it allocates, but not all of it: its libraries have buffers of their own.
 */

const MEMORY_SECTION = 5;
const PAGE = 65_536;

/**
 * The module with its one memory bounded to `maxBytes`, whole pages of 64 KiB.
 *
 * @throws Error if it is not a module with exactly one memory of its own, without a bound and of 32 bits.
 */
export function boundMemory(wasm: Uint8Array, maxBytes: number): Uint8Array {
  const bytes = Buffer.from(wasm.buffer, wasm.byteOffset, wasm.byteLength);
  // WebAssembly core 2.0, 5.5.16: magic, version, then sections of an id, a size and the content.
  if (bytes.subarray(0, 8).toString('hex') !== '0061736d01000000') throw malformed('no module');
  for (let at = 8; at < bytes.length; ) {
    const id = bytes[at];
    const size = readLeb(bytes, at + 1);
    const end = size.next + size.value;
    if (id === MEMORY_SECTION) {
      const initial = readInitial(bytes.subarray(size.next, end));
      // 5.3.7 and 5.5.7: one memory, limits with an upper bound (0x01), and the two of them.
      const content = [1, 1, ...leb(initial), ...leb(Math.floor(maxBytes / PAGE))];
      const section = Buffer.from([MEMORY_SECTION, ...leb(content.length), ...content]);
      return Buffer.concat([bytes.subarray(0, at), section, bytes.subarray(end)]);
    }
    at = end;
  }
  throw malformed('no memory section');
}

function readInitial(content: Buffer): number {
  const initial = readLeb(content, 2);
  if (content[0] !== 1 || content[1] !== 0 || initial.next !== content.length) {
    throw malformed('a memory of another shape');
  }
  return initial.value;
}

/** An unsigned number in LEB128 (5.2.2), at most 32 bits. */
function readLeb(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0;
  for (let index = 0; index < 5; index++) {
    const byte = bytes[at + index];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, next: at + index + 1 };
  }
  throw malformed('a malformed number');
}

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...leb(Math.floor(value / 0x80))];
}

function malformed(found: string): Error {
  return new Error(`WebAssembly: expected a module with one unbounded memory, found ${found}`);
}
