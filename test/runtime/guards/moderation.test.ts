import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ModerationConfig, moderationSchema } from '../../../src/manifest/guards/moderation.ts';
import { evaluateModeration, type Moderation } from '../../../src/runtime/guards/moderation.ts';
import type { Submission } from '../../../src/runtime/guards/moderation-bounds.ts';
import { MAX_COMPARED_RUNS, type RecentRun } from '../../../src/runtime/guards/moderation-repeats.ts';
import { haveVectors, vectorJson } from '../../support/vectors.ts';

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 0, 31, 12);
const SIMILARITY = { max: 0.85, window: '24h' };

function submission(fields: Partial<Submission>): Submission {
  return { title: '', description: '', inputs: {}, ...fields };
}

function earlier(fields: Partial<RecentRun>): RecentRun {
  return { ...submission({}), runId: 'run-1', at: NOW - HOUR, ...fields };
}

function evaluate(
  config: ModerationConfig,
  fields: Partial<Submission>,
  recent: RecentRun[] = [],
): Moderation {
  return evaluateModeration(moderationSchema.parse(config), submission(fields), recent, NOW);
}

describe('the policy', () => {
  test.each<[string, unknown]>([
    ['nothing but bounds', {}],
    ['terms', { deny: ['drop', 'reverse shell', '删除', 'c4', "naïve's"] }],
    ['two hundred terms', { deny: Array.from({ length: 200 }, (_, at) => `term ${at}`) }],
    ['a threshold and a window', { similarity: { max: 0.85, window: '7d' } }],
    ['the longest window', { similarity: { max: 0.85, window: '25d' } }],
    ['the ends of the range', { similarity: { max: 0.99, window: '1ms' }, maxCharacters: 4000 }],
    ['no similarity at all', { similarity: { max: 0, window: '10m' }, maxCharacters: 1 }],
    ['numbers that binary fractions do not hit', { similarity: { max: 0.29, window: '1h' } }],
  ])('may be %s', (_, config) => {
    expect(moderationSchema.parse(config)).toEqual(config);
  });

  test.each<[string, unknown]>([
    ['no terms', { deny: [] }],
    ['too many terms', { deny: Array.from({ length: 201 }, (_, at) => `term ${at}`) }],
    ['a term of one letter', { deny: ['a'] }],
    ['a term of 101', { deny: ['a'.repeat(101)] }],
    ['a term with one letter', { deny: ['c++'] }],
    ['a term without letters', { deny: ['...'] }],
    ['a term that nobody sees', { deny: ['\u200b\u200b\u200b'] }],
    ['a term of two lines', { deny: ['drop\ntable'] }],
    ['half a character', { deny: ['ab\ud83d'] }],
    ['a threshold that lets everything pass', { similarity: { max: 1, window: '1h' } }],
    ['a negative threshold', { similarity: { max: -0.1, window: '1h' } }],
    ['three decimals', { similarity: { max: 0.855, window: '1h' } }],
    ['NaN', { similarity: { max: Number.NaN, window: '1h' } }],
    ['no window', { similarity: { max: 0.8 } }],
    ['a window without a unit', { similarity: { max: 0.8, window: '24' } }],
    ['a window beyond what the store remembers', { similarity: { max: 0.8, window: '26d' } }],
    ['a larger bound', { maxCharacters: 4001 }],
    ['no bound', { maxCharacters: 0 }],
    ['another key', { allow: ['drop'] }],
    ['another key inside', { similarity: { max: 0.8, window: '1h', titleWeight: 1 } }],
  ])('may not be %s', (_, config) => {
    expect(moderationSchema.safeParse(config).success).toBe(false);
  });
});

