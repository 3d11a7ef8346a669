import { describe, expect, test } from 'vitest';
import { deepFreeze, type GuardSnapshot, snapshotDigest } from '../../../src/runtime/guards/snapshot.ts';
import { codeOf } from '../../support/code-of.ts';
import { snapshotOf } from '../../support/guard-snapshot.ts';

describe('deepFreeze', () => {
  test('nothing in a snapshot can be changed, at any depth', () => {
    const snapshot = snapshotOf({ usage: { starts: [1, 2], running: 0 } });
    const attempts: (() => unknown)[] = [
      () => Object.assign(snapshot, { now: 0 }),
      () => Object.assign(snapshot.project, { name: 'other' }),
      () => (snapshot.usage.starts as number[]).push(3),
      () => (snapshot.usage.starts as number[]).sort((a, b) => b - a),
      () => Object.assign(snapshot.task.metadata, { owner: 'mallory' }),
      () => Object.assign(snapshot.env, { CI: 'false' }),
      () => delete (snapshot.inputs as Record<string, string>).target,
    ];
    const before = snapshotDigest(snapshot);
    for (const attempt of attempts) expect(attempt).toThrow(TypeError);
    expect(snapshotDigest(snapshot)).toBe(before);
  });

  test('freezes what a frozen object holds', () => {
    const inner = { list: [1] };
    deepFreeze(Object.freeze({ inner }));
    expect(() => inner.list.push(2)).toThrow(TypeError);
  });

  test('takes cycles and depth', () => {
    const cycle: { self?: object } = {};
    cycle.self = cycle;
    expect(Object.isFrozen(deepFreeze(cycle))).toBe(true);
    let deep: object = {};
    for (let level = 0; level < 100_000; level += 1) deep = { deep };
    expect(Object.isFrozen(deepFreeze(deep))).toBe(true);
  });

  test.each<[string, unknown]>([
    ['a Map', new Map()],
    ['a Date', new Date(0)],
    ['bytes', new Uint8Array(1)],
    ['a function', () => 1],
    ['a getter', Object.defineProperty({}, 'now', { get: () => 1 })],
    ['a symbol', { [Symbol('x')]: 1 }],
  ])('refuses %s', (_, value) => {
    expect(codeOf(() => deepFreeze({ value }))).toBe('INTERNAL');
  });
});

describe('snapshotDigest', () => {
  test('depends on every part, and not on the order of keys', () => {
    const base = snapshotOf();
    const reordered = Object.fromEntries(Object.entries(base).reverse()) as unknown as GuardSnapshot;
    expect(snapshotDigest(base)).toMatch(/^[0-9a-f]{64}$/);
    expect(snapshotDigest(reordered)).toBe(snapshotDigest(base));
    const others = [
      snapshotOf({ now: base.now + 1 }),
      snapshotOf({ phase: 'spawn' }),
      snapshotOf({ git: null }),
      snapshotOf({ gitProblem: 'found no git on PATH' }),
      snapshotOf({ env: {} }),
      snapshotOf({ needs: { build: false } }),
      snapshotOf({ usage: { starts: [1], running: 0 } }),
    ];
    expect(new Set([base, ...others].map(snapshotDigest)).size).toBe(others.length + 1);
  });

  test('refuses what is not JSON', () => {
    expect(codeOf(() => snapshotDigest({ ...snapshotOf(), now: NaN }))).toBe('INTERNAL');
  });
});
