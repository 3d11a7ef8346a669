import { expect, test } from 'vitest';
import { receipts, statement } from '../support/evidence.ts';
import { createRig, type Rig } from '../support/rig.ts';

/** Guards through the real binary: what starts, what does not, and what is on record of it. */

const ALWAYS =
  'changeWindow: {days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "24:00", timezone: UTC}';
const NEVER = 'actor: {allow: [nobody-of-this-name]}';

interface Evaluation {
  guard: string;
  verdict: string;
  phase: string;
  reason: string;
}

async function audit<T>(rig: Rig, type: string): Promise<T[]> {
  const { stdout } = await rig.ax('audit', 'list', '--type', type, '--limit', '1000', '--json');
  return JSON.parse(stdout).records.map(({ data }: { data: T }) => data);
}

const evaluations = (rig: Rig) => audit<Evaluation>(rig, 'guard.evaluation');

async function newestRun(rig: Rig) {
  return JSON.parse((await rig.ax('runs', '--json')).stdout).runs[0];
}

/** `start: {run: [touch, started], …}` with these guards, one a line. */
async function signGuarded(rig: Rig, guards: readonly string[], head = ''): Promise<void> {
  const list = guards.map((guard) => `    - ${guard}`).join('\n');
  await rig.sign(`start:\n  run: [touch, started]\n  guards:\n${list}`, head);
}

async function resultOf(rig: Rig, ...args: string[]) {
  const { exitCode, stdout } = await rig.ax('run', ...args, '--json');
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return { exitCode, lines, result: lines.at(-1) };
}

test('a task whose guards all pass starts, and both answers of each are in its receipt and on record', async () => {
  const rig = await createRig();
  await signGuarded(rig, [ALWAYS, 'rateLimit: {max: 2, per: 1h}', 'dependencies: true']);
  expect((await rig.ax('run', 'start')).exitCode).toBe(0);
  expect(rig.has('started')).toBe(true);
  const expected = ['check', 'spawn'].flatMap((phase) =>
    ['changeWindow', 'rateLimit', 'dependencies'].map((guard) => ({ guard, phase, verdict: 'pass' })),
  );
  expect(await evaluations(rig)).toMatchObject(expected);
  const { guards } = (await statement(rig)) as { guards: { mac: string; verdict: object }[] };
  expect(guards).toMatchObject(
    expected.map(({ guard, phase, verdict }) => ({ guard, phase, verdict: { verdict } })),
  );
  for (const { mac } of guards) expect(mac).toMatch(/^[\w-]{43}$/);
});

test('one guard that fails refuses the task; all of them are asked and recorded', async () => {
  const rig = await createRig();
  await signGuarded(rig, [NEVER, ALWAYS, 'approvals: {threshold: 1}']);
  const ran = await rig.ax('run', 'start');
  expect(ran.exitCode).toBe(77);
  expect(ran.stderr).toContain(
    'error[GUARD_BLOCKED]: task start: blocked by its guards: actor: expected one of',
  );
  expect(ran.stderr).toContain('hint: ax policy explain start');
  expect(rig.has('started')).toBe(false);
  expect(await evaluations(rig)).toMatchObject([
    { guard: 'actor', verdict: 'fail', phase: 'check' },
    { guard: 'changeWindow', verdict: 'pass', phase: 'check' },
    { guard: 'approvals', verdict: 'defer', phase: 'check' },
  ]);
  const moves = await audit<{ status: string; reason: string; to: string }>(rig, 'run.transition');
  expect(moves.at(-1)).toMatchObject({ status: 'rejected', to: 'PREPARING' });
  expect(moves.at(-1)?.reason).toMatch(/^Guard blocked transition: actor: /);
  expect(await newestRun(rig)).toMatchObject({ state: 'PREPARING', outcome: 'refused' });
  expect(await receipts(rig)).toMatchObject([{ outcome: 'refused', task: 'start' }]);
});

test('guards of the policy are every task’s, and are asked first', async () => {
  const rig = await createRig();
  await signGuarded(rig, [ALWAYS], `policy:\n  guards:\n    - ${NEVER}`);
  expect((await rig.ax('run', 'start')).exitCode).toBe(77);
  expect((await evaluations(rig)).map(({ guard }) => guard)).toEqual(['actor', 'changeWindow']);
  expect(rig.has('started')).toBe(false);
});

test('the sixth block within ten minutes raises a critical alert, once', async () => {
  const rig = await createRig();
  await signGuarded(rig, [NEVER]);
  for (let turn = 0; turn < 7; turn += 1) expect((await rig.ax('run', 'start')).exitCode).toBe(77);
  expect(await audit(rig, 'alert')).toEqual([
    { alert: 'guard-blocks', severity: 'critical', occurrences: 6, windowSeconds: 600 },
  ]);
});

