import { describe, expect, test } from 'vitest';
import type { Database } from '../../src/store/database.ts';
import { countUse, type LimitVerdict } from '../../src/store/limits.ts';
import { testContext } from '../support/context.ts';
import { temporaryStore } from '../support/store.ts';
import { runWorkers } from '../support/workers.ts';

const START = Date.UTC(2026, 0, 15, 12);
const LIMIT = { bucket: 'cancel:uid:1000', max: 10, windowMs: 60_000 };

function setUp() {
  const database = temporaryStore(testContext('limits'));
  const use = (at: number, limit = LIMIT): LimitVerdict =>
    database.write(() => countUse(database, limit, START + at));
  return { database, use };
}

const allowed = (remaining: number) => ({ allowed: true, remaining });
const refused = (retryAfterSeconds: number) => ({ allowed: false, retryAfterSeconds });

describe('a sliding window', () => {
  test('counts ten, refuses the eleventh, and says how long until the first is a window old', () => {
    const { use } = setUp();
    for (let count = 0; count < 10; count++) expect(use(count * 1000)).toEqual(allowed(9 - count));
    expect(use(10_000)).toEqual(refused(50));
    expect(use(10_001)).toEqual(refused(50));
    expect(use(11_000)).toEqual(refused(49));
    expect(use(59_001)).toEqual(refused(1));
    expect(use(59_999)).toEqual(refused(1));
  });

  test('has its edge exactly a window after the use that is to go', () => {
    const { use } = setUp();
    for (let count = 0; count < 10; count++) use(count);
    expect(use(59_999)).toEqual(refused(1));
    // One place is free at 60.000 s, the next a millisecond later: it slides, it does not start anew.
    expect(use(60_000)).toEqual(allowed(0));
    expect(use(60_000)).toEqual(refused(1));
    expect(use(60_001)).toEqual(allowed(0));
    expect(use(60_001)).toEqual(refused(1));
  });

  test('what it says to wait is enough, and not a second more than needed', () => {
    const { use } = setUp();
    const times = [0, 100, 250, 1000, 1001, 5000, 20_000, 20_000, 30_500, 30_750];
    for (const at of times) use(at);
    for (const at of [30_751, 31_000, 45_678, 59_000, 59_001]) {
      const verdict = use(at);
      if (verdict.allowed) throw new Error(`allowed at ${at}`);
      const then = at + verdict.retryAfterSeconds * 1000;
      expect(then).toBeGreaterThanOrEqual(60_000);
      expect(then).toBeLessThan(61_000);
    }
    expect(use(60_000)).toEqual(allowed(0));
  });

  test('a refused use is not counted, so asking on does not prolong the wait', () => {
    const { use } = setUp();
    for (let count = 0; count < 10; count++) use(0);
    for (let at = 1; at < 60_000; at += 999) expect(use(at).allowed).toBe(false);
    expect(use(60_000)).toEqual(allowed(9));
  });

  test('each bucket has its own', () => {
    const { use } = setUp();
    for (let count = 0; count < 10; count++) use(0);
    expect(use(0, { ...LIMIT, bucket: 'cancel:uid:1001' })).toEqual(allowed(9));
    expect(use(0)).toEqual(refused(60));
  });

  test('a smaller maximum takes in what was counted under a larger one', () => {
    const { use } = setUp();
    for (let count = 0; count < 6; count++) use(count * 10_000);
    // Three of the six must be gone before one of three places is free.
    expect(use(55_000, { ...LIMIT, max: 3 })).toEqual(refused(35));
    expect(use(90_000, { ...LIMIT, max: 3 })).toEqual(allowed(0));
  });
});

describe('a clock that is set', () => {
  test('back does not unlock anything', () => {
    const { use } = setUp();
    for (let count = 0; count < 10; count++) use(count);
    for (const back of [1, 60_000, 3_600_000, 365 * 86_400_000]) {
      expect(use(-back)).toEqual(refused(60));
    }
  });

  test('back does not lock for longer than a window either', () => {
    const { use } = setUp();
    for (let count = 0; count < 10; count++) use(count);
    expect(use(-3_600_000)).toEqual(refused(60));
    expect(use(-3_600_000 + 59_999)).toEqual(refused(1));
    expect(use(-3_600_000 + 60_000)).toEqual(allowed(9));
  });

  test('back and forth by turns gives no extra place', () => {
    const { use } = setUp();
    for (let count = 0; count < 10; count++) use(0);
    for (let round = 0; round < 50; round++) {
      expect(use(round % 2 === 0 ? -1000 * round : 500).allowed).toBe(false);
    }
  });
});

test('the count is in the store, and there no longer than the longest window could need it', () => {
  const { database, use } = setUp();
  for (let count = 0; count < 10; count++) use(0);
  expect(rows(database)).toBe(10);
  expect(use(61_000)).toEqual(allowed(9));
  use(26 * 86_400_000);
  expect(rows(database)).toBe(1);
});

test('a use under a short window does not take the others out of a long one', () => {
  const { use } = setUp();
  const hour = { ...LIMIT, windowMs: 3_600_000 };
  for (let count = 0; count < 9; count++) use(0, hour);
  expect(use(61_000)).toEqual(allowed(9));
  expect(use(61_000, hour)).toEqual(refused(3539));
});

test('of eighty uses by eight processes at once ten are counted', async () => {
  const { database } = setUp();
  const jobs = Array.from({ length: 8 }, () => ['use', database.directory, '10']);
  const counted = (await runWorkers(jobs)).map(Number);
  expect(counted.reduce((sum, count) => sum + count, 0)).toBe(10);
});

function rows(database: Database): number {
  return Number(database.prepare('SELECT count(*) AS n FROM limit_uses').get()?.n);
}
