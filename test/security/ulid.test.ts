import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createUlid, isUlid, isUlidPrefix, ulidTime } from '../../src/security/ulid.ts';

const RUNS = { seed: 0x5eed, numRuns: 300 };
const zeros = (n: number) => new Uint8Array(n);
const ones = (n: number) => new Uint8Array(n).fill(0xff);
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

describe('createUlid', () => {
  it('writes the time first: the example of the ULID reference implementation', () => {
    expect(createUlid(1469918176385, zeros)).toBe('01ARYZ6S410000000000000000');
  });

  it('reaches both ends of its range', () => {
    expect(createUlid(0, zeros)).toBe('00000000000000000000000000');
    expect(createUlid(2 ** 48 - 1, ones)).toBe('7ZZZZZZZZZZZZZZZZZZZZZZZZZ');
  });

  it('loses no bit of the time or of the randomness', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 48 - 1), fc.uint8Array({ minLength: 10, maxLength: 10 }), (now, random) => {
        const id = createUlid(now, () => random);
        let value = 0n;
        for (const character of id) value = value * 32n + BigInt(CROCKFORD.indexOf(character));
        expect(value >> 80n).toBe(BigInt(now));
        expect(ulidTime(id)).toBe(now);
        expect(value & (2n ** 80n - 1n)).toBe(BigInt(`0x${Buffer.from(random).toString('hex')}`));
        expect(isUlid(id)).toBe(true);
      }),
      RUNS,
    );
  });

  it('sorts by time as text', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 48 - 2), (now) => {
        expect(createUlid(now, ones) < createUlid(now + 1, zeros)).toBe(true);
      }),
      RUNS,
    );
  });

  it.each([-1, 0.5, 2 ** 48, Number.NaN, Number.POSITIVE_INFINITY])('refuses the time %d', (now) => {
    expect(() => createUlid(now, zeros)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });

  it.each([0, 9, 11])('refuses %i random bytes where 10 were asked for', (length) => {
    expect(() => createUlid(0, () => new Uint8Array(length))).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});

describe('isUlid', () => {
  const valid = '01ARYZ6S41TSV4RRFFQ69G5FAV';

  it('accepts 26 characters of the alphabet', () => {
    expect(isUlid(valid)).toBe(true);
  });

  it.each([
    ['one character less', valid.slice(1)],
    ['one character more', `${valid}0`],
    ['lower case', valid.toLowerCase()],
    ['one lower-case character', `${valid.slice(0, -1)}v`],
    ['more than 128 bits', `8${valid.slice(1)}`],
    ['I', `0I${valid.slice(2)}`],
    ['L', `0L${valid.slice(2)}`],
    ['O', `0O${valid.slice(2)}`],
    ['U', `0U${valid.slice(2)}`],
    ['a line break at the end', `${valid.slice(0, -1)}\n`],
    ['a line break after the end', `${valid}\n`],
    ['a path', '../../../../../../etc/pass'],
    ['a wildcard', `${valid.slice(0, -1)}%`],
    ['a fullwidth digit', `０${valid.slice(1)}`],
    ['nothing', ''],
  ])('refuses %s', (_, text) => {
    expect(isUlid(text)).toBe(false);
  });
});

describe('isUlidPrefix', () => {
  it('accepts the beginnings of every ULID, from one character to all', () => {
    const id = createUlid(1469918176385, ones);
    for (let length = 1; length <= 26; length++) expect(isUlidPrefix(id.slice(0, length))).toBe(true);
  });

  it.each(['', '8', 'Z', '01a', '01-', '01%', '0_', ' 0', '0\n', '0'.repeat(27)])('refuses %j', (text) => {
    expect(isUlidPrefix(text)).toBe(false);
  });
});
