import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluateRateLimit } from '../../../src/runtime/guards/rate-limit.ts';
import type { GuardSnapshot } from '../../../src/runtime/guards/snapshot.ts';
import { codeOf } from '../../support/code-of.ts';
import { NOW, snapshotOf } from '../../support/guard-snapshot.ts';

const HOUR = 3_600_000;
const PER = 100;

const at = (now: number, starts: readonly number[]): GuardSnapshot =>
  snapshotOf({ now, usage: { starts, running: 0 } });
const perHundredMs = (max: number, now: number, starts: readonly number[]) =>
  evaluateRateLimit({ max, per: `${PER}ms` }, at(now, starts));

describe('a sliding window', () => {
  test.each<[string, { max: number; ago: number[]; retry: number | null }]>([
    ['no starts', { max: 1, ago: [], retry: null }],
    ['one of one', { max: 1, ago: [40], retry: 60 }],
    ['started this very millisecond', { max: 1, ago: [0], retry: 100 }],
    ['a millisecond short of the window', { max: 1, ago: [99], retry: 1 }],
    ['exactly the window ago', { max: 1, ago: [100], retry: null }],
    ['below the limit', { max: 3, ago: [10, 20], retry: null }],
    ['at the limit: the oldest leaves first', { max: 3, ago: [10, 90, 50], retry: 10 }],
    ['over the limit: as many have to leave', { max: 2, ago: [10, 90, 50, 30], retry: 70 }],
    ['twice in one millisecond', { max: 2, ago: [30, 30], retry: 70 }],
    ['long ago does not count', { max: 1, ago: [101, 5000], retry: null }],
    ['in the future, after the clock was set back', { max: 1, ago: [-50], retry: 150 }],
  ])('%s', (_, { max, ago, retry }) => {
    const verdict = perHundredMs(
      max,
      NOW,
      ago.map((ms) => NOW - ms),
    );
    if (retry === null) expect(verdict.verdict).toBe('pass');
    else expect(verdict).toMatchObject({ verdict: 'defer', retryAfterMs: retry });
  });

  test('says how much is used, and when there is room', () => {
    expect(evaluateRateLimit({ max: 1, per: '1h' }, at(NOW, [NOW - HOUR / 2])).reason).toBe(
      '1 start in 1h, at most 1; room at 2026-11-23T12:30:00Z',
    );
    expect(evaluateRateLimit({ max: 5, per: '1h' }, at(NOW, [])).reason).toBe('0 starts in 1h, at most 5');
  });

  test('leaves the snapshot as it was, in whatever order it is', () => {
    const starts = [NOW - 10, NOW - 90, NOW - 50];
    perHundredMs(1, NOW, starts);
    expect(starts).toEqual([NOW - 10, NOW - 90, NOW - 50]);
  });

  test('a duration or a time that is none is a defect, never room', () => {
    expect(codeOf(() => evaluateRateLimit({ max: 1, per: 'soon' }, at(NOW, [])))).toBe('INTERNAL');
    expect(() => perHundredMs(1, NOW, [NaN])).toThrow();
  });
});

test('property: there is room when the deferral ends, and not one millisecond before', () => {
  const starts = fc.array(fc.integer({ min: NOW - 2 * PER, max: NOW + PER }), { maxLength: 20 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), starts, (max, started) => {
      const verdict = perHundredMs(max, NOW, started);
      fc.pre(verdict.verdict === 'defer');
      const room = NOW + verdict.retryAfterMs;
      expect(perHundredMs(max, room, started).verdict).toBe('pass');
      expect(perHundredMs(max, room - 1, started)).toMatchObject({ verdict: 'defer', retryAfterMs: 1 });
    }),
    { seed: 0x7a7e, numRuns: 2000 },
  );
});

/** What really starts when a task is attempted at these moments, one after the other. */
function startsOf(max: number, attempts: readonly number[]): number[] {
  const starts: number[] = [];
  for (const now of attempts) if (perHundredMs(max, now, starts).verdict === 'pass') starts.push(now);
  return starts;
}

test('property: never more than max starts in any window, even when the clock is turned back and forth', () => {
  const attempts = fc.array(fc.integer({ min: 0, max: 6 * PER }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), attempts, fc.boolean(), (max, moments, isSteady) => {
      const starts = startsOf(max, isSteady ? moments.toSorted((a, b) => a - b) : moments);
      for (const first of starts) {
        const inWindow = starts.filter((start) => start >= first && start < first + PER);
        expect(inWindow.length).toBeLessThanOrEqual(max);
      }
    }),
    { seed: 0x7a7e, numRuns: 1000 },
  );
});

test('property: who comes back exactly when told always starts', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 50 }), (max, rounds) => {
      const starts: number[] = [];
      let now = NOW;
      for (let round = 0; round < rounds; round += 1) {
        const verdict = perHundredMs(max, now, starts);
        if (verdict.verdict === 'defer') now += verdict.retryAfterMs;
        expect(perHundredMs(max, now, starts).verdict).toBe('pass');
        starts.push(now);
      }
      expect(now - NOW).toBe(Math.floor((rounds - 1) / max) * PER);
    }),
    { seed: 0x7a7e, numRuns: 200 },
  );
});
