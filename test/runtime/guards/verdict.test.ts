import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combine, defer, fail, pass, type Verdict } from '../../../src/runtime/guards/verdict.ts';
import { codeOf } from '../../support/code-of.ts';

const RUNS = { seed: 0x6d, numRuns: 500 };

describe('combine', () => {
  test.each<[string, Verdict[], Verdict]>([
    ['nothing passes', [], pass('no guards')],
    ['passes pass', [pass('a'), pass('b')], pass('a; b')],
    ['Defer beats Pass', [pass('a'), defer('b', 5)], defer('b', 5)],
    ['Fail beats Defer', [defer('b', 5), fail('c'), pass('a')], fail('c')],
    ['the longest deferral counts', [defer('a', 5), defer('b', 900), defer('c', 7)], defer('a; b; c', 900)],
    ['every failure is told', [fail('a'), pass('x'), fail('b')], fail('a; b')],
  ])('%s', (_, verdicts, expected) => {
    expect(combine(verdicts)).toEqual({ ...expected, all: verdicts });
  });

  test('a word that is no verdict counts as Fail', () => {
    for (const word of ['PASS', 'allow', '', 'true', undefined]) {
      const forged = { verdict: word, reason: 'forged' } as unknown as Verdict;
      expect(combine([pass('a'), forged])).toMatchObject(fail('forged'));
    }
  });

  test('property: the order of guards changes no decision', () => {
    const verdict = fc.oneof(
      fc.constant(pass('p')),
      fc.constant(fail('f')),
      fc.integer({ min: 1, max: 1e6 }).map((ms) => defer('d', ms)),
    );
    fc.assert(
      fc.property(fc.array(verdict, { maxLength: 8 }), (verdicts) => {
        const forward = combine(verdicts);
        const backward = combine(verdicts.toReversed());
        expect(backward.verdict).toBe(forward.verdict);
        expect({ ...backward, all: 0, reason: 0 }).toEqual({ ...forward, all: 0, reason: 0 });
        expect(forward.verdict === 'fail').toBe(verdicts.some((each) => each.verdict === 'fail'));
        expect(forward.verdict === 'pass').toBe(verdicts.every((each) => each.verdict === 'pass'));
      }),
      RUNS,
    );
  });
});

test('a deferral lasts a whole number of milliseconds, at least one', () => {
  for (const ms of [0, -1, 0.5, NaN, Infinity, 2 ** 53]) {
    expect(
      codeOf(() => defer('x', ms)),
      String(ms),
    ).toBe('INTERNAL');
  }
  expect(defer('x', 1)).toEqual({ verdict: 'defer', reason: 'x', retryAfterMs: 1 });
});
