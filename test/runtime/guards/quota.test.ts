import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluateQuota } from '../../../src/runtime/guards/quota.ts';
import type { GuardSnapshot } from '../../../src/runtime/guards/snapshot.ts';
import { NOW, snapshotOf } from '../../support/guard-snapshot.ts';

const HOUR = 3_600_000;

const used = (now: number, starts: readonly number[], running = 0): GuardSnapshot =>
  snapshotOf({ now, usage: { starts, running } });

describe('at once', () => {
  test.each<[number, 'pass' | 'defer']>([
    [0, 'pass'],
    [1, 'pass'],
    [2, 'defer'],
    [9, 'defer'],
  ])('%i running of 2: %s', (running, verdict) => {
    expect(evaluateQuota({ concurrent: 2 }, used(NOW, [], running)).verdict).toBe(verdict);
  });
  test('looks again after five seconds', () => {
    expect(evaluateQuota({ concurrent: 2 }, used(NOW, [], 2))).toEqual({
      verdict: 'defer',
      reason: '2 running, at most 2 at once',
      retryAfterMs: 5000,
    });
  });
});

describe('per day of the zone', () => {
  // zone | now | starts | null for room, or when the next day starts
  test.each<[string, string, string[], string | null]>([
    ['UTC', '2026-11-23T12:00:00Z', [], null],
    ['UTC', '2026-11-23T12:00:00Z', ['2026-11-23T00:00:00Z'], '2026-11-24T00:00:00Z'],
    ['UTC', '2026-11-23T12:00:00Z', ['2026-11-22T23:59:59.999Z'], null],
    ['UTC', '2026-11-23T23:59:59.999Z', ['2026-11-23T00:00:00Z'], '2026-11-24T00:00:00Z'],
    ['UTC', '2026-11-24T00:00:00Z', ['2026-11-23T23:59:59.999Z'], null],
    ['UTC', '2028-02-28T12:00:00Z', ['2028-02-28T01:00:00Z'], '2028-02-29T00:00:00Z'],
    ['UTC', '2028-02-29T12:00:00Z', ['2028-02-29T01:00:00Z'], '2028-03-01T00:00:00Z'],
    ['Asia/Kathmandu', '2026-11-23T18:14:00Z', ['2026-11-22T18:15:00Z'], '2026-11-23T18:15:00Z'],
    ['Asia/Kathmandu', '2026-11-23T18:15:00Z', ['2026-11-23T18:14:59Z'], null],
    ['America/New_York', '2026-11-23T04:00:00Z', ['2026-11-22T06:00:00Z'], '2026-11-23T05:00:00Z'],
    // Days of 23 and 25 hours, and of 23.5 and 24.5.
    ['Europe/Berlin', '2026-03-29T00:30:00Z', ['2026-03-28T23:00:00Z'], '2026-03-29T22:00:00Z'],
    ['Europe/Berlin', '2026-03-28T23:00:00Z', ['2026-03-28T22:59:59Z'], null],
    ['Europe/Berlin', '2026-10-25T22:30:00Z', ['2026-10-24T22:00:00Z'], '2026-10-25T23:00:00Z'],
    ['Australia/Lord_Howe', '2026-10-03T13:30:00Z', ['2026-10-03T13:30:00Z'], '2026-10-04T13:00:00Z'],
    ['Australia/Lord_Howe', '2026-04-05T13:00:00Z', ['2026-04-04T13:00:00Z'], '2026-04-05T13:30:00Z'],
    // Midnight is skipped: the day starts at 01:00. Midnight comes twice: it starts at the first one.
    ['Africa/Cairo', '2026-04-23T20:00:00Z', ['2026-04-23T20:00:00Z'], '2026-04-23T22:00:00Z'],
    ['America/Havana', '2026-11-01T03:59:00Z', ['2026-10-31T12:00:00Z'], '2026-11-01T04:00:00Z'],
    ['America/Havana', '2026-11-01T05:30:00Z', ['2026-11-01T04:30:00Z'], '2026-11-02T05:00:00Z'],
    // The clock was set back: a start of tomorrow counts until tomorrow is over.
    ['UTC', '2026-11-23T12:00:00Z', ['2026-11-24T01:00:00Z'], '2026-11-25T00:00:00Z'],
    ['UTC', '2026-11-23T12:00:00Z', ['2099-01-01T00:00:00Z'], '2099-01-02T00:00:00Z'],
  ])('%s at %s after %j: %s', (timezone, now, starts, opens) => {
    const verdict = evaluateQuota(
      { perDay: 1, timezone },
      used(
        Date.parse(now),
        starts.map((start) => Date.parse(start)),
      ),
    );
    if (opens === null) expect(verdict.verdict, verdict.reason).toBe('pass');
    else
      expect(verdict).toMatchObject({
        reason: `1 start today (${timezone}), at most 1; the next day starts at ${opens.replace('.000Z', 'Z')}`,
        retryAfterMs: Date.parse(opens) - Date.parse(now),
      });
  });

  test('a time that is none is never room', () => {
    expect(() => evaluateQuota({ perDay: 1 }, used(NOW, [NaN]))).toThrow(RangeError);
  });

  test('UTC unless said', () => {
    const verdict = evaluateQuota({ perDay: 2 }, used(NOW, [NOW - HOUR, NOW - 2 * HOUR, NOW - 13 * HOUR]));
    expect(verdict).toMatchObject({ verdict: 'defer', retryAfterMs: 12 * HOUR });
    expect(verdict.reason).toContain('2 starts today (UTC), at most 2');
  });
});

