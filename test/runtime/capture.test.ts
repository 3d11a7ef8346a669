import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Captured, createCapture } from '../../src/runtime/capture.ts';

function capture(limits: { head: number; tail: number }, ...chunks: (string | Uint8Array)[]): Captured {
  const sink = createCapture(limits);
  for (const chunk of chunks) {
    // A copy that is wiped, as a reader that uses its buffer again would.
    const bytes = Buffer.from(chunk as Uint8Array);
    sink.write(bytes);
    bytes.fill(0);
  }
  return sink.result();
}

const ends = ({ head, tail, omittedBytes }: Captured) => [head, tail, omittedBytes];

describe('head and tail', () => {
  test.each<[string, string, [string, string, number]]>([
    ['nothing', '', ['', '', 0]],
    ['less than the head', 'abc', ['abc', '', 0]],
    ['exactly the head', 'abcd', ['abcd', '', 0]],
    ['a little of the tail', 'abcde', ['abcd', 'e', 0]],
    ['exactly both', 'abcdefg', ['abcd', 'efg', 0]],
    ['one byte too many', 'abcdefgh', ['abcd', 'fgh', 1]],
    ['far too many', 'abcdefghijklmnopqrstuvwxyz', ['abcd', 'xyz', 19]],
  ])('%s', (_, text, expected) => {
    expect(ends(capture({ head: 4, tail: 3 }, text))).toEqual(expected);
    expect(ends(capture({ head: 4, tail: 3 }, ...text))).toEqual(expected);
  });

  test('either limit may be nothing', () => {
    expect(ends(capture({ head: 0, tail: 3 }, 'abcde'))).toEqual(['', 'cde', 2]);
    expect(ends(capture({ head: 3, tail: 0 }, 'abcde'))).toEqual(['abc', '', 2]);
    expect(ends(capture({ head: 0, tail: 0 }, 'abcde'))).toEqual(['', '', 5]);
  });
});

describe('characters', () => {
  test.each<[string, string, [string, string, number]]>([
    ['two bytes, cut by the head', 'abcä-----xyz', ['abc', 'xyz', 7]],
    ['four bytes, cut by the head after one', 'abc🔑xyz', ['abc', 'xyz', 4]],
    ['four bytes, cut by the head after three', 'a🔑---xyz', ['a', 'xyz', 7]],
    ['four bytes, cut by the tail', 'abcd---🔑', ['abcd', '', 7]],
    ['two bytes, cut by the tail', 'abcd---äyz', ['abcd', 'yz', 5]],
    ['two bytes, cut by both', 'abcäyz', ['abc', 'yz', 2]],
    ['two bytes, just before either cut', 'abä---xä', ['abä', 'xä', 3]],
    ['three bytes, just before the cut', 'a€---xyz', ['a€', 'xyz', 3]],
    ['whole ones at both ends', '🔑---€', ['🔑', '€', 3]],
  ])('%s', (_, text, expected) => {
    expect(ends(capture({ head: 4, tail: 3 }, text))).toEqual(expected);
  });

  test('what the writer itself broke is shown as broken', () => {
    const key = Buffer.from('🔑');
    expect(ends(capture({ head: 8, tail: 8 }, 'ab', key.subarray(0, 2)))).toEqual(['ab\ufffd', '', 0]);
    expect(ends(capture({ head: 2, tail: 8 }, 'ab', '-', key.subarray(0, 2)))).toEqual(['ab', '-\ufffd', 0]);
    expect(ends(capture({ head: 4, tail: 0 }, Buffer.from([0x61, 0xff, 0x62, 0x63]), 'd'))).toEqual([
      'a\ufffdbc',
      '',
      1,
    ]);
    const continuations = capture({ head: 0, tail: 5 }, Buffer.alloc(9, 0x80));
    expect(ends(continuations)).toEqual(['', '\ufffd\ufffd', 7]);
    expect(ends(capture({ head: 0, tail: 5 }, Buffer.of(0x80, 0x61)))).toEqual(['', '\ufffda', 0]);
  });
});

describe('the whole', () => {
  test('the digest and the count are of everything, and may be asked for on the way', () => {
    const sink = createCapture({ head: 1, tail: 1 });
    sink.write(Buffer.from('hello '));
    expect(sink.result()).toMatchObject({ bytes: 6, sha256: sha256('hello ') });
    sink.write(Buffer.from('world'));
    expect(sink.result()).toEqual({
      bytes: 11,
      sha256: 'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9',
      head: 'h',
      tail: 'd',
      omittedBytes: 9,
    });
  });

  test('splitting changes nothing, limits hold, and no byte of text is unaccounted for', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'ä', '€', '🔑', '\n'), maxLength: 30 });
    const limits = fc.record({ head: fc.nat({ max: 12 }), tail: fc.nat({ max: 12 }) });
    const cuts = fc.array(fc.nat({ max: 120 }), { maxLength: 6 });
    fc.assert(
      fc.property(text, limits, cuts, (written, bounds, at) => {
        const bytes = Buffer.from(written);
        const whole = capture(bounds, bytes);
        const offsets = [0, ...at.map((offset) => Math.min(offset, bytes.length)), bytes.length].sort(
          (a, b) => a - b,
        );
        const pieces = offsets.slice(1).map((to, index) => bytes.subarray(offsets[index], to));
        expect(capture(bounds, ...pieces)).toEqual(whole);

        expect(written.startsWith(whole.head)).toBe(true);
        expect(written.endsWith(whole.tail)).toBe(true);
        const [head, tail] = [Buffer.byteLength(whole.head), Buffer.byteLength(whole.tail)];
        expect(head).toBeLessThanOrEqual(bounds.head);
        expect(tail).toBeLessThanOrEqual(bounds.tail);
        expect(head + tail + whole.omittedBytes).toBe(bytes.length);
        // Nothing is left out but what the limits and a cut character account for.
        expect(head).toBeGreaterThan(Math.min(bounds.head, bytes.length) - 4);
        expect(tail).toBeGreaterThan(Math.min(bounds.tail, bytes.length - bounds.head) - 4);
        expect(whole.sha256).toBe(sha256(written));
      }),
      { seed: 0x5eed, numRuns: 2000 },
    );
  });

  test('memory does not grow with the volume', () => {
    const sink = createCapture({ head: 1024, tail: 1024 });
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    const before = process.memoryUsage().arrayBuffers;
    for (let written = 0; written < 256; written++) sink.write(chunk);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    expect(sink.result()).toMatchObject({ bytes: 2 ** 28, omittedBytes: 2 ** 28 - 2048 });
  });
});

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