describe('bounds', () => {
  test.each<[string, Partial<Submission>, object, string]>([
    [
      'a title that is too long',
      { title: 'x'.repeat(4001) },
      { field: 'title', problem: 'too-long', characters: 4001, limit: 4000 },
      'title: expected at most 4000 characters, found 4001',
    ],
    [
      'an input that is too long, in characters of two units',
      { inputs: { prompt: '👀'.repeat(4001) } },
      { field: 'inputs.prompt', problem: 'too-long', characters: 4001, limit: 4000 },
      'inputs.prompt: expected at most 4000 characters, found 4001',
    ],
    [
      'a line feed in a title',
      { title: 'a\nb' },
      { field: 'title', problem: 'control-character', characters: 3, limit: 4000 },
      'title: expected no control characters',
    ],
    [
      'a tab in an input',
      { inputs: { a: 'x', b: 'a\tb' } },
      { field: 'inputs.b', problem: 'control-character', characters: 3, limit: 4000 },
      'inputs.b: expected no control characters',
    ],
    [
      'an escape in a description',
      { description: 'a\x1b[2J' },
      { field: 'description', problem: 'control-character', characters: 5, limit: 4000 },
      'description: expected no control characters',
    ],
    [
      'a carriage return in a description',
      { description: 'a\r\nb' },
      { field: 'description', problem: 'control-character', characters: 4, limit: 4000 },
      'description: expected no control characters',
    ],
    [
      'a C1 control',
      { description: 'a\x9bb' },
      { field: 'description', problem: 'control-character', characters: 3, limit: 4000 },
      'description: expected no control characters',
    ],
    [
      'half a character',
      { title: 'a\ud83d' },
      { field: 'title', problem: 'lone-surrogate', characters: 2, limit: 4000 },
      'title: expected whole characters, found half of one',
    ],
  ])('refuse %s', (_, fields, finding, reason) => {
    expect(evaluate({}, fields)).toEqual({
      verdict: { verdict: 'fail', reason },
      finding: { kind: 'bounds', ...finding },
    });
  });

  test.each<[string, Partial<Submission>]>([
    ['nothing', {}],
    ['4000 characters of two units', { title: '👀'.repeat(4000) }],
    ['lines and tabs in a description', { description: 'a:\n\tb' }],
    ['white space around', { title: `\n ${'x'.repeat(4000)} \t`, inputs: { a: ' b\n' } }],
  ])('let %s pass', (_, fields) => {
    expect(evaluate({}, fields).verdict.verdict).toBe('pass');
  });

  test('are as narrow as the policy says', () => {
    expect(evaluate({ maxCharacters: 5 }, { title: '12345' }).verdict.verdict).toBe('pass');
    expect(evaluate({ maxCharacters: 5 }, { title: '123456' }).finding).toMatchObject({ limit: 5 });
  });

  test('always refuse what is over-long, wherever it is', () => {
    const long = fc
      .tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 50 }))
      .map(([unit, over]) => `x${unit.repeat(4000 + over)}x`);
    const field = fc.constantFrom('title', 'description', 'input');
    fc.assert(
      fc.property(long, field, (text, where) => {
        const fields = where === 'input' ? { inputs: { a: text } } : { [where]: text };
        expect(evaluate({ deny: ['drop'], similarity: SIMILARITY }, fields).verdict.verdict).toBe('fail');
      }),
      { seed: 0x5eed, numRuns: 100 },
    );
  });
});

describe('denied terms', () => {
  test.each<[string, Partial<Submission>]>([
    ['title', { title: 'please d.r.o.p  Tаbles' }],
    ['description', { title: 'Clean up', description: 'then\ndrop table' }],
    ['inputs.sql', { inputs: { a: 'fine', sql: 'DROP TABLE users' } }],
  ])('are found in the %s', (field, fields) => {
    expect(evaluate({ deny: ['reverse shell', 'Drop table'] }, fields)).toEqual({
      verdict: { verdict: 'fail', reason: `${field}: has the denied term "Drop table"` },
      finding: { kind: 'term', field, term: 'Drop table' },
    });
  });

  test('are not put together from two fields', () => {
    const { verdict } = evaluate({ deny: ['drop table'] }, { title: 'drop', description: 'table' });
    expect(verdict).toEqual({
      verdict: 'pass',
      reason: 'within bounds, none of 1 denied terms, no repeat of 0 recent runs',
    });
  });
});