describe('both', () => {
  const both = { concurrent: 1, perDay: 1 };
  test('both have to hold; the longer wait counts', () => {
    expect(evaluateQuota(both, used(NOW, [], 0)).verdict).toBe('pass');
    expect(evaluateQuota(both, used(NOW, [], 1))).toMatchObject({ verdict: 'defer', retryAfterMs: 5000 });
    expect(evaluateQuota(both, used(NOW, [NOW], 0))).toMatchObject({ retryAfterMs: 12 * HOUR });
    const verdict = evaluateQuota(both, used(NOW, [NOW], 1));
    expect(verdict).toMatchObject({ verdict: 'defer', retryAfterMs: 12 * HOUR });
    expect(Object.keys(verdict).sort()).toEqual(['reason', 'retryAfterMs', 'verdict']);
  });
});

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'Africa/Cairo',
  'America/Havana',
  'Australia/Lord_Howe',
  'Asia/Kathmandu',
];

/** The calendar day as the platform prints it. */
const printedDay = (timeZone: string, moment: number): string =>
  new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' }).format(moment);

test('property: never more than perDay starts in a day, and room exactly when the deferral ends', () => {
  // Around the changes of clocks in spring and autumn.
  const begin = fc.constantFrom(
    '2026-03-07',
    '2026-03-28',
    '2026-04-04',
    '2026-04-23',
    '2026-10-03',
    '2026-10-31',
  );
  const gaps = fc.array(fc.integer({ min: 1, max: 9 * HOUR }), { minLength: 1, maxLength: 25 });
  fc.assert(
    fc.property(
      fc.constantFrom(...ZONES),
      fc.integer({ min: 1, max: 4 }),
      begin,
      gaps,
      (timezone, perDay, day, waits) => {
        const config = { perDay, timezone };
        const starts: number[] = [];
        let now = Date.parse(`${day}T00:00:00Z`);
        for (const wait of waits) {
          now += wait;
          const verdict = evaluateQuota(config, used(now, starts));
          if (verdict.verdict === 'defer') {
            const room = now + verdict.retryAfterMs;
            expect(evaluateQuota(config, used(room, starts)).verdict).toBe('pass');
            expect(evaluateQuota(config, used(room - 1, starts))).toMatchObject({ retryAfterMs: 1 });
          } else {
            starts.push(now);
          }
        }
        const perDayOf = Map.groupBy(starts, (start) => printedDay(timezone, start));
        for (const [, those] of perDayOf) expect(those.length).toBeLessThanOrEqual(perDay);
      },
    ),
    { seed: 0xda7, numRuns: 150 },
  );
});
