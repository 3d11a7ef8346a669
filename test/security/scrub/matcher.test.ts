import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type NotBefore,
  notBefore,
  onlyBefore,
  sequenceMatcher,
} from '../../../src/security/scrub/matcher.ts';

/** Where a match at the start ends, by the walk and by a regular expression. */
function both(source: string, text: string, anyCase = false, not?: NotBefore) {
  const match = sequenceMatcher(() => ({ source, anyCase, notBefore: not }));
  const pattern = new RegExp(`(?:${source})${not?.source ?? ''}`, anyCase ? 'iy' : 'y');
  const expected = pattern.test(text) ? pattern.lastIndex : -1;
  return { walked: match({ bytes: Buffer.from(text, 'latin1'), text }, 0), expected };
}

describe('a sequence is matched as its regular expression would', () => {
  test.each<[string, string, number]>([
    ['a-[0-9]{3}', 'a-123', 5],
    ['a-[0-9]{3}', 'a-12', -1],
    ['a-[0-9]{3}', 'a-1234', -1],
    ['a\\.[\\w-]{2,4}', 'a.b-c-d', 5],
    ['a\\.[\\w-]{2,4}', 'a.bcdefg', -1],
    ['a\\.[\\w-]{2,4}', 'a.bc-efg', 4],
    ['[A-Z2-7]{2}x', 'A7x', 3],
    ['[ab]{1,3}b', 'aab', 3],
    ['a{1,3}-b', 'aa-b', 4],
  ])('%s in %j', (source, text, end) => {
    expect(both(source, text, false, notBefore('[A-Za-z0-9]'))).toEqual({ walked: end, expected: end });
  });

  test('whatever the text, the case and what may not follow', () => {
    const sources = [
      'a[b-]{2}_{0,2}',
      'a[b-]{1,3}_?[.]c{2}',
      'a_?[.]?[bc]{2}',
      'ab?_{0,1}',
      'a[b-]{1,3}_{0,2}',
      'a[bc]{1,2}_{1,2}\\.?',

      'ab[a-c]{2}',
      'a[ab-]{1,4}',
      'a[ab]{2}-[bc]{2,3}',
      '[\\w-]{3}',
      'a\\.[A-C_]{1,3}\\.b',
      'B[^a]',
    ];
    const text = fc.string({ unit: fc.constantFrom(...'abcABC.-_1'), maxLength: 12 });
    const none = fc.constantFrom(undefined, notBefore('[A-Ba-b]'), notBefore('[\\w-]'), onlyBefore('[Bb_.]'));
    fc.assert(
      fc.property(fc.constantFrom(...sources), text, fc.boolean(), none, (source, input, any, not) => {
        const { walked, expected } = both(source, input, any, not);
        expect(walked, `${source} in ${input}`).toBe(expected);
      }),
      { seed: 0x5eed, numRuns: 5000 },
    );
  });
});
