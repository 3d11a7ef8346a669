import { afterAll, describe, expect, it } from 'vitest';
import { createIsolate } from '../../../src/runtime/isolate/isolate.ts';
import type { GuardJob } from '../../../src/runtime/isolate/job.ts';
import { cel, SNAPSHOT_TEXT } from './support/jobs.ts';

const isolate = createIsolate();
afterAll(() => isolate.close());

const evaluate = async (job: GuardJob) => (await isolate.evaluate(job)).verdict;

const PASS = { verdict: 'pass', reason: 'expression is true' };
const FALSE = { verdict: 'fail', reason: 'expression is false' };

describe('an expression over the snapshot', () => {
  it.each([
    ["task.name != 'deploy' || actor.name in ['ci', 'release']"],
    ["task.metadata.owner == 'web' && !has(task.metadata.tags)"],
    ["inputs.target.matches('^(prod|test)$') && int(inputs.count) + 1 == 4"],
    ["'CI' in env && env.CI == 'true'"],
    ["git.branch.startsWith('ma') && git.clean"],
    ['actor.uid + 1 == 1001 && actor.uid / 3 == 333'],
    ['usage.running == 0 && usage.starts.all(start, start > 0)'],
    ['size(usage.starts) == 1 && usage.starts.exists(start, start > 1700000000000)'],
    ["now > timestamp('2026-01-01T00:00:00Z') && now - timestamp('2026-01-15T14:00:00Z') == duration('30m')"],
    ["now.getHours() == 14 && now.getHours('Europe/Berlin') == 15 && now.getHours('+02:00') == 16"],
    ["now.getDayOfWeek() == 4 && now.getFullYear('Asia/Tokyo') == 2026"],
    ["timestamp('2026-07-01T22:30:00Z').getDayOfMonth('Europe/Berlin') == 1"],
    ['true || missing.name'],
    ["b'\\xc3\\xbc' == bytes('ü') && string(b'\\xc3\\xbc') == 'ü'"],
  ])('%s', async (expression) => {
    expect(await evaluate(cel(expression))).toEqual(PASS);
  });

  it.each([['false'], ["actor.name == 'root'"], ['has(task.constructor)'], ['now < timestamp(0)']])(
    '%s is a Fail',
    async (expression) => {
      expect(await evaluate(cel(expression))).toEqual(FALSE);
    },
  );
});

const nested = (depth: number, list = '[1,2,3,4,5,6,7,8,9,10]') =>
  Array.from({ length: depth }).reduce<string>((inner, _, at) => `${list}.all(x${at}, ${inner})`, 'true');
const longList = (count: number) => `[${Array.from({ length: count }, (_, at) => at).join()}]`;