const ROLLOUT = 'Rolls out the new checkout page to all customers in Europe tonight.';
const LOGIN = 'Fixes the login redirect loop that support reported on Monday.';

describe('a repeat of a recent run', () => {
  test('is refused, with the run and the score and no text', () => {
    const run = { title: 'Deploy web', description: ROLLOUT };
    expect(evaluate({ similarity: SIMILARITY }, run, [earlier({ runId: 'run-7', ...run })])).toEqual({
      verdict: { verdict: 'fail', reason: 'repeats run run-7: similarity 1.00, at most 0.85' },
      finding: { kind: 'repeat', runId: 'run-7', score: 1, max: 0.85, compared: 1 },
    });
  });

  test.each<[string, Partial<Submission>, Partial<Submission>]>([
    [
      'verbatim',
      { title: 'Deploy web', description: ROLLOUT },
      { title: 'Deploy web', description: ROLLOUT },
    ],
    ['by its title alone', { title: 'Deploy web' }, { title: 'deploy  WEB!' }],
    ['by its description alone', { description: ROLLOUT }, { description: ROLLOUT }],
    [
      'with a word changed',
      { title: 'Deploy web', description: ROLLOUT },
      { title: 'Deploy web', description: ROLLOUT.replace('tonight', 'today') },
    ],
    [
      'with two typos',
      { title: 'Deploy web', description: ROLLOUT },
      { title: 'Deploy web', description: ROLLOUT.replace('page', 'pgae').replace('customers', 'custmers') },
    ],
    [
      'with its title edited',
      { title: 'Deploy web now', description: ROLLOUT },
      { title: 'Deploy web today', description: ROLLOUT },
    ],
    [
      'in look-alike letters',
      { title: 'Deploy web', description: ROLLOUT },
      { title: 'Dерlоу wеb', description: ROLLOUT.replaceAll('o', 'о') },
    ],
    [
      'five times over',
      { title: 'Deploy web', description: ROLLOUT },
      { title: 'Deploy web', description: ROLLOUT.repeat(5) },
    ],
    [
      'with a number appended',
      { title: 'Deploy web', description: ROLLOUT },
      { title: 'Deploy web', description: `${ROLLOUT} 8837` },
    ],
    [
      'with the same inputs',
      { title: 'Ask', inputs: { prompt: ROLLOUT, to: 'web' } },
      { title: 'Ask', inputs: { to: 'Web', prompt: `${ROLLOUT} ${ROLLOUT}` } },
    ],
  ])('is found %s', (_, before, fields) => {
    const forth = evaluate({ similarity: SIMILARITY }, fields, [earlier(before)]);
    const back = evaluate({ similarity: SIMILARITY }, before, [earlier(fields)]);
    expect([forth.finding.kind, back.finding.kind]).toEqual(['repeat', 'repeat']);
    expect(forth).toEqual(back);
  });

  test.each<[string, Partial<Submission>, Partial<Submission>]>([
    [
      'a title with another description',
      { title: 'Deploy web', description: ROLLOUT },
      { title: 'Deploy web', description: LOGIN },
    ],
    [
      'the next release, described',
      { title: 'Deploy web v1.2.3', description: ROLLOUT },
      { title: 'Deploy web v1.2.4', description: LOGIN },
    ],
    ['the next release, not described', { title: 'Deploy web v1.2.3' }, { title: 'Deploy web v1.2.4' }],
    [
      'a template with other numbers',
      { title: 'Deploy web', description: 'Release 1.2.3 of web to production, approved in CHG-1001' },
      { title: 'Deploy web', description: 'Release 1.2.4 of web to production, approved in CHG-1002' },
    ],
    [
      'a template with another job',
      {
        title: 'Upgrade payments',
        description: 'Upgrade the payment service and migrate its database to the new schema',
      },
      {
        title: 'Upgrade search',
        description: 'Upgrade the search service and rebuild its index with the new analyzer',
      },
    ],
    [
      'a description under another title',
      { title: 'Deploy web', description: ROLLOUT },
      { title: 'Announce it', description: ROLLOUT },
    ],
    [
      'the way back',
      { title: 'Move users', description: 'Move users from EU to US' },
      { title: 'Move users', description: 'Move users from US to EU' },
    ],
    [
      'a description where there was none',
      { title: 'Deploy web' },
      { title: 'Deploy web', description: ROLLOUT },
    ],
    [
      'another version as an input',
      { title: 'Deploy', description: ROLLOUT, inputs: { to: 'web', version: '1.2.3' } },
      { title: 'Deploy', description: ROLLOUT, inputs: { to: 'web', version: '1.2.4' } },
    ],
    [
      'another target as an input',
      { title: 'Deploy', inputs: { to: 'web', region: 'eu' } },
      { title: 'Deploy', inputs: { to: 'api', region: 'eu' } },
    ],
    ['one more input', { title: 'Deploy' }, { title: 'Deploy', inputs: { to: 'api' } }],
    ['runs that say nothing', {}, {}],
  ])('is not: %s', (_, before, fields) => {
    const { verdict, finding } = evaluate({ similarity: SIMILARITY }, fields, [earlier(before)]);
    expect([verdict.verdict, finding.kind]).toEqual(['pass', 'clean']);
  });

  test('is refused above the threshold, not at it', () => {
    const run = { title: 'Deploy web', description: ROLLOUT.replace('tonight', 'today') };
    const recent = [earlier({ title: 'Deploy web', description: ROLLOUT })];
    const { finding } = evaluate({ similarity: { max: 0.99, window: '1d' } }, run, recent);
    expect(finding).toEqual({ kind: 'clean', compared: 1, closest: { runId: 'run-1', score: 0.93 } });
    expect(evaluate({ similarity: { max: 0.92, window: '1d' } }, run, recent).finding.kind).toBe('repeat');
    const half = [earlier({ title: 'Deploy web' })];
    expect(
      evaluate({ similarity: { max: 0.5, window: '1d' } }, { title: 'Deploy api' }, half).verdict.verdict,
    ).toBe('pass');
    expect(
      evaluate({ similarity: { max: 0.49, window: '1d' } }, { title: 'Deploy api' }, half).verdict.verdict,
    ).toBe('fail');
  });

  test.each<[string, number, string]>([
    ['just now', 0, 'fail'],
    ['at the window to the millisecond', 24 * HOUR, 'fail'],
    ['one millisecond before it', 24 * HOUR + 1, 'pass'],
    ['in the future, after the clock was set back', -400 * HOUR, 'fail'],
    ['at no time', Number.NaN, 'fail'],
  ])('counts %s', (_, age, verdict) => {
    const recent = [earlier({ title: 'Deploy web', at: NOW - age })];
    expect(evaluate({ similarity: SIMILARITY }, { title: 'Deploy web' }, recent).verdict.verdict).toBe(
      verdict,
    );
  });

  test('names the most similar run, and of equals the latest', () => {
    const recent = [
      earlier({ runId: 'other', title: 'Deploy api', at: NOW }),
      earlier({ runId: 'old', title: 'Deploy web', at: NOW - 3 * HOUR }),
      earlier({ runId: 'new', title: 'Deploy web', at: NOW - 2 * HOUR }),
    ];
    const { finding } = evaluate({ similarity: SIMILARITY }, { title: 'Deploy web' }, recent);
    expect(finding).toEqual({ kind: 'repeat', runId: 'new', score: 1, max: 0.85, compared: 3 });
  });

  test('is not looked for when the policy does not ask', () => {
    const { verdict, finding } = evaluate({}, { title: 'Deploy web' }, [earlier({ title: 'Deploy web' })]);
    expect([verdict.verdict, finding]).toEqual(['pass', { kind: 'clean', compared: 0 }]);
  });
});

