import { describe, expect, test } from 'vitest';
import type { EnvRule } from '../../../src/manifest/guards/schema.ts';
import { evaluateEnv, variablesOf } from '../../../src/runtime/guards/env.ts';
import { snapshotOf } from '../../support/guard-snapshot.ts';

test.each<[EnvRule, Record<string, string>, 'pass' | 'fail']>([
  [{ CI: 'true' }, { CI: 'true' }, 'pass'],
  [{ CI: 'true' }, { CI: 'TRUE' }, 'fail'],
  [{ CI: 'true' }, { CI: 'true ' }, 'fail'],
  [{ CI: 'true' }, {}, 'fail'],
  [{ CI: '' }, { CI: '' }, 'pass'],
  [{ CI: '' }, {}, 'fail'],
  [{ R: { pattern: 'eu-[a-z]+' } }, { R: 'eu-west' }, 'pass'],
  [{ R: { pattern: 'eu-[a-z]+' } }, { R: 'xeu-west' }, 'fail'],
  [{ R: { pattern: 'eu-[a-z]+' } }, { R: 'eu-west\n' }, 'fail'],
  [{ R: { pattern: 'a|b' } }, { R: 'ab' }, 'fail'],
  [{ R: { pattern: '.*' } }, {}, 'fail'],
  [{ A: '1', B: '2' }, { A: '1', B: '2' }, 'pass'],
  [{ A: '1', B: '2' }, { A: '1', B: '3' }, 'fail'],
  // Names that every object seems to have.
  [{ constructor: { pattern: '[^]*' } }, {}, 'fail'],
  [{ toString: { pattern: '[^]*' } }, {}, 'fail'],
])('%j and %j: %s', (rule, env, verdict) => {
  expect(evaluateEnv(rule, snapshotOf({ env })).verdict).toBe(verdict);
});

describe('the reason', () => {
  test('tells what was expected and never what was found', () => {
    const env = { TOKEN: 's3cret', REGION: 's3cret' };
    const rule = { TOKEN: 'public', REGION: { pattern: '^eu-' }, CI: 'true' };
    const { reason } = evaluateEnv(rule, snapshotOf({ env }));
    expect(reason).toBe(
      'TOKEN: expected "public", found another value, REGION: expected a match of "^eu-", found another value, ' +
        'CI: expected "true", found it unset',
    );
    expect(reason).not.toContain('s3cret');
  });
  test('a value that fits is not told either', () => {
    const rule = { TOKEN: { pattern: '.+' } };
    expect(evaluateEnv(rule, snapshotOf({ env: { TOKEN: 's3cret' } })).reason).toBe('TOKEN as expected');
  });
});

test('variablesOf names what a snapshot needs, and nothing else', () => {
  expect(variablesOf([])).toEqual([]);
  expect(
    variablesOf([{ env: { B: '1', A: '2' } }, { gitClean: true }, { env: { A: { pattern: 'x' } } }]),
  ).toEqual(['A', 'B']);
});
