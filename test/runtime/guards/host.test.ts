import { afterEach, describe, expect, it } from 'vitest';
import { createGuardHost, type GuardHost, type GuardHostOptions } from '../../../src/runtime/guards/host.ts';
import type { GuardJob } from '../../../src/runtime/guards/job.ts';
import { cel, SNAPSHOT_TEXT, script } from './support/jobs.ts';

const ROGUE = new URL('./support/rogue-worker.ts', import.meta.url);
const hosts: GuardHost[] = [];

function host(options?: GuardHostOptions): GuardHost {
  const made = createGuardHost(options);
  hosts.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(hosts.splice(0).map((each) => each.close()));
});

describe('what a thread may answer', () => {
  it.each([
    ['no answer', /exceeded its time \(300 ms\)/],
    ['no end', /exceeded its time/],
    ['a busy loop', /exceeded its time/],
    ['answers twice', /answered twice/],
    ['ends without an answer', /out of turn/],
    ['answers before it begins', /out of turn/],
    ['begins twice', /out of turn/],
    ['the next id', /for another guard/],
    ['the id as a string', /for another guard/],
    ['no id', /for another guard/],
    ['true', /not a JSON object/],
    ['the number 1', /not text/],
    ['an object', /not text/],
    ['an array', /not a JSON object/],
    ['no JSON', /not a JSON object/],
    ['duplicate keys', /not a JSON object/],
    ['a __proto__ member', /not a JSON object/],
    ['a verdict and more', /other members/],
    ['an extra member', /not answer with a verdict/],
    ['pass with a wait', /expected no retryAfterMs/],
    ['a wait of no time', /expected retryAfterMs/],
    ['a long reason', /at most 500/],
    ['a long message', /more than 8192 characters/],
    ['half a character', /not a JSON object/],
    ['a flood', /answered twice/],
    ['throws', /broke its thread/],
    ['exits', /ended its thread/],
    ['closes the port', /ended its thread|exceeded its time/],
    ['fills its heap', /exceeded its (memory|time)/],
  ])('%s: Fail, and the next guard is unaffected', async (mode, reason) => {
    const { evaluate } = host({ worker: ROGUE });
    const job = cel(mode, { wallMs: mode === 'fills its heap' ? 20_000 : 300 });
    expect(await evaluate(job)).toEqual({ verdict: 'fail', reason: expect.stringMatching(reason) });
    expect(await evaluate(cel('ok'))).toEqual({ verdict: 'pass', reason: 'rogue' });
  });

  it('is judged by what came in time, even when this thread was too busy to look', async () => {
    const { evaluate } = host({ worker: ROGUE });
    await evaluate(cel('ok'));
    const verdict = evaluate(cel('ok', { wallMs: 200 }));
    await new Promise((resolve) => setImmediate(resolve));
    const busyUntil = performance.now() + 600;
    while (performance.now() < busyUntil);
    expect(await verdict).toEqual({ verdict: 'pass', reason: 'rogue' });
  });

  it('has no environment, arguments or flags to find', async () => {
    const { reason } = await host({ worker: ROGUE }).evaluate(cel('surroundings'));
    expect(JSON.parse(reason)).toEqual({ env: {}, argv: [], execArgv: [] });
  });
});

