import { describe, expect, test } from 'vitest';
import { builtinGuard, type ChangeWindow } from '../../../src/manifest/guards/schema.ts';
import { evaluateChangeWindow } from '../../../src/runtime/guards/change-window.ts';
import { at } from '../../support/guard-snapshot.ts';

const ALL = 'mon tue wed thu fri sat sun';

/** `mon tue 09:00-17:00 Europe/Berlin`, as the schema reads it. */
function windowOf(text: string): ChangeWindow {
  const words = text.trim().split(/\s+/);
  const [timezone, hours] = [words.pop(), words.pop()];
  const [from, to] = hours?.split('-') ?? [];
  const guard = builtinGuard.parse({ changeWindow: { days: words, from, to, timezone } });
  if (!('changeWindow' in guard)) throw new Error('expected a change window');
  return guard.changeWindow;
}

/** What each line says: a window, a moment, and `inside` or the next opening. */
function holds(table: string): void {
  for (const line of table.trim().split('\n')) {
    const [window = '', now = '', expected = ''] = line.split('|').map((cell) => cell.trim());
    test(line.replaceAll(/\s+/g, ' ').trim(), () => {
      const verdict = evaluateChangeWindow(windowOf(window), at(now));
      if (expected === 'inside') {
        expect(verdict.verdict, verdict.reason).toBe('pass');
      } else {
        expect(verdict).toMatchObject({
          verdict: 'defer',
          reason: expect.stringMatching(`; opens at ${expected}$`),
          retryAfterMs: Date.parse(expected) - Date.parse(now),
        });
      }
    });
  }
}

describe('edges: from is included, to is not', () => {
  holds(`
    mon 09:00-17:00 UTC | 2026-11-23T08:59:59.999Z | 2026-11-23T09:00:00Z
    mon 09:00-17:00 UTC | 2026-11-23T09:00:00.000Z | inside
    mon 09:00-17:00 UTC | 2026-11-23T16:59:59.999Z | inside
    mon 09:00-17:00 UTC | 2026-11-23T17:00:00.000Z | 2026-11-30T09:00:00Z
    mon 00:00-24:00 UTC | 2026-11-22T23:59:59.999Z | 2026-11-23T00:00:00Z
    mon 00:00-24:00 UTC | 2026-11-23T00:00:00.000Z | inside
    mon 00:00-24:00 UTC | 2026-11-23T23:59:59.999Z | inside
    mon 00:00-24:00 UTC | 2026-11-24T00:00:00.000Z | 2026-11-30T00:00:00Z
    ${ALL} 00:00-24:00 UTC | 2026-11-24T00:00:00.000Z | inside
    mon 23:59-24:00 UTC | 2026-11-23T23:59:00.000Z | inside
    mon 12:00-12:01 UTC | 2026-11-23T12:01:00.000Z | 2026-11-30T12:00:00Z
  `);
});

describe('days are those of the zone', () => {
  holds(`
    mon tue wed thu 09:00-17:00 Europe/Berlin   | 2026-11-20T12:00:00Z | 2026-11-23T08:00:00Z
    mon tue wed thu 09:00-17:00 Europe/Berlin   | 2026-11-23T08:00:00Z | inside
    mon 00:00-01:00             Asia/Kathmandu  | 2026-11-22T18:14:59Z | 2026-11-22T18:15:00Z
    mon 00:00-01:00             Asia/Kathmandu  | 2026-11-22T18:15:00Z | inside
    mon 00:00-01:00             Asia/Kathmandu  | 2026-11-22T19:15:00Z | 2026-11-29T18:15:00Z
    mon 09:00-10:00             Pacific/Kiritimati | 2026-11-22T19:00:00Z | inside
    mon 09:00-10:00             Pacific/Pago_Pago  | 2026-11-23T20:30:00Z | inside
    wed 09:00-10:00             America/New_York | 2026-11-23T12:00:00Z | 2026-11-25T14:00:00Z
    sat sun 10:00-12:00         UTC              | 2026-12-31T23:00:00Z | 2027-01-02T10:00:00Z
  `);
});

