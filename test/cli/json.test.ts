import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createBareRig, createRig, PROJECT, type Rig } from '../support/rig.ts';
import {
  approveShape,
  cancelShape,
  document,
  errorShape,
  keysList,
  type RunLine,
  receiptsList,
  result,
  runsList,
  stream,
  verifyShape,
} from '../support/shapes.ts';

describe('ax run --json', () => {
  it('is a line for each event and output, and a last one for the result', async () => {
    const rig = await createRig();
    await rig.sign('hello: { shell: echo out }');
    const { exitCode, stdout, stderr } = await rig.ax('run', 'hello', '--json');
    expect(exitCode).toBe(0);
    expect(stderr).toBe('');
    const all = stream(stdout);
    expect(all.map(brief)).toEqual([
      'DependenciesReady BOOTSTRAPPING IDLE',
      'TaskSubmitted IDLE PREPARING',
      'DependenciesReady PREPARING EXECUTING',
      'stdout "out\\n"',
      'TelemetryFlushed EXECUTING COMPLETED',
      'result completed 0',
    ]);
    const runId = result(stdout).runs[0]?.runId ?? '';
    for (const line of all) if (line.type !== 'result') expect(line).toMatchObject({ runId, task: 'hello' });
  });

  it('has a line for a wait, and the seconds to wait where nobody does', async () => {
    const rig = await createRig();
    await rig.sign('late: { run: ["true"], guards: [{ approvals: { threshold: 1 } }] }');
    const { exitCode, stdout } = await rig.ax('run', 'late', '--json');
    expect(exitCode).toBe(75);
    expect(stream(stdout).slice(-2).map(brief)).toEqual([
      'DependenciesReady PREPARING WAITING_ON_DEP',
      'result deferred 75',
    ]);
    expect(result(stdout)).toMatchObject({ error: { code: 'GUARD_DEFERRED' }, retryAfterSeconds: 10 });
    const waited = await rig.ax('run', 'late', '--json', '--wait=50ms');
    expect(waited.exitCode).toBe(124);
    expect(stream(waited.stdout).map(brief)).toContain('waiting late');
  });

  it('tells a failing task from ax itself: the outcome, and no error of ax', async () => {
    const rig = await createRig();
    await rig.sign('fails: { shell: echo oops >&2; exit 65 }');
    const { exitCode, stdout } = await rig.ax('run', 'fails', '--json');
    expect(exitCode).toBe(65);
    expect(stream(stdout).slice(-3).map(brief)).toEqual([
      'stderr "oops\\n"',
      'RuleViolation EXECUTING FAILED',
      'result failed 65',
    ]);
    expect(result(stdout)).not.toHaveProperty('error');
  });

  it('tells a refusal from a failing task: outcome refused, with the error', async () => {
    const rig = await createRig();
    await rig.sign('deploy: { shell: touch started, params: { target: { } } }');
    const { exitCode, stdout, stderr } = await rig.ax('run', 'deploy', '--json');
    expect(exitCode).toBe(65);
    expect(stderr).toBe('');
    expect(stream(stdout).map(brief)).toEqual(['result refused 65']);
    expect(result(stdout)).toMatchObject({
      runs: [{ task: 'deploy', outcome: 'refused', exitCode: 65 }],
      error: { code: 'INPUT_INVALID', exitCode: 65 },
    });
    expect(rig.has('started')).toBe(false);
  });

  it('has skipped tasks in it', async () => {
    const rig = await createRig();
    await rig.sign('a: { shell: exit 1 }\nb: { shell: touch started, needs: [a] }');
    const { stdout } = await rig.ax('run', 'b', '--json');
    expect(result(stdout).runs).toMatchObject([
      { task: 'a', outcome: 'failed' },
      { task: 'b', outcome: 'skipped', exitCode: 0 },
    ]);
    expect(rig.has('started')).toBe(false);
  });
});