test('a deferral ends with 75, how long to wait, and a run that can be gone on with', async () => {
  const rig = await createRig();
  await signGuarded(rig, ['rateLimit: {max: 1, per: 1h}']);
  expect((await rig.ax('run', 'start')).exitCode).toBe(0);
  const { exitCode, lines, result } = await resultOf(rig, 'start');
  expect(exitCode).toBe(75);
  expect(result).toMatchObject({
    outcome: 'deferred',
    exitCode: 75,
    runs: [{ task: 'start', outcome: 'deferred' }],
    error: { code: 'GUARD_DEFERRED' },
  });
  expect(result.retryAfterSeconds).toBeGreaterThan(3500);
  expect(result.retryAfterSeconds).toBeLessThanOrEqual(3600);
  expect(lines.filter(({ type }) => type === 'event').at(-1)).toMatchObject({ toState: 'WAITING_ON_DEP' });
  expect(await newestRun(rig)).toMatchObject({ state: 'WAITING_ON_DEP', outcome: 'deferred' });
  expect((await receipts(rig))[0]).toMatchObject({ outcome: 'deferred' });

  const { runId } = await newestRun(rig);
  expect((await rig.ax('retry', runId)).exitCode).toBe(75);
  expect(await newestRun(rig)).toMatchObject({ runId, attempt: 2, outcome: 'deferred' });
});

test('with --wait it waits until there is room, and says so', async () => {
  const rig = await createRig();
  await signGuarded(rig, ['rateLimit: {max: 1, per: 2s}']);
  expect((await rig.ax('run', 'start')).exitCode).toBe(0);
  const ran = await rig.ax('run', 'start', '--wait');
  expect(ran.exitCode).toBe(0);
  expect(ran.stderr).toMatch(
    /ax: start waits: rateLimit: 1 start in 2s, at most 1; room at .*asked again at/,
  );
  const moves = await audit<{ from: string; to: string }>(rig, 'run.transition');
  expect(moves.map(({ from, to }) => `${from} ${to}`)).toContain('WAITING_ON_DEP PREPARING');
});

test('--wait=DURATION is the most that it waits: then the machine is told of the timeout', async () => {
  const rig = await createRig();
  await signGuarded(rig, ['approvals: {threshold: 1}']);
  const ran = await rig.ax('run', 'start', '--wait=100ms');
  expect(ran.exitCode).toBe(124);
  expect(ran.stderr).toContain(
    'error[TIMED_OUT]: task start: waited 100ms for its guards: approvals: 0 of 1',
  );
  expect(rig.has('started')).toBe(false);
  expect(await newestRun(rig)).toMatchObject({ state: 'FAILED', outcome: 'timed-out' });
  const moves = await audit<{ event: string; from: string; to: string }>(rig, 'run.transition');
  expect(moves.at(-1)).toMatchObject({ event: 'Timeout', from: 'WAITING_ON_DEP', to: 'FAILED' });
});

test('--wait stands before or after the tasks, and takes its duration with =', async () => {
  const rig = await createRig();
  await signGuarded(rig, [ALWAYS]);
  expect((await rig.ax('run', '--wait', 'start')).exitCode).toBe(0);
  const ran = await rig.ax('run', 'start', '--wait=soon');
  expect(ran.exitCode).toBe(64);
  expect(ran.stderr).toContain('--wait: expected a duration, found "soon"');
});

test('a deferred task gives its place to others, and what needs it is skipped', async () => {
  const rig = await createRig();
  await rig.sign(`
    late: {run: [touch, late], guards: [{approvals: {threshold: 1}}]}
    after: {run: [touch, after], needs: [late]}
    other: {run: [touch, other]}`);
  const { exitCode, result } = await resultOf(rig, 'late', 'after', 'other', '--jobs', '1');
  expect(exitCode).toBe(75);
  expect(result.runs.map(({ task, outcome }: { task: string; outcome: string }) => [task, outcome])).toEqual([
    ['late', 'deferred'],
    ['after', 'skipped'],
    ['other', 'completed'],
  ]);
  expect(['late', 'after', 'other'].filter((name) => rig.has(name))).toEqual(['other']);
});

test('a failure beside a deferral is what the whole comes to', async () => {
  const rig = await createRig();
  await rig.sign(`
    late: {run: [touch, late], guards: [{approvals: {threshold: 1}}]}
    bad: {shell: exit 3}`);
  const { exitCode, result } = await resultOf(rig, 'late', 'bad');
  expect(exitCode).toBe(3);
  expect(result.outcome).toBe('failed');
  expect(rig.has('late')).toBe(false);
});

