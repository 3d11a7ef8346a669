import { expect, test } from 'vitest';
import { evaluateKeyAge } from '../../../src/runtime/guards/key-age.ts';
import { NOW, snapshotOf } from '../../support/guard-snapshot.ts';

const DAY = 24 * 3_600_000;
const keysOfAge = (...ages: number[]) =>
  snapshotOf({
    keys: ages.map((age, index) => ({ kid: `key${index}`, role: 'signing', createdAt: NOW - age })),
  });

test.each<[string, number[], 'pass' | 'fail']>([
  ['young', [DAY], 'pass'],
  ['new', [0], 'pass'],
  ['exactly as old as it may be', [45 * DAY], 'pass'],
  ['a millisecond older', [45 * DAY + 1], 'fail'],
  ['one of several too old', [DAY, 46 * DAY, 2 * DAY], 'fail'],
  ['no key at all', [], 'fail'],
  ['made by a clock that is 30 s ahead', [-30_000], 'pass'],
  ['from the future', [-30_001], 'fail'],
  ['of no known age', [NaN], 'fail'],
])('%s: %j', (_, ages, verdict) => {
  expect(evaluateKeyAge({ max: '45d' }, keysOfAge(...ages)).verdict).toBe(verdict);
});

test('names the keys, their ages and the way out', () => {
  expect(evaluateKeyAge({ max: '45d' }, keysOfAge(DAY, 50 * DAY)).reason).toBe(
    'expected keys of at most 45d; found signing key key1 is 50d 00h old; renew with: ax keys rotate',
  );
});