describe('ax cancel --json', () => {
  it('asks for a second word while EXECUTING, and cancels on it; then there is nothing to cancel', async () => {
    const rig = await createRig();
    await rig.sign('waits: { run: [sleep, "600"], rollback: [touch, undone] }');
    const { runId, ended } = await startExecuting(rig, 'waits');

    const first = await rig.ax('cancel', runId, '--json');
    expect(first.exitCode).toBe(77);
    const asked = document(cancelShape, first.stdout);
    if (asked.outcome !== 'confirmation-required') throw new Error(asked.outcome);
    expect(asked.error).toMatchObject({ code: 'CANCEL_CONFIRMATION_REQUIRED', exitCode: 77 });
    expect(asked.error.hint).toBe(`ax cancel ${runId} --confirm ${asked.token}`);

    const second = await rig.ax('cancel', runId, '--confirm', asked.token, '--json');
    expect(second.exitCode).toBe(0);
    expect(document(cancelShape, second.stdout)).toMatchObject({ outcome: 'canceled', runId });

    const { exitCode, stdout } = await ended;
    expect(exitCode).toBe(130);
    expect(result(stdout)).toMatchObject({ outcome: 'canceled', exitCode: 130, runs: [{ runId }] });
    expect(rig.has('undone')).toBe(true);

    const third = await rig.ax('cancel', runId, '--json');
    expect(third.exitCode).toBe(66);
    expect(document(cancelShape, third.stdout)).toMatchObject({
      outcome: 'not-running',
      error: { code: 'RUN_NOT_RUNNING' },
    });
  });

  it('says how long to wait once the limit is reached', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: ["true"] }', 'policy: { cancel: { max: 1, per: 1m } }');
    const { runs } = result((await rig.ax('run', 'hello', '--json')).stdout);
    const runId = runs[0]?.runId ?? '';
    expect((await rig.ax('cancel', runId, '--json')).exitCode).toBe(66);
    const { exitCode, stdout } = await rig.ax('cancel', runId, '--json');
    expect(exitCode).toBe(75);
    expect(document(cancelShape, stdout)).toMatchObject({
      outcome: 'rate-limited',
      error: { code: 'RATE_LIMITED', exitCode: 75 },
    });
  });

  it('of a run that is not there is an error', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: ["true"] }');
    const { exitCode, stdout } = await rig.ax('cancel', '01JDZ8', '--json');
    expect(exitCode).toBe(66);
    expect(document(errorShape, stdout).error.code).toBe('RUN_UNKNOWN');
  });
});

describe('a list', () => {
  it('of receipts goes on from page to page', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: ["true"] }');
    for (let n = 0; n < 3; n++) await rig.ax('run', 'hello');
    const first = document(receiptsList, (await rig.ax('receipts', 'list', '--limit', '2', '--json')).stdout);
    expect(first.receipts).toHaveLength(2);
    expect(first.next).toBe(first.receipts[1]?.id);
    const args = ['receipts', 'list', '--limit', '2', '--before', first.next ?? '', '--json'];
    const second = document(receiptsList, (await rig.ax(...args)).stdout);
    expect(second.receipts).toHaveLength(1);
    expect(second).not.toHaveProperty('next');
    const ids = [...first.receipts, ...second.receipts].map(({ id }) => id);
    expect(ids).toEqual([...ids].sort().reverse());
    expect(new Set(ids).size).toBe(3);
  });

  it('of runs says how each ended', async () => {
    const rig = await createRig();
    await rig.sign('a: { run: ["true"] }\nb: { shell: exit 4 }');
    await rig.ax('run', 'a', 'b');
    const { runs } = document(runsList, (await rig.ax('runs', '--json')).stdout);
    expect(runs).toMatchObject([
      { task: 'b', state: 'FAILED', outcome: 'failed', exitCode: 4, supervisorAlive: false },
      { task: 'a', state: 'COMPLETED', outcome: 'completed', exitCode: 0, attempt: 1 },
    ]);
    const status = await rig.ax('status', runs[0]?.runId ?? '', '--json');
    expect(document(runsList, status.stdout).runs).toEqual(runs.slice(0, 1));
  });

  it('of keys has no private part in it', async () => {
    const rig = await createRig();
    await rig.ax('keys', 'rotate');
    const { stdout } = await rig.ax('keys', 'list', '--json');
    const { keys } = document(keysList, stdout);
    expect(keys.map(({ role, algorithm, state }) => [role, algorithm, state])).toEqual([
      ['signing', 'Ed25519', 'active'],
      ['receipt', 'A256KW', 'retired'],
      ['host', 'Ed25519', 'active'],
      ['receipt', 'A256KW', 'active'],
    ]);
    for (const { role, createdAt, dueAt } of keys) {
      expect(Date.parse(dueAt) - Date.parse(createdAt)).toBe(
        (role === 'signing' ? 45 : 90) * 24 * 60 * 60 * 1000,
      );
    }
  });
});

