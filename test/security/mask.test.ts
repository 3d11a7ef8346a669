import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMasker, type Secret } from '../../src/security/mask.ts';
import { createTextScrubber } from '../../src/security/scrub/text.ts';

/** Masks `input` cut at the given offsets, and checks after each chunk that no more is held back than allowed. */
function maskInPieces(secrets: readonly Secret[], input: Buffer, cuts: readonly number[]): string {
  const masker = createMasker(secrets);
  const out: Buffer[] = [];
  let from = 0;
  for (const to of [...cuts, input.length].sort((a, b) => a - b)) {
    // A copy that is wiped, as a reader that uses its buffer again would.
    const chunk = Buffer.from(input.subarray(from, to));
    out.push(Buffer.from(masker.push(chunk)));
    chunk.fill(0);
    from = to;
  }
  out.push(masker.end());
  return Buffer.concat(out).toString('latin1');
}

/**
 * What masking means, in the plainest way: mark every covered byte, then write one marker for each marked run.
 * With `until`, what that shows of the bytes before it.
 */
function maskByDefinition(secrets: readonly Secret[], input: Buffer, until = input.length): string {
  const covered = new Array<boolean>(input.length).fill(false);
  const startsAt = new Array<{ name: string; length: number } | undefined>(input.length);
  for (const { name, value } of secrets) {
    for (const text of [value, value.trim()]) {
      const bytes = Buffer.from(text);
      if (bytes.length === 0) continue;
      for (let at = input.indexOf(bytes); at !== -1; at = input.indexOf(bytes, at + 1)) {
        covered.fill(true, at, at + bytes.length);
        if (bytes.length > (startsAt[at]?.length ?? 0)) startsAt[at] = { name, length: bytes.length };
      }
    }
  }
  let out = '';
  for (let at = 0; at < until; at++) {
    if (!covered[at]) out += String.fromCharCode(input[at] as number);
    else if (!covered[at - 1]) out += `[secret:${startsAt[at]?.name}]`;
  }
  return out;
}

const masked = (secrets: Record<string, string>, text: string): string =>
  createTextScrubber({
    secrets: Object.entries(secrets).map(([name, value]) => ({ name, value })),
    credentials: false,
    personal: false,
  })(text);

describe('what is masked', () => {
  test.each<[string, Record<string, string>, string, string]>([
    ['a value', { TOKEN: 'hunter2' }, 'pw=hunter2;', 'pw=[secret:TOKEN];'],
    ['every occurrence', { TOKEN: 'hunter2' }, 'hunter2 hunter2', '[secret:TOKEN] [secret:TOKEN]'],
    ['nothing else', { TOKEN: 'hunter2' }, 'hunter hunter3 Hunter2', 'hunter hunter3 Hunter2'],
    ['neighbours as one', { A: 'aaa', B: 'bbb' }, '-aaabbb-', '-[secret:A]-'],
    ['overlapping values whole', { A: 'abcd', B: 'cdef' }, '-abcdef-', '-[secret:A]-'],
    ['a value that overlaps itself', { A: 'aba' }, '-ababa-', '-[secret:A]-'],
    ['a nested value under the outer name', { IN: 'bc', OUT: 'abcd' }, '-abcd-', '-[secret:OUT]-'],
    ['a prefix under the longer name', { SHORT: 'abc', LONG: 'abcdef' }, 'abcdef', '[secret:LONG]'],
    ['a prefix alone under its own', { SHORT: 'abc', LONG: 'abcdef' }, 'abcde', '[secret:SHORT]de'],
    ['a run begun by the earlier value', { A: 'xabc', B: 'abcd' }, 'xabcd', '[secret:A]'],
    ['a false start', { A: 'aab' }, 'aaab', 'a[secret:A]'],
    ['one value under two names by the first', { A: 'same', B: 'same' }, 'same', '[secret:A]'],
    ['a value beyond ASCII', { A: 'pä🔑' }, '«pä🔑»', '«[secret:A]»'],
    ['a value without its white space', { A: ' \tpadded\n' }, 'is padded.', 'is [secret:A].'],
    ['a value with its white space', { A: ' padded ' }, 'is padded .', 'is[secret:A].'],
    ['no empty value', { A: '' }, 'text', 'text'],
    ['a regular expression as text', { A: '.*$&' }, 'x.*$&x', 'x[secret:A]x'],
    ['a lone surrogate as it is encoded', { A: 'k\ud800' }, 'k\ud800', '[secret:A]'],
  ])('%s', (_, secrets, text, expected) => {
    expect(masked(secrets, text)).toBe(expected);
  });

  test('the lines of a value of many lines, when they are long enough to be told from other output', () => {
    const KEY = '-----BEGIN-----\r\n  c2VjcmV0IGtleQ==  \n{\n1234567\n12345678\n';
    expect(masked({ KEY }, 'log: c2VjcmV0IGtleQ== {')).toBe('log: [secret:KEY] {');
    expect(masked({ KEY }, '1234567 12345678')).toBe('1234567 [secret:KEY]');
    expect(masked({ KEY }, `<${KEY}>`)).toBe('<[secret:KEY]>');
  });

  test('a value of one line is never taken apart', () => {
    expect(masked({ A: 'correct horse' }, 'correct')).toBe('correct');
  });

  test('text without a secret comes back as it is, whatever it is', () => {
    expect(masked({ A: 'x' }, '\ud800\u0000\ufeff')).toBe('\ud800\u0000\ufeff');
  });

  test('bytes that are not text, around and inside', () => {
    const input = Buffer.concat([Buffer.from([0xff, 0x00, 0xc3]), Buffer.from('key'), Buffer.from([0xa4])]);
    expect(maskInPieces([{ name: 'A', value: 'key' }], input, [])).toBe('\xff\x00\xc3[secret:A]\xa4');
  });
});

