import { expect, test } from 'vitest';
import { evaluateGitClean } from '../../../src/runtime/guards/git-clean.ts';
import type { GuardSnapshot } from '../../../src/runtime/guards/snapshot.ts';
import { snapshotOf } from '../../support/guard-snapshot.ts';

const commit = 'c0ffee'.padEnd(40, '0');

test.each<[string, GuardSnapshot['git'], 'pass' | 'fail', string]>([
  ['clean', { branch: 'main', commit, clean: true }, 'pass', 'the checkout is clean at c0ffee000000'],
  ['clean on a detached HEAD', { branch: null, commit, clean: true }, 'pass', 'clean at c0ffee000000'],
  ['changed', { branch: 'main', commit, clean: false }, 'fail', 'found changes or untracked files'],
  ['without a commit', { branch: 'main', commit: null, clean: true }, 'fail', 'found no commit'],
  ['no checkout', null, 'fail', 'found no git checkout'],
])('%s', (_, git, verdict, words) => {
  const found = evaluateGitClean(true, snapshotOf({ git }));
  expect(found).toMatchObject({ verdict, reason: expect.stringContaining(words) });
});

test('says why git could not say', () => {
  const snapshot = snapshotOf({ git: null, gitProblem: 'found no git on PATH' });
  expect(evaluateGitClean(true, snapshot)).toEqual({
    verdict: 'fail',
    reason: 'expected a clean git checkout; found no git on PATH',
  });
});
