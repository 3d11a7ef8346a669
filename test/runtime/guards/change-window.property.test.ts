import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChangeWindow } from '../../../src/manifest/guards/schema.ts';
import { evaluateChangeWindow } from '../../../src/runtime/guards/change-window.ts';
import { at } from '../../support/guard-snapshot.ts';

const MINUTE = 60_000;
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

/** Changes of the clock, in the zones that do it in unusual ways, and some that never do. */
const CHANGES = [
  ['Europe/Berlin', '2026-03-29T01:00:00Z'],
  ['Europe/Berlin', '2026-10-25T01:00:00Z'],
  ['America/New_York', '2026-03-08T07:00:00Z'],
  ['America/New_York', '2026-11-01T06:00:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
  ['Africa/Cairo', '2026-04-23T22:00:00Z'],
  ['Africa/Cairo', '2026-10-29T21:00:00Z'],
  ['America/Santiago', '2026-04-05T03:00:00Z'],
  ['America/Havana', '2026-11-01T05:00:00Z'],
  ['America/St_Johns', '2006-10-29T02:31:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00:00Z'],
  ['Antarctica/Troll', '2026-03-29T01:00:00Z'],
  ['Asia/Kathmandu', '2026-02-28T18:15:00Z'],
  ['UTC', '2028-02-29T00:00:00Z'],
] as const;

const timeOfDay = fc
  .integer({ min: 0, max: 1439 })
  .map(
    (minute) => `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`,
  );

/** A window, and a moment in the days before and after a change of the clock. */
const cases = fc
  .record({
    change: fc.constantFrom(...CHANGES),
    days: fc.uniqueArray(fc.constantFrom(...DAYS), { minLength: 1 }),
    // Near the change as often as anywhere.
    from: fc.oneof(timeOfDay, fc.constantFrom('00:00', '01:30', '02:00', '02:15', '02:30', '03:00', '23:30')),
    to: fc.oneof(timeOfDay, fc.constantFrom('24:00', '00:00', '02:00', '02:30', '02:45', '03:00', '04:00')),
    offset: fc.integer({ min: -3 * 24 * 60 * MINUTE, max: 3 * 24 * 60 * MINUTE }),
  })
  .filter(({ from, to }) => from !== to)
  .map(({ change: [timezone, moment], offset, days, from, to }) => ({
    config: { days, from, to, timezone } satisfies ChangeWindow,
    now: Date.parse(moment) + offset,
  }));

/** The definition, told another way: by what the platform prints. */
function isOpen({ days, from, to, timezone }: ChangeWindow, now: number): boolean {
  const [weekday = '', time = ''] = printed(timezone).format(now).toLowerCase().split(' ');
  const listed: readonly string[] = days;
  const week: readonly string[] = DAYS;
  const day = listed.includes(weekday);
  const dayBefore = listed.includes(week[(week.indexOf(weekday) + 6) % 7] ?? '');
  return from < to ? day && from <= time && time < to : (day && from <= time) || (dayBefore && time < to);
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** `Sun 02:30` */
function printed(timeZone: string): Intl.DateTimeFormat {
  const format =
    formats.get(timeZone) ??
    new Intl.DateTimeFormat('en-US', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
  formats.set(timeZone, format);
  return format;
}

test('property: open exactly when the wall clock says so', () => {
  fc.assert(
    fc.property(cases, ({ config, now }) => {
      const { verdict, reason } = evaluateChangeWindow(config, at(now));
      expect(verdict === 'pass', reason).toBe(isOpen(config, now));
    }),
    { seed: 0xc10c, numRuns: 3000 },
  );
});

test('property: it opens when the deferral ends, and one millisecond before it is still closed', () => {
  fc.assert(
    fc.property(cases, ({ config, now }) => {
      const verdict = evaluateChangeWindow(config, at(now));
      fc.pre(verdict.verdict === 'defer');
      const opens = now + verdict.retryAfterMs;
      expect(isOpen(config, opens), verdict.reason).toBe(true);
      expect(isOpen(config, opens - 1), verdict.reason).toBe(false);
      expect(evaluateChangeWindow(config, at(opens)).verdict).toBe('pass');
      expect(evaluateChangeWindow(config, at(opens - 1))).toMatchObject({
        verdict: 'defer',
        retryAfterMs: 1,
      });
      expect(verdict.retryAfterMs).toBeLessThanOrEqual(15 * 24 * 60 * MINUTE);
    }),
    { seed: 0xc10c, numRuns: 2000 },
  );
});

test('property: no minute before the end of a deferral is open', () => {
  fc.assert(
    fc.property(cases, ({ config, now }) => {
      const verdict = evaluateChangeWindow(config, at(now));
      fc.pre(verdict.verdict === 'defer');
      // Clocks change at whole minutes, so looking at each of them misses no opening.
      const first = Math.ceil(now / MINUTE) * MINUTE;
      for (let minute = first; minute < now + verdict.retryAfterMs; minute += MINUTE) {
        if (isOpen(config, minute))
          expect.fail(`open at ${new Date(minute).toISOString()}: ${verdict.reason}`);
      }
    }),
    { seed: 0xbeef, numRuns: 150 },
  );
});