describe('streams', () => {
  test('more occurrences in one chunk than are collected at once are all masked', () => {
    const masked = maskInPieces([{ name: 'PIN', value: '4711' }], Buffer.from('4711 '.repeat(5000)), []);
    expect(masked).toBe('[secret:PIN] '.repeat(5000));
  });

  // Few letters and short values: nearly every input has overlapping, nested and half-finished occurrences.
  const letters = fc.constantFrom('a', 'b', ' ');
  const secretsOf = (value: fc.Arbitrary<string>) =>
    fc
      .array(value, { minLength: 1, maxLength: 5 })
      .map((values) => values.map((text, index) => ({ name: `S${index}`, value: text })));
  const secrets = secretsOf(
    fc.oneof(
      fc.string({ unit: letters, maxLength: 6 }),
      fc.string({ unit: fc.constantFrom('a', 'ä', '🔑'), maxLength: 4 }),
    ),
  );
  const input = fc
    .string({ unit: fc.constantFrom('a', 'a', 'b', ' ', 'ä', '🔑'), maxLength: 40 })
    .map((text) => Buffer.from(text));

  test('masking is what its definition says, however the input is cut', () => {
    fc.assert(
      fc.property(secrets, input, fc.array(fc.nat({ max: 60 }), { maxLength: 8 }), (known, bytes, at) => {
        const cuts = at.map((offset) => Math.min(offset, bytes.length));
        expect(maskInPieces(known, bytes, cuts)).toBe(maskByDefinition(known, bytes));
      }),
      { seed: 0x5eed, numRuns: 3000 },
    );
  });

  test('every cut into two, and every byte on its own', () => {
    fc.assert(
      fc.property(secrets, input, (known, bytes) => {
        const expected = maskByDefinition(known, bytes);
        for (let cut = 0; cut <= bytes.length; cut++) {
          expect(maskInPieces(known, bytes, [cut])).toBe(expected);
        }
        const everywhere = Array.from({ length: bytes.length }, (_, index) => index);
        expect(maskInPieces(known, bytes, everywhere)).toBe(expected);
      }),
      { seed: 0x5eed, numRuns: 300 },
    );
  });

  test('what is held back is the longest suffix that could still become a secret', () => {
    fc.assert(
      fc.property(secrets, input, (known, bytes) => {
        const patterns = known.flatMap(({ value }) => [Buffer.from(value), Buffer.from(value.trim())]);
        const canGrow = (suffix: Buffer): boolean =>
          patterns.some((bytes) => bytes.length > suffix.length && bytes.indexOf(suffix) === 0);
        const masker = createMasker(known);
        let shown = '';
        for (let length = 1; length <= bytes.length; length++) {
          shown += masker.push(bytes.subarray(length - 1, length)).toString('latin1');
          const seen = bytes.subarray(0, length);
          let until = 0;
          while (until < length && !canGrow(seen.subarray(until))) until++;
          expect(shown).toBe(maskByDefinition(known, seen, until));
        }
      }),
      { seed: 0x5eed, numRuns: 300 },
    );
  });

  test('text is shown at once when nothing in it could become a secret', () => {
    const masker = createMasker([{ name: 'TOKEN', value: 'hunter2' }]);
    expect(masker.push(Buffer.from('login as root\n')).toString()).toBe('login as root\n');
    expect(masker.push(Buffer.from('password: hunt')).toString()).toBe('password: ');
    expect(masker.push(Buffer.from('ing\n')).toString()).toBe('hunting\n');
    expect(masker.push(Buffer.from('hunter')).toString()).toBe('');
    expect(masker.push(Buffer.from('2')).toString()).toBe('[secret:TOKEN]');
    expect(masker.push(Buffer.from('hunter')).toString()).toBe('');
    expect(masker.end().toString()).toBe('hunter');
  });

  test('without secrets a chunk passes uncopied', () => {
    const chunk = Buffer.from('plain');
    const shown = createMasker([{ name: 'EMPTY', value: '' }]).push(chunk);
    expect(shown.toString()).toBe('plain');
    expect([shown.buffer, shown.byteOffset]).toEqual([chunk.buffer, chunk.byteOffset]);
  });

  test('a value that repeats itself, in output that does, takes one pass', () => {
    const size = 4 * 1024 * 1024;
    const masker = createMasker([
      { name: 'A', value: 'a'.repeat(4096) },
      { name: 'B', value: `b${'a'.repeat(4096)}` },
    ]);
    const shown = [Buffer.from('b'), Buffer.alloc(size, 'a'), Buffer.from('c')].map((chunk) =>
      masker.push(chunk).toString(),
    );
    expect(shown.join('') + masker.end()).toBe('[secret:B]c');
  });
});
