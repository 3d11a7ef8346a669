import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createRig, type Rig } from '../support/rig.ts';

/** A run keeps its id over its attempts; every attempt has a receipt of its own. */

interface Listed {
  id: string;
  runId: string;
  attempt: number;
  outcome: string;
}

async function receiptsOf(rig: Rig): Promise<Listed[]> {
  return JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout).receipts.reverse();
}

/** No such process, or only its entry in the table, which its parent has not collected. */
function isGone(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/, ''));
  } catch {
    return true;
  }
}

async function newestRun(rig: Rig) {
  return JSON.parse((await rig.ax('runs', '--json')).stdout).runs[0];
}

test('a task with retries is tried again until it succeeds, within its signed budget', async () => {
  const rig = await createRig();
  await rig.sign(
    'flaky: {shell: "echo x >> tries; test $(wc -l < tries) -eq 3", retries: {max: 4, backoff: 1ms}}',
  );
  const { exitCode, stderr } = await rig.ax('run', 'flaky');
  expect(exitCode).toBe(0);
  expect(stderr.match(/trying again/g)).toHaveLength(2);
  expect(rig.read('tries')).toBe('x\nx\nx\n');
  const receipts = await receiptsOf(rig);
  expect(receipts.map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
    [1, 'failed'],
    [2, 'failed'],
    [3, 'completed'],
  ]);
  expect(new Set(receipts.map(({ runId }) => runId)).size).toBe(1);
  for (const { id } of receipts) expect((await rig.ax('receipts', 'verify', id)).exitCode).toBe(0);
});

test('when the budget is used up, the task’s own status is the result', async () => {
  const rig = await createRig();
  await rig.sign('bad: {shell: "echo x >> tries; exit 9", retries: {max: 2, backoff: 1ms, maxBackoff: 2ms}}');
  expect((await rig.ax('run', 'bad')).exitCode).toBe(9);
  expect(rig.read('tries')).toBe('x\nx\nx\n');
  expect(await newestRun(rig)).toMatchObject({ state: 'FAILED', outcome: 'failed', attempt: 3 });
});

test('what is refused is not tried again', async () => {
  const rig = await createRig();
  rig.write('tool.sh', '#!/bin/sh\necho ran >> marker\n', 0o755);
  await rig.sign('t: {run: [./tool.sh], retries: {max: 5, backoff: 1ms}}');
  rig.write('tool.sh', '#!/bin/sh\necho other >> marker\n', 0o755);
  expect((await rig.ax('run', 't')).exitCode).toBe(76);
  expect(rig.has('marker')).toBe(false);
  expect(await receiptsOf(rig)).toHaveLength(1);
});

test('ax retry goes on with a failed run, and verifies anew', async () => {
  const rig = await createRig();
  await rig.sign('t: {shell: "echo $AX_INPUT_WHO; test -e ok", params: {who: {default: nobody}}}');
  expect((await rig.ax('run', 't', '--input', 'who=alice')).exitCode).toBe(1);
  const { runId } = await newestRun(rig);

  const others = await rig.ax('retry', runId);
  expect(others.exitCode).toBe(65);
  expect(others.stderr).toContain('expected the inputs and arguments that it had at first');

  rig.write('ok', '');
  const again = await rig.ax('retry', runId, '--input', 'who=alice', '--quiet');
  expect(again).toMatchObject({ exitCode: 0, stdout: 'alice\n' });
  expect(await newestRun(rig).then(() => rig.ax('status', runId, '--json'))).toMatchObject({ exitCode: 0 });
  const { runs } = JSON.parse((await rig.ax('status', runId, '--json')).stdout);
  expect(runs).toMatchObject([{ runId, attempt: 2, outcome: 'completed', state: 'COMPLETED' }]);

  const done = await rig.ax('retry', runId, '--input', 'who=alice');
  expect(done.exitCode).toBe(77);
  expect(done.stderr).toContain('RUN_NOT_RETRYABLE');
});

test('ax retry does not run what is no longer what was signed', async () => {
  const rig = await createRig();
  rig.write('tool.sh', '#!/bin/sh\nexit 1\n', 0o755);
  await rig.sign('t: {run: [./tool.sh]}');
  expect((await rig.ax('run', 't')).exitCode).toBe(1);
  const { runId } = await newestRun(rig);
  rig.write('tool.sh', '#!/bin/sh\ntouch marker\n', 0o755);
  expect((await rig.ax('retry', runId)).exitCode).toBe(76);
  expect(rig.has('marker')).toBe(false);
});

test('a task whose needs are not done waits in its own state, and is skipped when they fail', async () => {
  const rig = await createRig();
  await rig.sign('first: {run: ["false"]}\nsecond: {shell: "touch marker", needs: [first]}');
  const { exitCode, stdout } = await rig.ax('run', 'second', '--json');
  expect(exitCode).toBe(1);
  expect(rig.has('marker')).toBe(false);
  const moves = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter((line) => line.type === 'event' && line.task === 'second')
    .map(({ event, toState }) => `${event} ${toState}`);
  expect(moves).toEqual([
    'DependenciesReady IDLE',
    'TaskSubmitted PREPARING',
    'DependenciesReady WAITING_ON_DEP',
    'CancelRequest CANCELED',
  ]);
});

test('a run whose ax was killed is settled by the next command, with a receipt, and is not run again', async () => {
  const rig = await createRig();
  await rig.sign('long: {shell: "echo $$ > pid; echo begun; exec sleep 600"}');
  const running = rig.start('run', 'long', '--quiet');
  await new Promise((resolve) => running.stdout?.once('data', resolve));
  running.kill('SIGKILL');
  await running;

  const { stderr, stdout } = await rig.ax('runs', '--json');
  expect(stderr).toMatch(/^ax: warning: run \w+ of long lost its supervisor; settled, receipt \w+\n$/);
  expect(JSON.parse(stdout).runs).toMatchObject([{ task: 'long', state: 'FAILED', outcome: 'failed' }]);
  const child = Number(rig.read('pid'));
  await expect.poll(() => isGone(child)).toBe(true);
  const [receipt] = await receiptsOf(rig);
  const { predicate } = JSON.parse((await rig.ax('receipts', 'decrypt', receipt?.id ?? '')).stdout);
  expect(predicate).toMatchObject({ outcome: 'failed', error: { code: 'SUPERVISOR_LOST' } });
  expect((await rig.ax('runs')).stderr).toBe('');
});
