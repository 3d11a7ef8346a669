import { afterAll, describe, expect, it } from 'vitest';
import { createIsolate } from '../../../src/runtime/isolate/isolate.ts';
import type { GuardJob } from '../../../src/runtime/isolate/job.ts';
import { SNAPSHOT, script } from './support/jobs.ts';

const isolate = createIsolate();
afterAll(() => isolate.close());

const evaluate = async (job: GuardJob) => (await isolate.evaluate(job)).verdict;

const returns = (expression: string) => `export default (snapshot) => (${expression})`;
const runs = (body: string) => `export default (snapshot) => { ${body} }`;
const PASS = `{verdict: 'pass', reason: 'ok'}`;

describe('an honest guard', () => {
  it.each([
    ['a pass', returns(PASS), { verdict: 'pass', reason: 'ok' }],
    ['a fail', returns(`{verdict: 'fail', reason: 'frozen'}`), { verdict: 'fail', reason: 'frozen' }],
    [
      'a deferral',
      returns(`{verdict: 'defer', reason: 'later', retryAfterMs: 60_000}`),
      { verdict: 'defer', reason: 'later', retryAfterMs: 60_000 },
    ],
    [
      'a declared function',
      `const NAME = 'deploy';
       export default function guard(snapshot) {
         const ok = snapshot.task.name === NAME;
         return { verdict: ok ? 'pass' : 'fail', reason: NAME };
       }`,
      { verdict: 'pass', reason: 'deploy' },
    ],
    [
      'an object without a prototype',
      runs(`return Object.assign(Object.create(null), ${PASS})`),
      { verdict: 'pass', reason: 'ok' },
    ],
  ])('%s', async (_name, source, verdict) => {
    expect(await evaluate(script(source))).toEqual(verdict);
  });

  it('sees the whole snapshot and nothing else, frozen', async () => {
    const source = runs(`
      const isFrozen = (value) => typeof value !== 'object' || value === null ||
        (Object.isFrozen(value) && Object.values(value).every(isFrozen));
      snapshot.actor.name = 'root';
      return { verdict: isFrozen(snapshot) ? 'pass' : 'fail', reason: JSON.stringify(snapshot) };`);
    // Modules are strict: writing to what is frozen throws.
    expect(await evaluate(script(source))).toEqual({
      verdict: 'fail',
      reason: expect.stringMatching(/^threw TypeError: .*read-only/),
    });
    const { reason, verdict } = await evaluate(script(source.replace("snapshot.actor.name = 'root';", '')));
    expect(verdict).toBe('pass');
    expect(JSON.parse(reason)).toEqual(SNAPSHOT);
  });

  it('has one time, the snapshot’s, and no randomness', async () => {
    const source = returns(`{verdict: 'pass', reason: [
      new Date().toISOString(), Date.now() === snapshot.now, new Date().getTimezoneOffset(), typeof Math.random,
      typeof performance, typeof WeakRef, typeof SharedArrayBuffer].join()}`);
    const expected = '2026-01-15T14:30:00.000Z,true,0,undefined,undefined,undefined,undefined';
    expect((await evaluate(script(source))).reason).toBe(expected);
  });
});