describe('more runs than are compared', () => {
  const flood = Array.from({ length: MAX_COMPARED_RUNS }, (_, at) =>
    earlier({ runId: `noise-${at}`, title: `Noise ${at}`, at: NOW - at }),
  );

  test('wait until there are fewer, since a repeat may be among the rest', () => {
    const recent = [earlier({ title: 'Deploy web', at: NOW - 10 * HOUR }), ...flood];
    expect(evaluate({ similarity: SIMILARITY }, { title: 'Deploy web' }, recent)).toMatchObject({
      verdict: {
        verdict: 'defer',
        reason: 'more than 1000 runs in 24h, the most that are compared',
        retryAfterMs: 14 * HOUR + 1,
      },
      finding: { kind: 'too-many-runs', compared: 1000 },
    });
    const later = NOW + 14 * HOUR + 1;
    const again = evaluateModeration(
      { similarity: SIMILARITY },
      submission({ title: 'Deploy web' }),
      recent,
      later,
    );
    expect(again.verdict.verdict).toBe('pass');
  });

  test('are refused at once when a repeat is among the latest', () => {
    const recent = [...flood, earlier({ title: 'Deploy web', at: NOW })];
    expect(evaluate({ similarity: SIMILARITY }, { title: 'Deploy web' }, recent).verdict.verdict).toBe(
      'fail',
    );
  });

  test('do not count outside the window', () => {
    const recent = [...flood, earlier({ at: NOW - 25 * HOUR })];
    expect(evaluate({ similarity: SIMILARITY }, { title: 'Deploy web' }, recent).verdict.verdict).toBe(
      'pass',
    );
  });
});