describe('the host', () => {
  const good = script('export default () => ({verdict: "pass", reason: "good"})');

  it('takes guards one after the other and answers each with its own verdict', async () => {
    const { evaluate } = host();
    const verdicts = await Promise.all([
      evaluate(script('export default () => ({verdict: "pass", reason: "first"})')),
      evaluate(script('export default () => { while (true); }')),
      evaluate(cel('task.name == "deploy"')),
      evaluate(script('export default () => ({verdict: "fail", reason: "last"})')),
    ]);
    expect(verdicts).toEqual([
      { verdict: 'pass', reason: 'first' },
      { verdict: 'fail', reason: expect.stringMatching(/exceeded/) },
      { verdict: 'pass', reason: 'cel: expression is true' },
      { verdict: 'fail', reason: 'last' },
    ]);
  });

  it('evaluates built-in guards in the thread too', async () => {
    const { evaluate } = host();
    const job = (allow: string[]): GuardJob => ({
      kind: 'builtin',
      config: { actor: { allow } },
      snapshotText: SNAPSHOT_TEXT,
    });
    expect(await evaluate(job(['ci']))).toMatchObject({ verdict: 'pass' });
    expect(await evaluate(job(['release']))).toMatchObject({ verdict: 'fail' });
  });

  it('fails a built-in guard that throws, and one whose pattern backtracks for ever', async () => {
    const { evaluate } = host();
    const config = { env: { NAME: { pattern: '(x+x+)+y' } } };
    const snapshotText = JSON.stringify({ now: 0, env: { NAME: 'x'.repeat(40) } });
    const limits = { cpuMs: 100, wallMs: 300, memoryBytes: 1 };
    expect(await evaluate({ kind: 'builtin', config, snapshotText, limits })).toEqual({
      verdict: 'fail',
      reason: 'the guard exceeded its time (300 ms)',
    });
    const broken = { actor: undefined } as never;
    expect(await evaluate({ kind: 'builtin', config: broken, snapshotText })).toMatchObject({
      verdict: 'fail',
    });
    expect(await evaluate(good)).toEqual({ verdict: 'pass', reason: 'good' });
  });

  it('fails a kind of guard that it does not know', async () => {
    const { evaluate } = host();
    for (const kind of ['oracle', 'constructor', '__proto__', '']) {
      const job = { kind, snapshotText: SNAPSHOT_TEXT } as unknown as GuardJob;
      expect(await evaluate(job)).toEqual({
        verdict: 'fail',
        reason: 'the guard could not be evaluated: no guard is of this kind',
      });
    }
  });

  it('fails what is too large, or has no time, without reading further', async () => {
    const { evaluate } = host();
    expect(await evaluate({ ...good, snapshotText: ' '.repeat(1024 * 1024 + 1) })).toMatchObject({
      verdict: 'fail',
      reason: expect.stringMatching(/a snapshot of at most 1048576 characters/),
    });
    expect(await evaluate(script(' '.repeat(256 * 1024 + 1)))).toMatchObject({
      verdict: 'fail',
      reason: expect.stringMatching(/a script of at most 262144 characters/),
    });
    for (const snapshotText of ['', '[]', '{}', '{"now":"today"}', '{"now":1e16}', '{"now":0,"now":1}']) {
      expect(await evaluate({ ...good, snapshotText })).toMatchObject({ verdict: 'fail' });
    }
    expect(await evaluate(good)).toEqual({ verdict: 'pass', reason: 'good' });
  });

  it('answers what is open or waiting with Fail when it is closed, and everything after', async () => {
    const { evaluate, close } = host();
    const open = [evaluate(script('export default () => { while (true); }')), evaluate(good)];
    await close();
    for (const verdict of [...open, evaluate(good)]) {
      expect(await verdict).toMatchObject({ verdict: 'fail' });
    }
  });

  it('refuses guards beyond a thousand that wait', async () => {
    const { evaluate, close } = host();
    const verdicts = Array.from({ length: 1100 }, () => evaluate(good));
    expect(await verdicts[1099]).toEqual({
      verdict: 'fail',
      reason: 'the guard was not evaluated: too many guards are waiting',
    });
    await close();
    expect(new Set((await Promise.all(verdicts)).map(({ verdict }) => verdict))).toEqual(new Set(['fail']));
  });

  it('can be warmed up before there is anything to evaluate', async () => {
    const { evaluate, prewarm } = host();
    prewarm(['builtin']);
    prewarm(['script', 'cel', 'oracle' as never]);
    expect(await evaluate(good)).toEqual({ verdict: 'pass', reason: 'good' });
  });
});
