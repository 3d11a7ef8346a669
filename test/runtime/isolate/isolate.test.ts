import { afterEach, describe, expect, it } from 'vitest';
import type { BuiltinGuard } from '../../../src/manifest/guards/schema.ts';
import { createIsolate, type Isolate, type IsolateOptions } from '../../../src/runtime/isolate/isolate.ts';
import type { GuardJob } from '../../../src/runtime/isolate/job.ts';
import { builtin, cel, ROGUE, SNAPSHOT, SNAPSHOT_TEXT, script } from './support/jobs.ts';

const isolates: Isolate[] = [];

function open(options?: IsolateOptions) {
  const isolate = createIsolate(options);
  isolates.push(isolate);
  return { ...isolate, evaluate: async (job: GuardJob) => (await isolate.evaluate(job)).verdict };
}

afterEach(async () => {
  await Promise.all(isolates.splice(0).map((each) => each.close()));
});

describe('what a process may answer', () => {
  it.each([
    ['no answer', /exceeded its time \(300 ms\)/],
    ['a busy loop', /exceeded its time/],
    ['answers twice', /answered twice/],
    ['answers before it begins', /out of turn/],
    ['begins twice', /of another shape/],
    ['the next id', /for another job/],
    ['the id as a string', /for another job/],
    ['no id', /for another job/],
    ['true', /not a JSON object/],
    ['an array', /not a JSON object/],
    ['no JSON', /not a JSON object/],
    ['no UTF-8', /not a JSON object/],
    ['duplicate keys', /not a JSON object/],
    ['a __proto__ member', /not a JSON object/],
    ['an extra member', /not answer with a verdict/],
    ['a verdict and more', /of another shape/],
    ['a finding', /a finding that none of its kind has/],
    ['no spent', /of another shape/],
    ['pass with a wait', /expected no retryAfterMs/],
    ['a wait of no time', /expected retryAfterMs/],
    ['a long reason', /at most 500/],
    ['10 MB', /more than 8192 bytes/],
    ['10 MB without an end', /more than 8192 bytes/],
    ['half a character', /not a JSON object/],
    ['a flood', /answered twice/],
    ['throws', /ended its process/],
    ['exits', /ended its process/],
    ['aborts', /ended its process/],
    ['fills its heap', /ended its process/],
  ])('%s: Fail, and the next guard is unaffected', async (mode, reason) => {
    const { evaluate } = open({ team: ROGUE });
    const job = cel(mode, { wallMs: /no answer|busy/.test(mode) ? 300 : 20_000 });
    expect(await evaluate(job)).toEqual({ verdict: 'fail', reason: expect.stringMatching(reason) });
    expect(await evaluate(cel('ok'))).toEqual({ verdict: 'pass', reason: 'rogue' });
  });

  it('says nothing at all: Fail when the time to load is over', async () => {
    const { evaluate } = open({ team: ROGUE, loadMs: 500 });
    expect(await evaluate(cel('nothing'))).toEqual({
      verdict: 'fail',
      reason: 'the guard could not be loaded in time',
    });
  });

  it('cannot be started: Fail', async () => {
    const file = new URL('./support/not-there.mts', import.meta.url);
    const { evaluate } = open({ team: { file, heapMb: 64 } });
    expect(await evaluate(cel('ok'))).toEqual({ verdict: 'fail', reason: 'the guard ended its process' });
  });

  it('cannot even be tried: Fail, and ISOLATE_FAILED', async () => {
    const nowhere = { file: new URL('https://example.org/isolate.mjs'), heapMb: 64 };
    const { evaluate, hydrate, prewarm } = open({ own: nowhere, team: nowhere });
    prewarm(['cel', 'builtin']);
    const reason = 'the guard was not asked: no process could be started for it';
    expect(await evaluate(cel('ok'))).toEqual({ verdict: 'fail', reason });
    const job = { payload: Buffer.from('{}'), tasks: [], inputs: new Map(), timeoutMs: undefined };
    await expect(hydrate(job)).rejects.toMatchObject({ code: 'ISOLATE_FAILED' });
  });

  it('is judged by what came in time, even when ax was too busy to look', async () => {
    const { evaluate } = open({ team: ROGUE });
    await evaluate(cel('ok'));
    const verdict = evaluate(cel('ok', { wallMs: 200 }));
    await new Promise((resolve) => setImmediate(resolve));
    const busyUntil = performance.now() + 600;
    while (performance.now() < busyUntil);
    expect(await verdict).toEqual({ verdict: 'pass', reason: 'rogue' });
  });
});

