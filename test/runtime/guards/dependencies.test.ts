import { expect, test } from 'vitest';
import { evaluateDependencies } from '../../../src/runtime/guards/dependencies.ts';
import type { DependencyResult } from '../../../src/runtime/guards/snapshot.ts';
import { snapshotOf } from '../../support/guard-snapshot.ts';

const fine: DependencyResult = { path: 'a.mjs', ok: true, problem: null };

test.each<[string, DependencyResult[], 'pass' | 'fail', string]>([
  ['nothing pinned', [], 'pass', '0 dependency checks passed'],
  ['all as signed', [fine, { ...fine, path: 'b.mjs' }], 'pass', '2 dependency checks passed'],
  [
    'one that differs',
    [fine, { path: 'b.mjs', ok: false, problem: 'another digest' }],
    'fail',
    'expected dependencies as signed; found "b.mjs" (another digest)',
  ],
  ['one without words', [{ path: 'b.mjs', ok: false, problem: null }], 'fail', '"b.mjs" (not as signed)'],
  [
    'many',
    Array.from({ length: 50 }, (_, index) => ({ path: `f${index}`, ok: false, problem: 'missing' })),
    'fail',
    '"f4" (missing) and 45 more',
  ],
  ['what only looks true', [{ ...fine, ok: 1 as unknown as boolean }], 'fail', '"a.mjs"'],
])('%s', (_, dependencies, verdict, words) => {
  const found = evaluateDependencies(true, snapshotOf({ dependencies }));
  expect(found).toMatchObject({ verdict, reason: expect.stringContaining(words) });
});

test('tasks that are not done are for the state machine to wait for', () => {
  expect(evaluateDependencies(true, snapshotOf({ needs: { build: false } })).verdict).toBe('pass');
});
