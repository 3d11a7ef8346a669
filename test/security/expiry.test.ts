import { expect, test } from 'vitest';
import { isExpired } from '../../src/security/expiry.ts';

const END = Date.UTC(2026, 0, 15, 12);

test.each([
  [END - 1, false],
  [END, true],
  [END + 1, true],
  [Number.NaN, true],
])('a key has expired from its last moment on: at %d, %s', (now, expired) => {
  expect(isExpired({ expiresAt: END }, now)).toBe(expired);
  expect(isExpired({ expiresAt: undefined }, now)).toBe(false);
});