test('the longest texts against the most runs are judged', () => {
  const text = (seed: number): string =>
    Array.from({ length: 600 }, (_, at) => ((at * 7919 + seed * 104_729) % 46_656).toString(36))
      .join(' ')
      .slice(0, 4000);
  const recent = Array.from({ length: MAX_COMPARED_RUNS }, (_, at) =>
    earlier({ runId: `r${at}`, title: text(at), description: text(at + 1) }),
  );
  const run = { title: text(5000), description: text(5001) };
  expect(evaluate({ similarity: SIMILARITY, deny: ['drop'] }, run, recent).finding).toMatchObject({
    compared: 1000,
  });
});

const SECRET = 'Kx7 hunter2';
const fields = fc.record({
  title: fc.string({ unit: 'binary', maxLength: 20 }),
  description: fc.string({ unit: 'binary', maxLength: 60 }),
  inputs: fc.dictionary(fc.constantFrom('a', 'b', '__proto__'), fc.string({ unit: 'binary', maxLength: 20 })),
});

test('any texts get an answer, the same each time, that quotes none of them', () => {
  const config: ModerationConfig = { deny: ['drop', 'reverse shell'], similarity: SIMILARITY };
  fc.assert(
    fc.property(fields, fields, (own, other) => {
      const run = { ...own, description: `${own.description} ${SECRET}` };
      const recent = [earlier({ ...other, description: `${other.description} ${SECRET}` })];
      const answer = evaluate(config, run, recent);
      expect(evaluate(config, run, recent)).toEqual(answer);
      expect(['pass', 'fail']).toContain(answer.verdict.verdict);
      expect(JSON.stringify(answer)).not.toContain('hunter2');
    }),
    { seed: 0x5eed, numRuns: 500 },
  );
});

test.skipIf(!haveVectors)('naughty strings are judged as titles, descriptions and inputs', () => {
  const strings = haveVectors ? vectorJson<string[]>('naughty-strings.json') : [];
  expect(strings.length).toBeGreaterThan(400);
  const config: ModerationConfig = { deny: ['drop table'], similarity: SIMILARITY };
  for (const [at, text] of strings.entries()) {
    const run = { title: text, description: strings[at + 1] ?? '', inputs: { text } };
    const { verdict, finding } = evaluate(config, run, [earlier(run)]);
    // Each repeats itself, unless it is refused before or says nothing.
    const says = /[^\s\p{M}\p{Cf}\p{Default_Ignorable_Code_Point}]/u.test(run.title + run.description);
    expect([text, verdict.verdict]).toEqual([
      text,
      says ? 'fail' : finding.kind === 'bounds' ? 'fail' : 'pass',
    ]);
  }
});
