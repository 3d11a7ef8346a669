import { createHash } from 'node:crypto';

/** Bytes that look random and are the same in every run: SHA-256 of a name and a counter. Every call gives others. */
export function seededRandom(name: string): (n: number) => Uint8Array {
  let counter = 0;
  return (n) => {
    const blocks: Buffer[] = [];
    for (let have = 0; have < n; have += 32) {
      blocks.push(createHash('sha256').update(`${name} ${counter++}`).digest());
    }
    return Uint8Array.from(Buffer.concat(blocks).subarray(0, n));
  };
}
