import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { profileOf, similarityOf } from '../../../src/runtime/guards/moderation-similarity.ts';
import { haveVectors, vectorJson } from '../../support/vectors.ts';

const score = (a: string, b: string): number => similarityOf(profileOf(a), profileOf(b));

const ROLLOUT = 'Rolls out the new checkout page to all customers in Europe tonight.';

describe('a text and a light edit of it are alike', () => {
  test.each([
    ['itself', ROLLOUT],
    ['another case', ROLLOUT.toUpperCase()],
    ['look-alike letters', ROLLOUT.replaceAll('o', 'о').replaceAll('e', 'е')],
    ['zero-width characters', [...ROLLOUT].join('\u200b')],
    ['digits for letters', ROLLOUT.replaceAll('eu', '3u').replace('customers', 'cust0mers')],
    ['other punctuation', `*** ${ROLLOUT.replaceAll(' ', '  ').replace('.', '!!!')}`],
    ['lines', ROLLOUT.replaceAll(' ', '\n')],
  ])('%s: the same', (_, text) => {
    expect(score(ROLLOUT, text)).toBe(1);
  });

  test.each([
    ['a typo', ROLLOUT.replace('customers', 'custmers')],
    ['an inflection', ROLLOUT.replace('Rolls', 'Rolling')],
    ['another word', ROLLOUT.replace('tonight', 'today')],
    ['a word more', `Please: ${ROLLOUT}`],
    ['a word less', ROLLOUT.replace('new ', '')],
    ['a number added', `${ROLLOUT} 8837`],
    ['two of them', ROLLOUT.replace('new', 'old').replace('tonight', 'today')],
  ])('%s: almost', (_, text) => {
    expect(score(ROLLOUT, text)).toBeGreaterThan(0.75);
    expect(score(ROLLOUT, text)).toBeLessThan(1);
  });

  test('and so are two halves that change places', () => {
    const [first, second] = [
      'The index is rebuilt from scratch.',
      'Caches are purged at every edge location.',
    ];
    expect(score(`${first} ${second}`, `${second} ${first}`)).toBeGreaterThan(0.9);
  });
});

describe('another text is not alike', () => {
  test.each([
    ['another subject', ROLLOUT, 'Fixes the login redirect loop that support reported on Monday.', 0.2],
    ['another release', 'Deploy web v1.2.3', 'Deploy web v1.2.4', 0.6],
    ['another target', 'Deploy web', 'Deploy api', 0.6],
    [
      'one template, other numbers',
      'Release 1.2.3 of web, approved in CHG-1001',
      'Release 1.2.4 of web, approved in CHG-1002',
      0.65,
    ],
    ['the other way round', 'Move users from EU to US', 'Move users from US to EU', 0.8],
    [
      'one template, another job',
      'Upgrade the payment service and migrate its database to the new schema',
      'Upgrade the search service and rebuild its index with the new analyzer',
      0.5,
    ],
    ['another number', '1.2.3', '1.2.4', 0],
    ['a number repeated', '11', '1', 0],
    ['nothing', ROLLOUT, '', 0],
    ['other symbols', '🚀', '🔥', 0],
  ])('%s', (_, a, b, most) => {
    expect(score(a, b)).toBeLessThanOrEqual(most);
  });
});

test('texts without letters and digits are alike if they are the same', () => {
  expect(score('', '')).toBe(1);
  expect(score('🚀', '🚀🚀🚀')).toBe(1);
  expect(score('🚀', '')).toBe(0);
});

const words = fc.array(
  fc.constantFrom(
    'deploy',
    'web',
    'api',
    'the',
    'a',
    'index',
    'v1.2.3',
    '42',
    'to',
    'Ill',
    'Приве́т',
    '删除',
    "don't",
  ),
  { maxLength: 12 },
);
const sentence = fc
  .tuple(words, fc.constantFrom(' ', ', ', '\n'), fc.constantFrom('', '.', '!', ' '))
  .map(([list, between, end]) => list.join(between) + end);
const text = fc.oneof(sentence, fc.string({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 40 }));

test('the score is symmetric, from 0 to 1, and 1 for the same', () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(score(a, b)).toBe(score(b, a));
      expect(score(a, b)).toBeGreaterThanOrEqual(0);
      expect(score(a, b)).toBeLessThanOrEqual(1);
      expect(score(a, a)).toBe(1);
    }),
    { seed: 0x5eed, numRuns: 3000 },
  );
});

describe('repetition never changes a score', () => {
  const times = fc.integer({ min: 2, max: 6 });

  test('of a whole text, with white space between', () => {
    fc.assert(
      fc.property(text, text, times, fc.constantFrom(' ', '\n', ' \n\t '), (a, b, count, between) => {
        const repeated = Array.from({ length: count }, () => a).join(between);
        expect(score(repeated, b)).toBe(score(a, b));
        expect(score(repeated, a)).toBe(1);
      }),
      { seed: 0x5eed, numRuns: 3000 },
    );
  });

  test('of a whole text, with nothing between', () => {
    fc.assert(
      fc.property(
        sentence.filter((a) => /\p{L}/u.test(a)),
        text,
        times,
        (a, b, count) => {
          expect(score(a.trim().repeat(count), b)).toBe(score(a, b));
          expect(score(a.trim().repeat(count), a)).toBe(1);
        },
      ),
      { seed: 0x5eed, numRuns: 3000 },
    );
  });

  test('of a part of it that came before', () => {
    fc.assert(
      fc.property(
        fc.array(sentence, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(3)),
        text,
        (parts, again, b) => {
          const more = again.map((at) => parts[at % parts.length]);
          expect(score([...parts, ...more].join('\n'), b)).toBe(score(parts.join('\n'), b));
        },
      ),
      { seed: 0x5eed, numRuns: 2000 },
    );
  });
});

test.skipIf(!haveVectors)('naughty strings are like themselves, however often', () => {
  const strings = haveVectors ? vectorJson<string[]>('naughty-strings.json') : [];
  for (const [at, a] of strings.entries()) {
    expect(score(a, `${a}\n${a}`)).toBe(1);
    const other = score(a, strings[at + 1] ?? '');
    expect(other >= 0 && other <= 1).toBe(true);
  }
});

test('what a character unfolds to is bounded', () => {
  expect(profileOf('ﷺ'.repeat(4000)).total).toBe(profileOf('ﷺ'.repeat(9)).total);
  expect(score('ﷺ '.repeat(2000), 'ﷺ')).toBe(1);
});