/** Each is a Fail that says why; after each, an honest expression still passes in the same isolate. */
const HOSTILE: [name: string, expression: string, reason: RegExp][] = [
  // Not a bool.
  ['a string', "'true'", /expected a bool, found string/],
  ['a number', '1', /expected a bool, found int/],
  ['null', 'null', /expected a bool, found null/],
  ['a list', '[true]', /expected a bool, found list/],
  ['a map', '{"verdict": "pass"}', /expected a bool, found map/],
  ['a type', 'bool', /expected a bool, found type/],
  ['a variable', 'task', /expected a bool, found map/],

  // Errors.
  ['nothing', '', /^(?!the guard )./],
  ['no CEL', 'task.name ==', /^(?!the guard )./],
  ['JavaScript', '(() => true)()', /^(?!the guard )./],
  ['an unknown name', 'tusk.name == "deploy"', /unresolved/],
  ['an unknown member', 'task.nome == "deploy"', /not found: nome/],
  ['an unknown function', 'exec("true")', /unbound function/],
  ['a division by zero', '1 / 0 == 1', /^(?!the guard )./],
  ['an overflow', '9223372036854775807 + 1 > 0', /overflow/],
  ['a type error', '"1" + 1 == "11"', /no matching overload/],
  ['an unknown zone', "now.getHours('Middle/Earth') == 1", /unknown time zone/],
  ['a malformed regular expression', "'a'.matches('(')", /^(?!the guard )./],
  ['a back reference', String.raw`'aa'.matches('(a)\\1')`, /^(?!the guard )./],
  ['bytes that are not text', String.raw`string(b'\xff') == ''`, /^(?!the guard )./],

  // The surroundings.
  ...['constructor', '__proto__', 'globalThis', 'evaluateCel', 'zoneClock', 'process', 'toString'].map(
    (name): [string, string, RegExp] => [name, `${name} != null`, /^(?!the guard )./],
  ),
  ['a constructor of a constructor', 'task.constructor.constructor("return 1")() == 1', /^(?!the guard )./],
  ['a prototype of a map', '{}.__proto__ == null', /^(?!the guard )./],
  ['a call of zoneClock', "zoneClock('UTC', 0.0) == 0.0", /unbound function/],

  // Size.
  ['more than 2 KiB', `true || ${'x'.repeat(2048)}`, /at most 2048 bytes, found 2056/],
  ['more than 2 KiB in UTF-8', `'${'é'.repeat(1030)}' != ''`, /at most 2048 bytes/],
  ['a long sum', Array.from({ length: 501 }).fill('1').join('+'), /more than 64 levels/],
  [
    'more than 1000 parts',
    `[${Array.from({ length: 200 }).fill('1+1+1').join()}] == []`,
    /more than 1000 parts/,
  ],
  ['deep parentheses', `${'('.repeat(1000)}true${')'.repeat(1000)}`, /^./],
  ['deep lists', `${'['.repeat(500)}${']'.repeat(500)} == []`, /^./],
  ['deep members', `task${'.name'.repeat(400)} == ''`, /^(?!the guard )./],
  ['four macros within one another', nested(4, '[1]'), /more than 3 macros/],
  ['a long list', `${longList(257)}.all(x, true)`, /more than 256 elements/],
  [
    'a large map',
    `{${Array.from({ length: 257 }, (_, at) => `${at}:1`).join()}} != {}`,
    /more than 256 elements/,
  ],

  // Work.
  ['macros over long lists', nested(3, 'task.wide'), /exceeded/],
  [
    'lists of lists',
    '[1,2,3,4,5,6,7,8].map(a, [1,2,3,4,5,6,7,8].map(b, task.wide.map(c, task.wide))) == []',
    /exceeded|out of memory/,
  ],
  [
    'a long text, again and again',
    `(${Array.from({ length: 50 }).fill('task.long').join('+')}).matches('^(a|aa)*$') == false`,
    /exceeded|out of memory/,
  ],
  ['many zones', '[1,2,3].exists(x, task.zones.exists(z, now.getHours(z) == 99))', /^./],
  ['a nest of repetitions', `task.long.matches('((((a{1,30}){1,30}){1,30}){1,30}){1,30}b')`, /^./],
];

const SPACIOUS = JSON.stringify({
  ...JSON.parse(SNAPSHOT_TEXT),
  task: {
    name: 'deploy',
    long: 'a'.repeat(200_000),
    wide: Array.from({ length: 5000 }, (_, at) => `element ${at}`),
    zones: Array.from({ length: 600 }, (_, at) => `Etc/GMT+${at}`),
  },
});

describe('a hostile expression fails, and the next one is unaffected', () => {
  it.each(HOSTILE)('%s', async (_name, expression, reason) => {
    const verdict = await evaluate({ ...cel(expression), snapshotText: SPACIOUS });
    expect(verdict).toEqual({ verdict: 'fail', reason: expect.stringMatching(reason) });
    expect(verdict.reason.length).toBeLessThanOrEqual(500);
    expect(await evaluate(cel('true'))).toEqual(PASS);
  });

  it('matches in linear time', async () => {
    // In a backtracking engine these take longer than the universe is old.
    const text = `'${'a'.repeat(60)}b'`;
    expect(await evaluate(cel(`!${text}.matches('^(a+)+$') && !${text}.matches('(x+x+)+y')`))).toEqual(PASS);
  });

  it('holds the names of a snapshot apart from those of the language', async () => {
    const snapshotText =
      '{"now":0,"task":{"constructor":"c","toString":"t","hasOwnProperty":"h"},"toString":"x"}';
    const expression =
      'task.constructor == "c" && task["toString"] == "t" && toString == "x" && size(task) == 3';
    expect(await evaluate({ ...cel(expression), snapshotText })).toEqual(PASS);
  });

  it('gives the memory back', async () => {
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 3; round++) {
      await evaluate({
        ...cel('task.wide.map(a, task.wide.map(b, task.wide)) == []'),
        snapshotText: SPACIOUS,
      });
    }
    expect(await evaluate(cel('true'))).toEqual(PASS);
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
  });
});