describe('ax approve --json', () => {
  it('names the file that it made, and what it approves', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: ["true"] }');
    const { exitCode, stdout } = await rig.ax('approve', 'hello', '--yes', '--output', 'a.json', '--json');
    expect(exitCode).toBe(0);
    expect(document(approveShape, stdout)).toMatchObject({
      file: join(rig.project, 'a.json'),
      project: PROJECT,
      task: 'hello',
    });
  });
});

describe('ax verify --json', () => {
  it('has a check for each thing that was checked', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: ["true"] }');
    const { exitCode, stdout } = await rig.ax('verify', '--json');
    expect(exitCode).toBe(0);
    const { ok, checks } = document(verifyShape, stdout);
    expect(ok).toBe(true);
    expect(checks.map(({ name }) => name)).toEqual([
      'envelope',
      'signatures',
      'payload',
      'project',
      'validity',
      'version',
      'source',
      'receipt key',
    ]);
  });
});

describe('any failure with --json', () => {
  it.each<[string, string[], number, string]>([
    ['usage', ['run', '--json'], 64, 'USAGE'],
    ['an unknown option', ['verify', '--nope', '--json'], 64, 'USAGE'],
    ['no project', ['run', 'hello', '--json'], 66, 'MANIFEST_MISSING'],
    ['no receipt', ['receipts', 'show', '01JDZ8', '--json'], 66, 'RECEIPT_UNKNOWN'],
    ['an age that is too low', ['receipts', 'prune', '--older-than', '5m', '--json'], 64, 'USAGE'],
    ['no key', ['sign', '--json'], 66, 'KEY_UNKNOWN'],
    ['no trust', ['trust', 'remove', 'acme/web', '--json'], 66, 'PROJECT_UNKNOWN'],
    ['a file that is not there', ['trust', 'import', 'trust.json', '--json'], 74, 'IO'],
    ['no such setting', ['config', 'get', 'colour', '--json'], 78, 'SETTING_INVALID'],
  ])('is one document on stdout, and nothing on stderr: %s', async (_, args, status, code) => {
    const rig = createBareRig();
    const { exitCode, stdout, stderr } = await rig.ax(...args);
    expect(exitCode).toBe(status);
    expect(stderr).toBe('');
    const { error } = document(errorShape, stdout);
    expect(error).toMatchObject({ code, exitCode: status });
    expect(error.hint).toBeTypeOf('string');
  });
});

function brief(line: RunLine): string {
  switch (line.type) {
    case 'event':
      return `${line.event} ${line.fromState} ${line.toState}`;
    case 'output':
      return `${line.stream} ${JSON.stringify(line.text)}`;
    case 'waiting':
      return `waiting ${line.task}`;
    case 'result':
      return `result ${line.outcome} ${line.exitCode}`;
  }
}

/** Starts a run and waits until its task is executing. */
async function startExecuting(rig: Rig, task: string) {
  const ended = rig.start('run', task, '--json');
  let text = '';
  const runId = await new Promise<string>((resolve, reject) => {
    ended.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      const line = stream(whole).find((one) => one.type === 'event' && one.toState === 'EXECUTING');
      if (line?.type === 'event') resolve(line.runId);
    });
    ended.stdout.once('end', () => reject(new Error(`${task} was never executing: ${text}`)));
  });
  return { runId, ended };
}
