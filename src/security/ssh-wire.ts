/** The data types of SSH that keys and the agent's messages are made of (RFC 4251, section 5). */
import type { AxError } from '../errors.ts';

const LENGTH_BYTES = 4;

/** A `uint32`. */
export function sshUint32(value: number): Buffer {
  const bytes = Buffer.alloc(LENGTH_BYTES);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A `string`: its length, then its bytes. */
export function sshString(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([sshUint32(bytes.length), bytes]);
}

/** Reads one thing after another. Each call names what it reads, for the refusal when that is not there. */
export interface SshReader {
  readonly bytes: (count: number, what: string) => Buffer;
  readonly uint32: (what: string) => number;
  readonly string: (what: string) => Buffer;
  /** Everything that is left. */
  readonly rest: () => Buffer;
  /** @throws what `refuse` makes when something is left */
  readonly end: (what: string) => void;
}

/**
 * A reader that never reads beyond its bytes: a length is held against what is there before anything is taken.
 *
 * @param refuse makes the error that is thrown from what was expected and found, which never has a content in it
 */
export function createSshReader(source: Buffer, refuse: (problem: string) => AxError): SshReader {
  let position = 0;
  const bytes = (count: number, what: string): Buffer => {
    const left = source.length - position;
    if (count > left) throw refuse(`${what}: expected ${count} bytes, found ${left}`);
    position += count;
    return source.subarray(position - count, position);
  };
  const uint32 = (what: string): number => bytes(LENGTH_BYTES, what).readUInt32BE();
  return {
    bytes,
    uint32,
    string: (what) => bytes(uint32(what), what),
    rest: () => bytes(source.length - position, 'rest'),
    end(what) {
      const left = source.length - position;
      if (left > 0) throw refuse(`${what}: expected its end, found ${left} more bytes`);
    },
  };
}