describe('over midnight: the window belongs to the day it starts on', () => {
  holds(`
    fri 22:00-06:00 UTC         | 2026-11-27T21:59:59.999Z | 2026-11-27T22:00:00Z
    fri 22:00-06:00 UTC         | 2026-11-27T22:00:00Z     | inside
    fri 22:00-06:00 UTC         | 2026-11-28T05:59:59.999Z | inside
    fri 22:00-06:00 UTC         | 2026-11-28T06:00:00Z     | 2026-12-04T22:00:00Z
    fri 22:00-06:00 UTC         | 2026-11-27T05:00:00Z     | 2026-11-27T22:00:00Z
    fri 22:00-00:00 UTC         | 2026-11-27T23:59:59.999Z | inside
    fri 22:00-00:00 UTC         | 2026-11-28T00:00:00Z     | 2026-12-04T22:00:00Z
    sun 22:00-06:00 UTC         | 2026-11-23T03:00:00Z     | inside
    sat 22:00-06:00 UTC         | 2026-11-23T03:00:00Z     | 2026-11-28T22:00:00Z
    fri sat 18:00-17:59 UTC     | 2026-11-28T17:59:00Z     | 2026-11-28T18:00:00Z
    thu fri 22:00-06:00 UTC     | 2026-11-27T06:00:00Z     | 2026-11-27T22:00:00Z
  `);
});

describe('29 February and the turn of the year', () => {
  holds(`
    tue 09:00-17:00 UTC         | 2028-02-28T18:00:00Z | 2028-02-29T09:00:00Z
    tue 22:00-06:00 UTC         | 2028-03-01T05:00:00Z | inside
    wed 09:00-17:00 UTC         | 2028-02-29T17:00:00Z | 2028-03-01T09:00:00Z
    mon 09:00-17:00 UTC         | 2027-02-28T18:00:00Z | 2027-03-01T09:00:00Z
    thu 22:00-06:00 UTC         | 2027-01-01T05:59:59Z | inside
  `);
});

describe('Europe/Berlin, 2026-03-29: 02:00 to 03:00 does not exist', () => {
  holds(`
    sun 09:00-17:00 Europe/Berlin | 2026-03-28T20:00:00Z     | 2026-03-29T07:00:00Z
    sun 02:30-04:00 Europe/Berlin | 2026-03-29T00:59:59.999Z | 2026-03-29T01:00:00Z
    sun 02:30-04:00 Europe/Berlin | 2026-03-29T01:00:00Z     | inside
    sun 02:30-04:00 Europe/Berlin | 2026-03-29T01:59:59.999Z | inside
    sun 02:30-04:00 Europe/Berlin | 2026-03-29T02:00:00Z     | 2026-04-05T00:30:00Z
    sun 02:15-02:45 Europe/Berlin | 2026-03-29T00:00:00Z     | 2026-04-05T00:15:00Z
    sun 01:00-02:30 Europe/Berlin | 2026-03-29T00:59:59.999Z | inside
    sun 01:00-02:30 Europe/Berlin | 2026-03-29T01:00:00Z     | 2026-04-04T23:00:00Z
    sat 22:00-02:30 Europe/Berlin | 2026-03-29T01:00:00Z     | 2026-04-04T20:00:00Z
    sun 02:00-03:00 Europe/Berlin | 2026-03-23T12:00:00Z     | 2026-04-05T00:00:00Z
  `);
});

describe('Europe/Berlin, 2026-10-25: 02:00 to 03:00 comes twice', () => {
  holds(`
    sun 09:00-17:00 Europe/Berlin | 2026-10-24T20:00:00Z     | 2026-10-25T08:00:00Z
    sun 02:00-03:00 Europe/Berlin | 2026-10-24T23:59:59.999Z | 2026-10-25T00:00:00Z
    sun 02:00-03:00 Europe/Berlin | 2026-10-25T00:30:00Z     | inside
    sun 02:00-03:00 Europe/Berlin | 2026-10-25T01:30:00Z     | inside
    sun 02:00-03:00 Europe/Berlin | 2026-10-25T02:00:00Z     | 2026-11-01T01:00:00Z
    sun 02:15-02:45 Europe/Berlin | 2026-10-25T00:45:00Z     | 2026-10-25T01:15:00Z
    sun 02:15-02:45 Europe/Berlin | 2026-10-25T01:15:00Z     | inside
    sun 02:15-02:45 Europe/Berlin | 2026-10-25T01:45:00Z     | 2026-11-01T01:15:00Z
    sat 22:00-02:30 Europe/Berlin | 2026-10-25T00:30:00Z     | 2026-10-25T01:00:00Z
    sat 22:00-02:30 Europe/Berlin | 2026-10-25T01:29:59.999Z | inside
    sun 03:00-04:00 Europe/Berlin | 2026-10-25T00:00:00Z     | 2026-10-25T02:00:00Z
  `);
});

