import { describe, expect, test } from 'vitest';
import { BUILTIN_GUARDS, type BuiltinGuard, builtinGuard } from '../../../src/manifest/guards/schema.ts';
import { evaluateBuiltin } from '../../../src/runtime/guards/builtin.ts';
import { snapshotDigest } from '../../../src/runtime/guards/snapshot.ts';
import { codeOf } from '../../support/code-of.ts';
import { NOW, snapshotOf } from '../../support/guard-snapshot.ts';

const kid = 'k'.repeat(43);

/** A snapshot that every guard below passes, and one that every guard below stops at. */
const GOOD = snapshotOf({
  keys: [{ kid, role: 'signing', createdAt: NOW }],
  approvals: [{ kid, createdAt: NOW, expiresAt: NOW + 1000, author: false }],
});
const BAD = snapshotOf({
  now: NOW + 7 * 3_600_000,
  actor: { uid: 1001, name: 'mallory' },
  env: {},
  git: null,
  usage: { starts: [NOW + 7 * 3_600_000], running: 1 },
  dependencies: [{ path: 'a', ok: false, problem: 'missing' }],
});

const GUARDS: [BuiltinGuard, 'fail' | 'defer'][] = [
  [{ changeWindow: { days: ['mon'], from: '09:00', to: '17:00', timezone: 'UTC' } }, 'defer'],
  [{ rateLimit: { max: 1, per: '1h' } }, 'defer'],
  [{ quota: { concurrent: 1 } }, 'defer'],
  [{ branch: { allow: ['main'] } }, 'fail'],
  [{ gitClean: true }, 'fail'],
  [{ actor: { allow: ['ci'] } }, 'fail'],
  [{ env: { CI: 'true' } }, 'fail'],
  [{ keyAge: { max: '45d' } }, 'fail'],
  [{ approvals: { threshold: 1 } }, 'defer'],
  [{ dependencies: true }, 'fail'],
];

describe('every guard reaches its own module', () => {
  test('the list below has each of them', () => {
    const names = BUILTIN_GUARDS.flatMap(({ shape }) => Object.keys(shape));
    expect(GUARDS.flatMap(([guard]) => Object.keys(guard))).toEqual(names);
  });
  test.each(GUARDS)('%j', (guard, stopped) => {
    const parsed = builtinGuard.parse(guard);
    expect(evaluateBuiltin(parsed, GOOD)).toMatchObject({
      verdict: 'pass',
      reason: expect.stringMatching(/./),
    });
    expect(evaluateBuiltin(parsed, BAD)).toMatchObject({
      verdict: stopped,
      reason: expect.stringMatching(/./),
    });
  });
});

test('the same question has the same answer, and changes nothing', () => {
  for (const [guard] of GUARDS) {
    for (const snapshot of [GOOD, BAD]) {
      const before = snapshotDigest(snapshot);
      expect(evaluateBuiltin(guard, snapshot)).toEqual(evaluateBuiltin(guard, structuredClone(snapshot)));
      expect(snapshotDigest(snapshot)).toBe(before);
    }
  }
});

test('what is not exactly one guard is a defect', () => {
  for (const guard of [{}, { gitClean: true, dependencies: true }, { other: true }, { toString: 1 }]) {
    expect(codeOf(() => evaluateBuiltin(guard as unknown as BuiltinGuard, GOOD))).toBe('INTERNAL');
  }
});
