import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { createRig, type Rig, snapshot } from '../support/rig.ts';
import { document, policyCheckShape, policyExplainShape } from '../support/shapes.ts';

/** `ax policy`: what the guards would say, without running anything. */

const EVERY_GUARD = `deploy:
  title: Deploy the site
  description: To production.
  run: [touch, started]
  params: { target: { pattern: "[a-z]+", default: web } }
  dependencies: [{ path: ax.yaml }]
  guards:
    - changeWindow: { days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "24:00", timezone: Europe/Berlin }
    - rateLimit: { max: 5, per: 1h }
    - quota: { concurrent: 1, perDay: 20, timezone: UTC }
    - branch: { allow: [main, release/*] }
    - gitClean: true
    - actor: { allow: ["uid:0", ci] }
    - env: { STAGE: { pattern: "prod|test" } }
    - keyAge: { max: 45d }
    - approvals: { threshold: 1 }
    - dependencies: true
    - moderation: { deny: [drop table], similarity: { max: 0.9, window: 1d } }
    - cel: "inputs.target in ['web', 'api']"
    - script: guards/freeze.js`;

const NAMES = [
  'changeWindow',
  'rateLimit',
  'quota',
  'branch',
  'gitClean',
  'actor',
  'env',
  'keyAge',
  'approvals',
  'dependencies',
  'moderation',
  'cel',
  'script',
];

async function everyGuard(): Promise<Rig> {
  const rig = await createRig();
  rig.write('guards/freeze.js', 'export default () => ({ verdict: "pass", reason: "no freeze" });');
  rig.write('.gitignore', '.ax/\n');
  await rig.sign(EVERY_GUARD);
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      cwd: rig.project,
      env: { PATH: rig.env.PATH ?? '', HOME: rig.base },
    });
  git('init', '--quiet', '--initial-branch', 'main');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'start');
  return rig;
}

test('ax policy explain says of every guard what it would answer and why, and does nothing', async () => {
  const rig = await everyGuard();
  const before = snapshot(rig);
  const { exitCode, stdout } = await rig.axWith(
    { env: { STAGE: 'prod' } },
    'policy',
    'explain',
    'deploy',
    '--json',
  );
  expect(exitCode).toBe(0);
  const explained = document(policyExplainShape, stdout);
  expect(explained).toMatchObject({ task: 'deploy', verdict: 'defer', retryAfterSeconds: 10 });
  expect(explained.guards.map(({ guard }) => guard)).toEqual(NAMES);
  const uid = process.getuid?.();
  for (const { guard, verdict, reason } of explained.guards) {
    const expected = guard === 'approvals' ? 'defer' : guard === 'actor' && uid !== 0 ? 'fail' : 'pass';
    expect(`${guard} ${verdict}`, reason).toBe(`${guard} ${expected}`);
  }
  expect(explained.snapshot).toMatchObject({
    phase: 'check',
    inputs: { target: 'web' },
    env: { STAGE: 'prod' },
    git: { branch: 'main', clean: true },
  });
  expect(rig.has('started')).toBe(false);
  // But for the version seen nothing in the home.
  const after = Object.keys(snapshot(rig)).filter(
    (name) => !(name in before) && !name.includes('/versions/'),
  );
  expect(after).toEqual([]);
});

test('ax policy explain for people: settings, answer and reason of each', async () => {
  const rig = await everyGuard();
  const { stdout } = await rig.ax('policy', 'explain', 'deploy');
  expect(stdout).toContain('deploy: its guards would refuse it now\n');
  expect(stdout).toContain(
    'pass   branch\n       {"allow":["main","release/*"]}\n       branch "main" is allowed by main\n',
  );
  expect(stdout).toContain(
    'fail   env\n       {"STAGE":{"pattern":"prod|test"}}\n       STAGE: expected a match of',
  );
  expect(stdout).toContain('; ask again in 10 s\n');
});

test('ax policy check: a line for each guard, every failure, and 77 when one would refuse', async () => {
  const rig = await everyGuard();
  const { exitCode, stdout } = await rig.ax('policy', 'check', '--json');
  expect(exitCode).toBe(77);
  const { ok, checks } = document(policyCheckShape, stdout);
  expect(ok).toBe(false);
  expect(checks.map(({ name }) => name)).toEqual(NAMES.map((name) => `deploy ${name}`));
  expect(checks.find(({ name }) => name === 'deploy env')?.error?.code).toBe('GUARD_BLOCKED');
  expect(checks.find(({ name }) => name === 'deploy approvals')).toMatchObject({
    error: { code: 'GUARD_DEFERRED' },
    retryAfterSeconds: 10,
  });
  expect(JSON.parse((await rig.ax('runs', '--json')).stdout).runs).toEqual([]);
});

test('ax policy check ends with 75 where waiting is all that is left to do, and with 0 where nothing is', async () => {
  const rig = await createRig();
  await rig.sign(`
    free: {run: [touch, started]}
    late: {run: [touch, started], guards: [{approvals: {threshold: 1}}]}`);
  expect((await rig.ax('policy', 'check')).exitCode).toBe(75);
  const free = await rig.ax('policy', 'check', 'free');
  expect(free).toMatchObject({ exitCode: 0, stdout: 'pass   free: no guards\n' });
  expect(rig.has('started')).toBe(false);
});

test('ax policy check: a task whose inputs nobody gave does not pass', async () => {
  const rig = await createRig();
  await rig.sign('ask: {run: [touch, started], params: {prompt: {}}, guards: [{dependencies: true}]}');
  const { exitCode, stdout } = await rig.ax('policy', 'check');
  expect(exitCode).toBe(65);
  expect(stdout).toContain('fail   ask: task ask, input prompt: expected a value, found none');
  expect((await rig.ax('policy', 'check', 'ask', '--input', 'prompt=hello')).exitCode).toBe(0);
});

test('an unknown task is 66, and a manifest that does not verify is refused as for ax run', async () => {
  const rig = await createRig();
  await rig.sign('free: {run: [touch, started]}');
  expect((await rig.ax('policy', 'explain', 'other')).exitCode).toBe(66);
  rig.write('ax.lock', rig.read('ax.lock').replace(/"sig": "./, '"sig": "A'));
  expect((await rig.ax('policy', 'check')).exitCode).toBe(77);
});

test('a declared secret that a guard looks at is not shown', async () => {
  const rig = await createRig();
  rig.write('leak.js', 'export default ({ env }) => ({ verdict: "fail", reason: "saw " + env.TOKEN });');
  await rig.sign(`
    start: {run: [touch, started], secrets: [TOKEN], guards: [{env: {TOKEN: {pattern: ".*"}}}, {script: leak.js}]}`);
  const how = { env: { TOKEN: 'canary-4711-x9' } };
  for (const args of [
    ['explain', 'start', '--json'],
    ['explain', 'start', '--verbose'],
    ['check', '--json'],
  ]) {
    const { stdout, stderr } = await rig.axWith(how, 'policy', ...args);
    expect(stdout).toContain('saw [secret:TOKEN]');
    expect(stdout + stderr).not.toContain('canary-4711-x9');
  }
});
