import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { activeKey } from '../../src/store/keyring.ts';
import { countByKey } from '../../src/store/receipts.ts';
import { listRuns } from '../../src/store/runs.ts';
import {
  type CrashRig,
  createRig,
  expectDone,
  isStopped,
  type Running,
  stepsToTry,
  until,
  verifyReceipts,
} from '../support/crash-rig.ts';

let rig: CrashRig;

afterEach(() => rig.remove());

test('SIGKILL at each step of a removal: every receipt opens, and the same command finishes', {
  timeout: 120_000,
}, async () => {
  rig = await createRig({ hello: { run: ['echo', 'hello'] } });
  await expectDone(rig, ['run', 'hello']);
  const command = async () => ['keys', 'remove', await retire(), '--yes'];
  const steps = await rig.countSteps(await command());
  expect(steps).toBeGreaterThan(5);
  for (const at of stepsToTry(steps)) {
    const args = await command();
    const { signal } = await rig.ax(args, { atStep: { at, signal: 'SIGKILL' } });
    expect(signal, `step ${at} of ${steps}`).toBe('SIGKILL');
    expect(verifyReceipts(rig)).toHaveLength(1);
    const isThere = () => rig.keyring().some(({ kid }) => kid === args[2]);
    // It goes with the last step but one.
    expect(isThere()).toBe(at < steps);
    if (isThere()) await expectDone(rig, args);
    expect(isThere()).toBe(false);
  }
  await expectDone(rig, ['run', 'hello']);
  expect(verifyReceipts(rig)).toHaveLength(2);
  await expectDone(rig, ['audit', 'verify']);
});

test.skipIf(process.platform !== 'linux')(
  'a run that has read the keyring before the key was rotated and removed is refused before anything is started',
  async () => {
    rig = await createRig({ mark: { run: ['touch', 'marker'] }, hello: { run: ['echo', 'hello'] } });
    await expectDone(rig, ['run', 'hello']);
    const late = rig.start(['run', 'mark'], {
      atStep: { at: 1, signal: 'SIGSTOP', only: 'BEGIN IMMEDIATE' },
    });
    await untilStopped(late);
    const kid = await retire();
    await expectDone(rig, ['keys', 'remove', kid, '--yes']);
    late.kill('SIGCONT');
    const { status, stderr } = await late.ended;
    expect(status).toBe(66);
    expect(stderr).toContain(`ax: error[KEY_UNKNOWN]: the key ${kid} was removed`);
    expect(existsSync(join(rig.project, 'marker'))).toBe(false);
    expect(runs()).toHaveLength(1);
    expect(verifyReceipts(rig)).toHaveLength(1);
    await expectDone(rig, ['run', 'mark']);
    expect(verifyReceipts(rig)).toHaveLength(2);
  },
);

test.skipIf(process.platform !== 'linux').each([
  ['which it enters itself', 'renameSync', false],
  ['which another run has entered meanwhile', 'openSync', true],
] as const)(
  'a run that has read the keyring before a removal, in a store %s after it, seals to the key that is active then',
  async (_, only, another) => {
    rig = await createRig({ hello: { run: ['echo', 'hello'] } });
    await expectDone(rig, ['run', 'hello']);
    const env = { AX_STORE: join(rig.root, 'new-store') };
    const late = rig.start(['run', 'hello'], { env, atStep: { at: 1, signal: 'SIGSTOP', only } });
    await untilStopped(late);
    // The removal does not know of the new store.
    await expectDone(rig, ['keys', 'remove', await retire(), '--yes']);
    if (another) await expectDone(rig, ['run', 'hello'], { env });
    late.kill('SIGCONT');
    expect((await late.ended).status).toBe(0);
    const { stdout } = await expectDone(rig, ['receipts', 'list', '--json'], { env });
    const active = activeKey(rig.keyring(), 'receipt')?.kid;
    const { receipts } = JSON.parse(stdout) as { receipts: { recipients: string[] }[] };
    expect(receipts.map(({ recipients }) => recipients)).toEqual(Array(another ? 2 : 1).fill([active]));
    await expectDone(rig, ['receipts', 'verify', '--all'], { env });
  },
);

test.skipIf(process.platform !== 'linux')(
  'an import that has read the keyring before a removal stores nothing under the key, and a rerun does it',
  async () => {
    rig = await createRig({ hello: { run: ['echo', 'hello'] } });
    await expectDone(rig, ['run', 'hello']);
    const legacy = join(rig.root, 'tmp');
    const receipt = { kind: 'build', planHash: 'a'.repeat(64), createdAt: '2024-01-01T00:00:00.000Z' };
    writeFileSync(join(legacy, 'one.json'), JSON.stringify(receipt));
    const args = ['receipts', 'import', '--legacy', legacy];
    const late = rig.start(args, { atStep: { at: 1, signal: 'SIGSTOP', only: 'BEGIN IMMEDIATE' } });
    await untilStopped(late);
    await expectDone(rig, ['keys', 'remove', await retire(), '--yes']);
    late.kill('SIGCONT');
    expect((await late.ended).status).toBe(66);
    expect(verifyReceipts(rig)).toHaveLength(1);
    await expectDone(rig, args);
    const database = rig.open();
    expect([...countByKey(database)]).toEqual([[activeKey(rig.keyring(), 'receipt')?.kid, 2]]);
    database.close();
  },
);

test('while a run goes on, its key stays, and its receipt is kept', async () => {
  rig = await createRig({
    wait: { run: ['sh', '-c', 'echo started; while ! test -e go; do sleep 0.05; done'] },
  });
  const running = rig.start(['run', 'wait']);
  await running.saw(/started/);
  const kid = await retire();
  const refused = await rig.ax(['keys', 'remove', kid, '--yes']);
  expect(refused).toMatchObject({ status: 77, stdout: '' });
  expect(refused.stderr).toContain(`KEY_IN_USE]: run ${runs()[0]?.id} in `);
  expect(rig.keyring().map((key) => key.kid)).toContain(kid);
  writeFileSync(join(rig.project, 'go'), '');
  expect((await running.ended).status).toBe(0);
  expect((await rig.ax(['keys', 'remove', kid, '--yes'])).stderr).toContain('1 receipt(s) in ');
  await expectDone(rig, ['keys', 'rotate', '--catch-up']);
  await expectDone(rig, ['keys', 'remove', kid, '--yes']);
  expect(verifyReceipts(rig)).toHaveLength(1);
});

/** Rotates the receipt key. @returns the one that it took over from */
async function retire(): Promise<string> {
  const kid = activeKey(rig.keyring(), 'receipt')?.kid ?? '';
  await expectDone(rig, ['keys', 'rotate']);
  return kid;
}

function runs() {
  const database = rig.open();
  try {
    return listRuns(database, -1);
  } finally {
    database.close();
  }
}

async function untilStopped({ pid, ended }: Running): Promise<void> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  await until('a stop', () => !over && isStopped(pid));
}
