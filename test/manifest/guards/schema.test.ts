import { describe, expect, test } from 'vitest';
import * as z from 'zod/mini';
// Sets the language of zod's messages, as it is set wherever guards are read.
import '../../../src/manifest/schema.ts';
import { guardKeys } from '../../../src/manifest/guards/guard.ts';
import { oneGuardOf } from '../../../src/manifest/guards/one-guard.ts';
import { BUILTIN_GUARDS, builtinGuard } from '../../../src/manifest/guards/schema.ts';

const KID = 'k'.repeat(43);
const WINDOW = { days: ['mon'], from: '09:00', to: '17:00', timezone: 'Europe/Berlin' };

const problemsOf = (guard: unknown): string[] =>
  (builtinGuard.safeParse(guard).error?.issues ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

describe('accepts', () => {
  test.each<[object]>([
    [{ changeWindow: WINDOW }],
    [{ changeWindow: { ...WINDOW, from: '22:00', to: '06:00' } }],
    [{ changeWindow: { ...WINDOW, from: '00:00', to: '24:00', timezone: 'UTC' } }],
    [{ changeWindow: { ...WINDOW, timezone: 'America/Argentina/Buenos_Aires' } }],
    [{ rateLimit: { max: 5, per: '1h' } }],
    [{ quota: { concurrent: 1 } }],
    [{ quota: { perDay: 3, timezone: 'Asia/Kathmandu' } }],
    [{ branch: { allow: ['main', 'release/*', 'team/**', '**/hotfix', 'v*.x', '**'] } }],
    [{ gitClean: true }],
    [{ actor: { allow: ['ci', 'uid:0', 'uid:1000', '_www', 'host$', 'ana@corp', 'Łukasz'] } }],
    [{ env: { CI: 'true', EMPTY: '', REGION: { pattern: '^eu-[a-z]+$' } } }],
    [{ keyAge: { max: '45d' } }],
    [{ approvals: { threshold: 1 } }],
    [{ approvals: { threshold: 1, keys: [KID], notAuthor: true, expires: '24h' } }],
    [{ dependencies: true }],
  ])('%j', (guard) => {
    expect(builtinGuard.parse(guard)).toEqual(guard);
  });
});

describe('refuses', () => {
  const known = BUILTIN_GUARDS.flatMap(({ shape }) => Object.keys(shape)).join(', ');
  test.each<[unknown, string]>([
    [{ changeWindow: { ...WINDOW, days: [] } }, 'changeWindow.days: expected at least one entry'],
    [{ changeWindow: { ...WINDOW, days: ['mon', 'mon'] } }, 'changeWindow.days: expected each entry once'],
    [{ changeWindow: { ...WINDOW, days: ['Mon'] } }, ': changeWindow.days.0 (expected one of'],
    [{ changeWindow: { ...WINDOW, from: 540 } }, ': changeWindow.from (expected string, received number)'],
    [{ changeWindow: { ...WINDOW, from: '9:00' } }, 'changeWindow.from: expected a time of day'],
    [{ changeWindow: { ...WINDOW, from: '24:00' } }, 'changeWindow.from: expected a time of day'],
    [{ changeWindow: { ...WINDOW, to: '24:01' } }, 'changeWindow.to: expected a time of day'],
    [{ changeWindow: { ...WINDOW, to: '17:60' } }, 'changeWindow.to: expected a time of day'],
    [{ changeWindow: { ...WINDOW, to: '09:00' } }, 'changeWindow: expected from and to to differ'],
    [
      { changeWindow: { ...WINDOW, timezone: 'Mars/Olympus' } },
      'changeWindow.timezone: expected a time zone that',
    ],
    [{ changeWindow: { ...WINDOW, timezone: '+01:00' } }, 'changeWindow.timezone: expected a time zone'],
    [{ changeWindow: { ...WINDOW, timezone: '' } }, 'changeWindow.timezone: expected a time zone'],
    [{ changeWindow: { ...WINDOW, until: '18:00' } }, 'changeWindow: Unrecognized key: "until"'],
    [{ rateLimit: { max: 0, per: '1h' } }, 'rateLimit.max: expected at least 1'],
    [{ rateLimit: { max: 1.5, per: '1h' } }, ': rateLimit.max (expected int'],
    [{ rateLimit: { max: 5, per: '1 hour' } }, 'rateLimit.per: expected a duration'],
    [
      { rateLimit: { max: 5, per: '26d' } },
      'rateLimit.per: expected at most 25d, as far as the store remembers',
    ],
    [{ rateLimit: { max: 10_001, per: '1h' } }, 'rateLimit.max: expected at most 10000'],
    [{ keyAge: { max: '3651d' } }, 'keyAge.max: expected at most 3650d'],
    [{ rateLimit: { max: 5 } }, ': rateLimit.per (expected string'],
    [{ quota: {} }, 'quota: expected concurrent or perDay'],
    [{ quota: { concurrent: 1, timezone: 'UTC' } }, 'quota: expected a timezone only with perDay'],
    [{ branch: { allow: [] } }, 'branch.allow: expected at least one entry'],
    [{ branch: { allow: ['release-**'] } }, 'branch.allow.0: expected ** between slashes'],
    [{ branch: { allow: ['**x/y'] } }, 'branch.allow.0: expected ** between slashes'],
    [{ branch: { allow: ['a/***/b'] } }, 'branch.allow.0: expected ** between slashes'],
    ...['!main', 'v[0-9]', 'v?', '{a,b}', '/main', 'main/', 'a//b', 'a b', '', 'a\nb'].map(
      (pattern): [unknown, string] => [
        { branch: { allow: [pattern] } },
        'branch.allow.0: expected a pattern',
      ],
    ),
    [{ branch: { allow: ['cafe\u0301'] } }, 'branch.allow.0: expected text in Unicode normal form C'],
    [{ gitClean: false }, ': gitClean (expected true'],
    ...['uid:', 'uid:01', 'uid:-1', 'uid:x', '', 'a b', 'a:b', 'a\u0000'].map((name): [unknown, string] => [
      { actor: { allow: [name] } },
      'actor.allow.0: expected the name of an OS user',
    ]),
    [{ env: {} }, 'env: expected at least one variable'],
    [{ env: { CI: true } }, ': env.CI (expected the exact value in quotes'],
    [
      { env: { 'A-B': 'x' } },
      ': env.A-B (expected the name of an environment variable, none that begins with AX_)',
    ],
    [
      { env: { AX_RECEIPT_KEY: 'x' } },
      ': env.AX_RECEIPT_KEY (expected the name of an environment variable, none',
    ],
    [{ env: { A: { pattern: '(' } } }, 'env.A.pattern: expected a regular expression'],
    [{ env: { A: { patern: 'x' } } }, ': env.A (expected the exact value'],
    [{ keyAge: { max: 'old' } }, 'keyAge.max: expected a duration'],
    [{ approvals: { threshold: 0 } }, 'approvals.threshold: expected at least 1'],
    [
      { approvals: { threshold: 2, keys: [KID] } },
      'approvals: expected a threshold that the listed keys can reach',
    ],
    [{ approvals: { threshold: 1, keys: ['short'] } }, 'approvals.keys.0: expected the id of a key'],
    [{ approvals: { threshold: 2, keys: [KID, KID] } }, 'approvals.keys: expected each entry once'],
    [{ dependencies: 'yes' }, ': dependencies (expected true'],
    [{ changewindow: WINDOW }, `: expected one guard, of ${known}; found changewindow`],
    [{ gitClean: true, dependencies: true }, 'found gitClean and dependencies'],
    [{}, 'found none'],
    ['gitClean', 'found none'],
    [null, 'found none'],
    [[{ gitClean: true }], 'found 0'],
  ])('%j', (guard, problem) => {
    expect(problemsOf(guard).join('\n')).toContain(problem);
  });

  test('a guard beside a broken one: the message stays about the guard that was meant', () => {
    expect(problemsOf({ changeWindow: { ...WINDOW, from: 9, to: 17 } })).toEqual([
      ': changeWindow.from (expected string, received number); changeWindow.to (expected string, received number)',
    ]);
  });
});

test('others can add guards of their own', () => {
  const extended = oneGuardOf([...BUILTIN_GUARDS, z.strictObject({ cel: z.string() })]);
  expect(extended.parse({ cel: 'true' })).toEqual({ cel: 'true' });
  expect(extended.parse({ gitClean: true })).toEqual({ gitClean: true });
  expect(extended.safeParse({ cel: 1 }).error?.issues[0]?.message).toBe(
    'cel (expected string, received number)',
  );
  expect(extended.safeParse({ sel: 'x' }).error?.issues[0]?.message).toContain(
    'dependencies, cel; found sel',
  );
});

test('what a person may write is known, for suggestions', () => {
  expect(guardKeys()).toEqual(expect.arrayContaining(['changeWindow', 'timezone', 'notAuthor', 'perDay']));
});