test('a waiting run is canceled without a second word, and does not start', async () => {
  const rig = await createRig();
  await signGuarded(rig, ['approvals: {threshold: 1}']);
  const waiting = rig.start('run', 'start', '--wait');
  const ended = waiting.then(({ exitCode, stderr }) => ({ exitCode, stderr }));
  await new Promise<void>((resolve) => {
    waiting.stderr?.on('data', (chunk: Buffer) => chunk.includes('start waits') && resolve());
  });
  const { runId, state } = await newestRun(rig);
  expect(state).toBe('WAITING_ON_DEP');
  expect((await rig.ax('cancel', runId)).exitCode).toBe(0);
  expect((await ended).exitCode).toBe(130);
  expect(rig.has('started')).toBe(false);
  expect(await newestRun(rig)).toMatchObject({ state: 'CANCELED', outcome: 'canceled' });
});

test('a script that answers is asked twice, sees frozen facts, and decides', async () => {
  const rig = await createRig();
  rig.write(
    'guards/only-web.js',
    `export default ({ inputs, phase, run }) =>
      inputs.target === 'web'
        ? { verdict: 'pass', reason: \`\${phase} of attempt \${run.attempt}\` }
        : { verdict: 'fail', reason: 'only web' };`,
  );
  await rig.sign(`
    start: {run: [touch, "started-{{target}}"], params: {target: {default: web}}, guards: [{script: ./guards/only-web.js}]}`);
  expect((await rig.ax('run', 'start')).exitCode).toBe(0);
  expect((await evaluations(rig)).map(({ reason }) => reason)).toEqual([
    'check of attempt 1',
    'spawn of attempt 1',
  ]);
  const refused = await rig.ax('run', 'start', '--input', 'target=api');
  expect(refused.exitCode).toBe(77);
  expect(refused.stderr).toContain('blocked by its guards: script: only web');
  expect(rig.has('started-api')).toBe(false);
});

test('a script is pinned by its digest: another one is refused, and nothing of it runs', async () => {
  const rig = await createRig();
  rig.write('freeze.js', 'export default () => ({ verdict: "fail", reason: "frozen" });');
  await signGuarded(rig, ['script: freeze.js']);
  rig.write('freeze.js', 'export default () => ({ verdict: "pass", reason: "thawed" });');
  const ran = await rig.ax('run', 'start');
  expect(ran.exitCode).toBe(76);
  expect(ran.stderr).toContain('error[DEPENDENCY_CHANGED]: not what was signed: freeze.js: changed');
  expect(rig.has('started')).toBe(false);
  expect(await evaluations(rig)).toEqual([]);
});

test('a script that changes its mind is refused before the start, and its retries are not made', async () => {
  const rig = await createRig();
  rig.write(
    'fickle.js',
    'export default ({ phase }) => ({ verdict: phase === "check" ? "pass" : "fail", reason: phase });',
  );
  await rig.sign(
    'start: {run: [touch, started], rollback: [touch, undone], retries: {max: 3, backoff: 1ms}, guards: [{script: fickle.js}]}',
  );
  const ran = await rig.ax('run', 'start');
  expect(ran.exitCode).toBe(77);
  expect(ran.stderr).toContain('script: spawn (asked again right before the start)');
  expect(rig.has('started')).toBe(false);
  expect(rig.has('undone')).toBe(false);
  expect(await newestRun(rig)).toMatchObject({ state: 'FAILED', outcome: 'refused', attempt: 1 });
});

test.each([
  ['loops', 'export default () => { for (;;); };'],
  ['throws', 'export default () => { throw new Error("no"); };'],
  [
    'allocates without end',
    'export default () => { const a = []; for (;;) a.push("x".repeat(1e6) + a.length); };',
  ],
  ['returns "true"', 'export default () => "true";'],
  ['returns 1', 'export default () => 1;'],
  ['returns a promise', 'export default async () => ({ verdict: "pass", reason: "" });'],
  ['returns another object', 'export default () => ({ ok: true });'],
  [
    'returns two answers',
    'export default () => [{ verdict: "pass", reason: "" }, { verdict: "pass", reason: "" }];',
  ],
  ['reaches for process', 'export default () => ({ verdict: process.pid ? "pass" : "pass", reason: "" });'],
  ['reaches for fetch', 'export default () => (fetch("http://127.0.0.1"), { verdict: "pass", reason: "" });'],
  ['reaches for timers', 'export default () => (setTimeout(() => {}, 1), { verdict: "pass", reason: "" });'],
  ['reaches for files', 'import "node:fs"; export default () => ({ verdict: "pass", reason: "" });'],
])('a script that %s is a fail, and the guard after it is asked as if it had not been', async (_, source) => {
  const rig = await createRig();
  rig.write('hostile.js', source);
  rig.write('honest.js', 'export default () => ({ verdict: "pass", reason: "honest" });');
  await signGuarded(rig, ['script: hostile.js', 'script: honest.js', 'cel: "true"']);
  expect((await rig.ax('run', 'start')).exitCode).toBe(77);
  expect(rig.has('started')).toBe(false);
  expect(await evaluations(rig)).toMatchObject([
    { guard: 'script', verdict: 'fail' },
    { guard: 'script', verdict: 'pass', reason: 'honest' },
    { guard: 'cel', verdict: 'pass' },
  ]);
});