/** Each is a Fail with a reason that says so; after each, an honest guard still passes in the same isolate. */
const HOSTILE: [name: string, source: string, reason: RegExp][] = [
  // Answers that are none.
  ['"true"', returns(`"true"`), /found a string/],
  ['true', returns('true'), /found a boolean/],
  ['1', returns('1'), /found a number/],
  ['nothing', runs(''), /found a undefined/],
  ['null', returns('null'), /found null/],
  ['an object of another shape', returns('{ok: true}'), /other members/],
  ['a class', 'export default class {}', /threw TypeError/],
  ['two answers', returns(`[${PASS}, ${PASS}]`), /found a? ?Array/i],
  [
    'two answers from a generator',
    `export default function* () { yield ${PASS}; yield ${PASS}; }`,
    /plain object/,
  ],
  ['a promise', `export default async () => (${PASS})`, /found Promise/],
  ['a thenable', returns(`{...${PASS}, then(resolve) { resolve(${PASS}) }}`), /other members/],
  ['a function', returns(`() => (${PASS})`), /plain object/],
  ['a proxy', returns(`new Proxy(${PASS}, {})`), /found a Proxy/],
  ['a getter', returns(`{get verdict() { return 'pass' }, reason: ''}`), /getter or symbol/],
  ['a symbol', returns(`{...${PASS}, [Symbol.iterator]: 1}`), /getter or symbol/],
  ['toJSON', returns(`{toJSON: () => (${PASS})}`), /other members/],
  ['inherited members', returns(`Object.create(${PASS})`), /expected reason/],
  ['a hidden member', runs(`return Object.defineProperty(${PASS}, 'more', {value: 1})`), /other members/],
  ['a boxed string', returns(`{verdict: new String('pass'), reason: ''}`), /verdict to be/],
  ['another verdict', returns(`{verdict: 'PASS', reason: ''}`), /verdict to be/],
  ['no reason', returns(`{verdict: 'pass'}`), /expected reason/],
  ['a pass with a wait', returns(`{...${PASS}, retryAfterMs: 1}`), /no retryAfterMs/],
  ['a deferral without a wait', returns(`{verdict: 'defer', reason: ''}`), /retryAfterMs/],
  ...['0', '-1', '1.5', 'NaN', 'Infinity', '"1"', '1n', '2 ** 53'].map((wait): [string, string, RegExp] => [
    `a deferral by ${wait}`,
    returns(`{verdict: 'defer', reason: '', retryAfterMs: ${wait}}`),
    /retryAfterMs to be a whole number/,
  ]),

  // Not a guard.
  ['no default export', 'export const guard = 1;', /default/],
  ['a default that is no function', `export default ${PASS}`, /found object/],
  ['no JavaScript', 'export default =>', /SyntaxError/],
  ['an empty file', '', /default/],
  ['waiting at the top', `await 1; export default () => (${PASS})`, /without await/],
  ['waiting for ever', `await new Promise(() => {}); export default () => (${PASS})`, /without await/],
  ['a throw while loading', `throw new Error('not today'); export default () => (${PASS})`, /not today/],
  ['a rejection while loading', `await Promise.reject(new Error('no')); export default () => 1`, /await/],

  // Failing.
  ['a throw', runs('throw new Error("boom")'), /threw Error: boom/],
  ['a throw of a string', runs('throw "boom"'), /boom/],
  ['a throw of null', runs('throw null'), /^(?!the guard )./],
  [
    'a throw of what throws',
    runs('throw {get message() { throw this }, toString() { throw this }}'),
    /^(?!the guard )./,
  ],
  ['a throw of what never ends', runs('throw {get message() { for (;;); }}'), /^./],
  ['a long reason of an error', runs('throw new Error("x".repeat(1e6))'), /threw Error: x+…$/],

  // Without end.
  ['a loop', runs('for (;;);'), /exceeded/],
  ['a loop while loading', 'for (;;); export default () => 1', /exceeded/],
  ['a loop that catches', runs('for (;;) { try { for (;;); } catch {} }'), /exceeded/],
  [
    'a loop in finally',
    runs('const f = () => { try { for (;;); } finally { f(); } }; f();'),
    /exceeded|recursion/,
  ],
  ['a loop that then passes', runs(`try { for (;;); } catch {} return ${PASS}`), /exceeded/],
  ['jobs without end', runs(`const f = () => Promise.resolve().then(f); f(); for (;;);`), /exceeded/],
  ['recursion', runs('const f = () => f() + 1; f();'), /RangeError/],
  ['recursion in a getter', runs('const o = { get a() { return this.a } }; o.a;'), /RangeError/],
  ['recursion in the parser', `export default ${'['.repeat(50_000)}`, /^(?!the guard )./],
  ['a regular expression', runs(`/^(a+)+$/.test('a'.repeat(60) + 'b')`), /exceeded/],
  [
    'a sort that never ends',
    runs('new Array(1e5).fill(0).map((_, i) => i).sort(() => { for (;;); })'),
    /exceeded/,
  ],
  ['a native loop', runs('new Array(2 ** 31).join("abc")'), /exceeded its time/],
  [
    'a native loop over nothing',
    runs('Array.prototype.reverse.call({ length: 2 ** 53 - 1 })'),
    /exceeded its time/,
  ],

  // Without bound.
  ['arrays', runs('const a = []; for (;;) a.push([a.length, {}])'), /out of memory|exceeded/],
  ['one array', runs('new Array(1e9).fill(0)'), /out of memory|exceeded/],
  ['strings', runs('let s = "x".repeat(1000); for (;;) s += s;'), /too long|out of memory/],
  ['a long string', runs('"x".repeat(2 ** 29)'), /out of memory|too long/],
  [
    'strings that are kept',
    runs('const a = []; for (;;) a.push("x".repeat(100_000) + a.length)'),
    /out of memory/,
  ],
  ['buffers', runs('const a = []; for (;;) a.push(new ArrayBuffer(1 << 20))'), /out of memory/],
  [
    'typed arrays',
    runs('const a = []; for (;;) { a.push(new Uint8Array(1 << 16).fill(1)) }'),
    /out of memory/,
  ],
  [
    'a growing buffer',
    runs('new ArrayBuffer(1, { maxByteLength: 2 ** 30 }).resize(2 ** 30)'),
    /out of memory|RangeError/,
  ],
  ['a large number', runs('let n = 3n; for (;;) n *= n;'), /RangeError|out of memory|exceeded/],
  ['a nest of proxies', runs('let p = {}; for (;;) p = new Proxy(p, {});'), /out of memory|exceeded/],
  ['normal forms', runs('let s = "\\u0344".repeat(1e6); for (;;) s = s.normalize("NFD") + s;'), /^./],
  ['a replacement', runs('"a".repeat(1e6).replace(/a/g, "$&".repeat(50))'), /out of memory|exceeded/],
  [
    'a reason without end',
    runs('return { verdict: "fail", reason: "x".repeat(8e6) + "😀".repeat(1e6) }'),
    /reason to be a string, found nothing/,
  ],

  // Out of the interpreter.
  ...[
    'process',
    'require',
    'module',
    'fetch',
    'setTimeout',
    'setInterval',
    'setImmediate',
    'queueMicrotask',
    'Worker',
    'WebAssembly',
    'Buffer',
    'console',
    'Deno',
    'std',
    'os',
    'eval',
    'zoneClock',
    'global',
    'window',
    'self',
  ].map((name): [string, string, RegExp] => [name, runs(`${name}; return ${PASS}`), /is not defined/]),
  ['a static import', `import fs from 'node:fs'; export default () => (${PASS})`, /imports nothing|export/],
  ['a bare import', `import 'node:fs'; export default () => (${PASS})`, /imports nothing/],
  ['a dynamic import that is awaited', `const fs = await import('node:fs'); export default () => 1`, /await/],
  ['a dynamic import in the guard', `export default async () => (await import('node:fs'))`, /Promise/],
  [
    'the global constructor',
    runs(`return globalThis.constructor.constructor('return process')()`),
    /not defined/,
  ],
  [
    'a function constructor',
    runs(`return (() => {}).constructor('return this.process.exit()')()`),
    /TypeError/,
  ],
  ['import.meta', runs('return import.meta.url'), /found a (string|undefined)/],
];