describe('the isolate', () => {
  const good = script('export default () => ({verdict: "pass", reason: "good"})');

  it('takes guards one after the other and answers each with its own verdict', async () => {
    const { evaluate } = open();
    const verdicts = await Promise.all([
      evaluate(script('export default () => ({verdict: "pass", reason: "first"})')),
      evaluate(script('export default () => { while (true); }')),
      evaluate(cel('task.name == "deploy"')),
      evaluate(builtin({ actor: { allow: ['release'] } })),
      evaluate(script('export default () => ({verdict: "fail", reason: "last"})')),
    ]);
    expect(verdicts).toEqual([
      { verdict: 'pass', reason: 'first' },
      { verdict: 'fail', reason: expect.stringMatching(/exceeded/) },
      { verdict: 'pass', reason: 'expression is true' },
      { verdict: 'fail', reason: expect.stringMatching(/"ci"/) },
      { verdict: 'fail', reason: 'last' },
    ]);
  });

  it('gives the evidence of moderation, and of no other guard', async () => {
    const isolate = open();
    const { evaluate } = isolates[0] as Isolate;
    const moderation = (config: object, changes: object = {}): GuardJob => ({
      kind: 'moderation',
      config,
      snapshotText: JSON.stringify({ ...JSON.parse(SNAPSHOT_TEXT), recent: [], ...changes }),
    });
    const similarity = { max: 0.5, window: '1h' };
    const { now } = JSON.parse(SNAPSHOT_TEXT);
    const runs = (count: number, title: string) =>
      Array.from({ length: count }, (_, at) => {
        const inputs = { target: 'prod', count: '3' };
        return { runId: `run-${at}`, title, description: '', inputs, at: now };
      });
    const tasked = (title: string) => ({ task: { title, description: '' } });
    expect(await evaluate(moderation({ deny: ['secret'] }))).toMatchObject({
      verdict: { verdict: 'pass' },
      finding: { kind: 'clean', compared: 0 },
    });
    expect(await evaluate(moderation({ deny: ['deploy'] }))).toMatchObject({
      verdict: { verdict: 'fail' },
      finding: { kind: 'term', field: 'title', term: 'deploy' },
    });
    expect(await evaluate(moderation({}, tasked('x'.repeat(4001))))).toMatchObject({
      verdict: { verdict: 'fail' },
      finding: { kind: 'bounds', field: 'title', problem: 'too-long', characters: 4001, limit: 4000 },
    });
    expect(await evaluate(moderation({}, { inputs: { name: '\u0000' } }))).toMatchObject({
      finding: { kind: 'bounds', field: 'inputs.name', problem: 'control-character' },
    });
    expect(await evaluate(moderation({ similarity }, { recent: runs(1, 'Deploy') }))).toMatchObject({
      verdict: { verdict: 'fail' },
      finding: { kind: 'repeat', max: 0.5, compared: 1, runId: 'run-0', score: 1 },
    });
    expect(await evaluate(moderation({ similarity }, { recent: runs(1001, 'qqq') }))).toMatchObject({
      verdict: { verdict: 'defer', retryAfterMs: 3_600_001 },
      finding: { kind: 'too-many-runs', compared: 1000, closest: { score: 0 } },
    });
    expect(await evaluate(builtin({ actor: { allow: ['ci'] } }))).not.toHaveProperty('finding');
    await isolate.close();
  });

  it('fails a built-in guard that throws, and one whose pattern backtracks for ever', async () => {
    const { evaluate } = open();
    const config = { env: { NAME: { pattern: '(x+x+)+y' } } };
    const snapshotText = JSON.stringify({ now: 0, env: { NAME: 'x'.repeat(40) } });
    const limits = { cpuMs: 100, wallMs: 300, memoryBytes: 1 };
    expect(await evaluate({ kind: 'builtin', config, snapshotText, limits })).toEqual({
      verdict: 'fail',
      reason: 'the guard exceeded its time (300 ms)',
    });
    expect(await evaluate(builtin({ actor: undefined } as never))).toMatchObject({ verdict: 'fail' });
    expect(await evaluate(builtin({ actor: { allow: ['ci'] } }))).toMatchObject({ verdict: 'pass' });
  });

  it('asks built-in guards that see the same together, and answers in their order', async () => {
    const answers = await open().evaluateBuiltins(
      [{ branch: { allow: ['main'] } }, { actor: { allow: ['root'] } }, { gitClean: true }],
      SNAPSHOT_TEXT,
    );
    expect(answers.map(({ verdict }) => verdict.verdict)).toEqual(['pass', 'fail', 'pass']);
    expect(await open().evaluateBuiltins([], SNAPSHOT_TEXT)).toEqual([]);
  });

  it('fails the one of them that throws, or whose pattern backtracks for ever, and no other', async () => {
    const throws = { rateLimit: { max: 'x', per: 5 } } as unknown as BuiltinGuard;
    const endless: BuiltinGuard = { env: { LONG: { pattern: '(a|a)*b' } } };
    const snapshotText = JSON.stringify({ ...SNAPSHOT, env: { LONG: 'a'.repeat(64) } });
    const answers = await open().evaluateBuiltins(
      [{ branch: { allow: ['main'] } }, throws, endless, { gitClean: true }],
      snapshotText,
    );
    expect(answers.map(({ verdict }) => verdict.verdict)).toEqual(['pass', 'fail', 'fail', 'pass']);
    expect(answers[1]?.verdict.reason).toContain('the guard could not be evaluated');
    expect(answers[2]?.verdict.reason).toBe('the guard exceeded its time (2000 ms)');
  });

  it.each(['verdicts of fewer', 'verdicts that are none', 'verdicts and more'])(
    'that answers with %s is asked about each by itself',
    async (mode) => {
      const rogue = createIsolate({ own: ROGUE });
      isolates.push(rogue);
      const asked = { branch: { allow: [mode] } };
      const answers = await rogue.evaluateBuiltins([asked, asked], SNAPSHOT_TEXT);
      expect(answers.map(({ verdict }) => verdict)).toEqual([
        { verdict: 'pass', reason: 'rogue' },
        { verdict: 'pass', reason: 'rogue' },
      ]);
    },
  );

  it('fails a kind of guard that it does not know', async () => {
    const { evaluate } = open();
    for (const kind of ['oracle', 'constructor', '__proto__', '']) {
      const job = { kind, snapshotText: SNAPSHOT_TEXT } as unknown as GuardJob;
      expect(await evaluate({ ...job, limits: good.limits as never })).toEqual({
        verdict: 'fail',
        reason: 'the guard could not be evaluated: no job is of this kind',
      });
    }
  });

  it('fails what is too large, or has no time, without reading further', async () => {
    const { evaluate } = open();
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
    const { evaluate, hydrate, close } = open();
    const answers = [evaluate(script('export default () => { while (true); }')), evaluate(good)];
    await close();
    for (const verdict of [...answers, evaluate(good)]) {
      expect(await verdict).toMatchObject({ verdict: 'fail' });
    }
    const job = { payload: Buffer.from('{}'), tasks: [], inputs: new Map(), timeoutMs: undefined };
    await expect(hydrate(job)).rejects.toMatchObject({ code: 'ISOLATE_FAILED' });
  });

  it('refuses guards beyond a thousand that wait', async () => {
    const { evaluate, close } = open();
    const verdicts = Array.from({ length: 1100 }, () => evaluate(good));
    expect(await verdicts[1099]).toEqual({
      verdict: 'fail',
      reason: 'the guard was not asked: too many jobs are waiting',
    });
    await close();
    expect(new Set((await Promise.all(verdicts)).map(({ verdict }) => verdict))).toEqual(new Set(['fail']));
  });

  it('can be warmed up before there is anything to evaluate', async () => {
    const { evaluate, prewarm } = open();
    prewarm(['builtin', 'moderation']);
    prewarm(['script', 'cel', 'oracle' as never]);
    prewarm([]);
    expect(await evaluate(good)).toEqual({ verdict: 'pass', reason: 'good' });
    expect(await evaluate(builtin({ actor: { allow: ['ci'] } }))).toMatchObject({ verdict: 'pass' });
  });
});
