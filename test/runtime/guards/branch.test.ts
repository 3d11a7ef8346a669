import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluateBranch } from '../../../src/runtime/guards/branch.ts';
import { matchesPath } from '../../../src/runtime/guards/path-pattern.ts';
import { snapshotOf } from '../../support/guard-snapshot.ts';

const on = (branch: string | null) => snapshotOf({ git: { branch, commit: 'c'.repeat(40), clean: true } });

describe('patterns', () => {
  test.each<[string, string[], string[]]>([
    ['main', ['main'], ['Main', 'main2', 'amain', 'main/x', 'x/main', '']],
    ['release/*', ['release/1', 'release/1.2-rc'], ['release', 'release/', 'release/1/2', 'xrelease/1']],
    ['release/**', ['release/1', 'release/1/2'], ['release', 'release/', 'releases/1']],
    ['**', ['main', 'a/b/c'], ['']],
    ['*', ['main'], ['a/b', '']],
    ['**/hotfix', ['hotfix', 'a/hotfix', 'a/b/hotfix'], ['hotfix/a', 'ahotfix', 'a/hotfixes']],
    ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b', 'a/b/b'], ['a', 'a/x', 'ab', 'a/xb']],
    ['a/**/b/*', ['a/b/c', 'a/b/b/c', 'a/x/b/c'], ['a/b', 'a/b/c/d']],
    ['v*.x', ['v1.x', 'v.x', 'v1.x.x'], ['v1.y', 'v1/2.x', 'v1xx']],
    ['*-*-*', ['a-b-c', '--', 'a-b-c-d'], ['a-b', '-']],
    ['a.c', ['a.c'], ['abc']],
    ['a+(b)|c$', ['a+(b)|c$'], ['ab', 'c']],
    ['ветка/*', ['ветка/1'], ['ветка']],
  ])('%s', (pattern, matching, others) => {
    for (const name of matching) expect(matchesPath(pattern, name), name).toBe(true);
    for (const name of others) expect(matchesPath(pattern, name), name).toBe(false);
  });

  test('a pattern made to explode is answered at once', () => {
    const started = performance.now();
    expect(matchesPath(`${'*a'.repeat(100)}b`, 'a'.repeat(4000))).toBe(false);
    expect(matchesPath(`${'**/a/'.repeat(50)}b`, 'a/'.repeat(2000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test('property: as the same pattern written as a regular expression', () => {
    const part = fc.oneof(
      fc.constant('**'),
      fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 4 }),
    );
    const patterns = fc
      .array(part, { minLength: 1, maxLength: 4 })
      .map((parts) => parts.map((each) => (each === '**' ? each : each.replaceAll(/\*+/g, '*'))));
    const names = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(patterns, names, (parts, name) => {
        const last = parts.length - 1;
        const source = parts
          .map((each, index) => {
            if (each === '**') return index === last ? '.+' : '(?:[^/]+/)*';
            return each.replaceAll('*', '[^/]*') + (index === last ? '' : '/');
          })
          .join('');
        expect(matchesPath(parts.join('/'), name.join('/'))).toBe(
          new RegExp(`^${source}$`).test(name.join('/')),
        );
      }),
      { seed: 0xb4a, numRuns: 3000 },
    );
  });
});

describe('the guard', () => {
  const allow = ['main', 'release/*'];
  test('passes on a branch that is allowed', () => {
    expect(evaluateBranch({ allow }, on('release/1'))).toEqual({
      verdict: 'pass',
      reason: 'branch "release/1" is allowed by release/*',
    });
  });
  test.each<[string, ReturnType<typeof on>, string]>([
    ['another branch', on('feature'), 'found "feature"'],
    ['a detached HEAD', on(null), 'found a detached HEAD'],
    ['no checkout', snapshotOf({ git: null }), 'found no git checkout'],
    ['no answer', snapshotOf({ git: null, gitProblem: 'found no git on PATH' }), 'found no git on PATH'],
    ['a name of any length', on('x'.repeat(5000)), `found "${'x'.repeat(80)}…"`],
    ['a name with control characters', on('a\u001b[2J'), 'found "a\\u001b[2J"'],
  ])('fails on %s', (_, snapshot, found) => {
    expect(evaluateBranch({ allow }, snapshot)).toEqual({
      verdict: 'fail',
      reason: `expected a branch of main, release/*; ${found}`,
    });
  });
});