test('an expression decides on what it sees', async () => {
  const rig = await createRig();
  await rig.sign(`
    start: {run: [touch, started], params: {target: {default: web}}, guards: [{cel: "inputs.target == 'web' && task.name == 'start'"}]}`);
  expect((await rig.ax('run', 'start')).exitCode).toBe(0);
  expect((await rig.ax('run', 'start', '--input', 'target=api')).exitCode).toBe(77);
});

test('moderation: a denied term in an input, however it is dressed up; the finding is on record, the text is not', async () => {
  const rig = await createRig();
  await rig.sign(
    'ask: {run: [touch, started], params: {prompt: {}}, guards: [{moderation: {deny: [drop table]}}]}',
  );
  const refused = await rig.ax('run', 'ask', '--input', 'prompt=please DR0P the-Tables; now');
  expect(refused.exitCode).toBe(0);
  const denied = await rig.ax('run', 'ask', '--input', 'prompt=please d.r.o.p tаbles now');
  expect(denied.exitCode).toBe(77);
  expect(denied.stderr).toContain('inputs.prompt: has the denied term "drop table"');
  const [last] = (await audit<{ finding?: object; verdict: string }>(rig, 'guard.evaluation')).slice(-1);
  expect(last).toMatchObject({
    verdict: 'fail',
    finding: { kind: 'term', field: 'inputs.prompt', term: 'drop table' },
  });
  expect(JSON.stringify(await audit(rig, 'guard.evaluation'))).not.toContain('please');
});

test('moderation: a repeat of a recent run is refused, an honest variation is not', async () => {
  const rig = await createRig();
  await rig.sign(
    'ask: {title: Answer a question, run: [touch, started], params: {prompt: {}}, guards: [{moderation: {similarity: {max: 0.8, window: 1h}}}]}',
  );
  const ask = (prompt: string) => rig.ax('run', 'ask', '--input', `prompt=${prompt}`);
  expect((await ask('summarise the incident report of Tuesday for the board')).exitCode).toBe(0);
  const { runId } = await newestRun(rig);
  const again = await ask('Summarise  the incident report of Tuesday, for the board!');
  expect(again.exitCode).toBe(77);
  expect(again.stderr).toContain(`repeats run ${runId}`);
  expect((await ask('translate the release notes of version four into Portuguese')).exitCode).toBe(0);
});

test('a declared secret that a script repeats is masked wherever its reason is kept or shown', async () => {
  const rig = await createRig();
  rig.write('leak.js', 'export default ({ env }) => ({ verdict: "fail", reason: "saw " + env.TOKEN });');
  await rig.sign(`
    start: {run: [touch, started], secrets: [TOKEN], guards: [{env: {TOKEN: {pattern: ".*"}}}, {script: leak.js}]}`);
  const ran = await rig.axWith({ env: { TOKEN: 'canary-4711-x9' } }, 'run', 'start', '--json');
  expect(ran.exitCode).toBe(77);
  expect(ran.stdout + ran.stderr).not.toContain('canary-4711-x9');
  expect(ran.stdout).toContain('saw [secret:TOKEN]');
  expect((await rig.ax('audit', 'list', '--json')).stdout).not.toContain('canary-4711-x9');
});

test('what is wrong with a guard is said with line and column, and nothing is signed', async () => {
  const rig = await createRig();
  rig.manifest('start:\n  run: [touch, started]\n  guards:\n    - rateLimt: {max: 1, per: 1h}');
  const signed = await rig.ax('sign');
  expect(signed.exitCode).toBe(65);
  expect(signed.stderr).toMatch(
    /ax\.yaml:\d+:\d+: tasks\.start\.guards\.0: expected one guard, of changeWindow/,
  );
  expect(rig.has('ax.lock')).toBe(false);
});

test('a guard script that is not there, or a folder, cannot be signed', async () => {
  const rig = await createRig();
  rig.manifest('start: {run: [touch, started], guards: [{script: missing.js}]}');
  expect((await rig.ax('sign')).exitCode).toBe(76);
  rig.write('folder/file.js', 'x');
  rig.manifest('start: {run: [touch, started], guards: [{script: folder}]}');
  const signed = await rig.ax('sign');
  expect(signed.exitCode).toBe(65);
  expect(signed.stderr).toContain('guard script folder: expected a file');
  expect(rig.has('ax.lock')).toBe(false);
});