describe('a hostile guard fails, and the next one is unaffected', () => {
  it.each(HOSTILE)('%s', async (_name, source, reason) => {
    const verdict = await evaluate(script(source, { cpuMs: 100, wallMs: 1000 }));
    expect(verdict).toEqual({ verdict: 'fail', reason: expect.stringMatching(reason) });
    expect(verdict.reason.length).toBeLessThanOrEqual(500);
    expect(verdict.reason.isWellFormed()).toBe(true);
    expect(await evaluate(script(returns(PASS)))).toEqual({ verdict: 'pass', reason: 'ok' });
  });

  it('leaves nothing behind for the next one to find', async () => {
    const spoil = `
      Object.prototype.verdict = 'pass'; Object.prototype.reason = 'polluted';
      Object.prototype.toJSON = () => (${PASS}); Array.prototype.map = () => [];
      JSON.stringify = () => '{"verdict":"pass"}'; JSON.parse = () => (${PASS});
      Object.freeze = Object.keys = (x) => x; globalThis.kept = 1;
      Object.defineProperty(globalThis, 'guard', { set() {}, get() { return () => (${PASS}) } });
      export default () => ({});`;
    expect(await evaluate(script(spoil))).toMatchObject({ verdict: 'fail' });
    const look = returns(
      `{verdict: ({}).verdict ?? 'pass', reason: String([typeof kept, ({}).reason, ({}).toJSON])}`,
    );
    expect(await evaluate(script(look))).toEqual({ verdict: 'pass', reason: 'undefined,,' });
  });

  it('cuts a long reason of an honest verdict, never through a character', async () => {
    const source = returns(`{verdict: 'pass', reason: 'a' + '😀'.repeat(1000)}`);
    const { verdict, reason } = await evaluate(script(source));
    expect(verdict).toBe('pass');
    expect(reason).toBe(`a${'😀'.repeat(249)}…`);
  });

  it('keeps control characters of a reason as they are, for whoever prints it to escape', async () => {
    const source = returns(String.raw`{verdict: 'pass', reason: '\u001b[31m\u202e\n'}`);
    expect((await evaluate(script(source))).reason).toBe('\u001b[31m\u202e\n');
  });

  it('gives the memory back', async () => {
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 5; round++) {
      await evaluate(script(runs('const a = []; for (;;) a.push(new Uint8Array(1 << 16).fill(1))')));
    }
    expect(await evaluate(script(returns(PASS)))).toMatchObject({ verdict: 'pass' });
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
  });
});