describe('America/New_York, 2026-03-08 and 2026-11-01', () => {
  holds(`
    sun 02:30-03:30 America/New_York | 2026-03-08T06:59:59.999Z | 2026-03-08T07:00:00Z
    sun 02:30-03:30 America/New_York | 2026-03-08T07:29:59.999Z | inside
    sun 02:30-03:30 America/New_York | 2026-03-08T07:30:00Z     | 2026-03-15T06:30:00Z
    mon 09:00-17:00 America/New_York | 2026-03-06T22:00:00Z     | 2026-03-09T13:00:00Z
    sun 01:30-02:00 America/New_York | 2026-11-01T05:00:00Z     | 2026-11-01T05:30:00Z
    sun 01:30-02:00 America/New_York | 2026-11-01T06:00:00Z     | 2026-11-01T06:30:00Z
    mon 09:00-17:00 America/New_York | 2026-10-30T22:00:00Z     | 2026-11-02T14:00:00Z
  `);
});

describe('Australia/Lord_Howe changes by half an hour: 2026-04-05 and 2026-10-04', () => {
  holds(`
    sun 01:45-02:00 Australia/Lord_Howe | 2026-04-04T14:45:00Z     | inside
    sun 01:45-02:00 Australia/Lord_Howe | 2026-04-04T15:00:00Z     | 2026-04-04T15:15:00Z
    sun 01:45-02:00 Australia/Lord_Howe | 2026-04-04T15:30:00Z     | 2026-04-11T15:15:00Z
    sun 02:15-03:00 Australia/Lord_Howe | 2026-10-03T15:29:59.999Z | 2026-10-03T15:30:00Z
    sun 02:15-03:00 Australia/Lord_Howe | 2026-10-03T15:59:59.999Z | inside
    sun 02:00-02:30 Australia/Lord_Howe | 2026-10-03T15:00:00Z     | 2026-10-10T15:00:00Z
  `);
});

describe('midnight that does not exist, and a day that does not', () => {
  // Cairo puts its clocks forward at midnight; Samoa went from Thursday to Saturday, 2011-12-29 to 31.
  holds(`
    fri 00:00-02:00 Africa/Cairo | 2026-04-23T21:59:59.999Z | 2026-04-23T22:00:00Z
    fri 00:00-01:00 Africa/Cairo | 2026-04-23T22:00:00Z     | 2026-04-30T21:00:00Z
    fri 09:00-17:00 Pacific/Apia | 2011-12-30T09:00:00Z     | 2012-01-05T19:00:00Z
    thu 22:00-06:00 Pacific/Apia | 2011-12-30T10:00:00Z     | 2012-01-05T08:00:00Z
    fri 22:00-06:00 Pacific/Apia | 2011-12-30T09:59:59Z     | 2011-12-30T10:00:00Z
    fri 22:00-06:00 Pacific/Apia | 2011-12-30T15:59:59Z     | inside
  `);
});

describe('the reason', () => {
  const outside = (window: string) =>
    evaluateChangeWindow(windowOf(window), at('2026-11-22T12:00:00Z')).reason;
  test('names the window and its next opening', () => {
    expect(outside('mon tue wed thu 09:00-17:00 Europe/Berlin')).toBe(
      'outside Mon–Thu 09:00–17:00 Europe/Berlin; opens at 2026-11-23T08:00:00Z',
    );
  });
  test.each([
    ['sat 09:00-10:00 UTC', 'outside Sat 09:00–10:00 UTC;'],
    ['sun sat 09:00-10:00 UTC', 'outside Sat, Sun 09:00–10:00 UTC;'],
    ['wed mon 09:00-10:00 UTC', 'outside Mon, Wed 09:00–10:00 UTC;'],
    ['mon fri sat sun 09:00-10:00 UTC', 'outside Mon, Fri–Sun 09:00–10:00 UTC;'],
    [`${ALL} 09:00-10:00 UTC`, 'outside Mon–Sun 09:00–10:00 UTC;'],
  ])('%s', (window, words) => {
    expect(outside(window)).toContain(words);
  });
  test('inside, the window alone', () => {
    expect(evaluateChangeWindow(windowOf('mon 09:00-17:00 UTC'), at('2026-11-23T12:00:00Z'))).toEqual({
      verdict: 'pass',
      reason: 'inside Mon 09:00–17:00 UTC',
    });
  });
});
