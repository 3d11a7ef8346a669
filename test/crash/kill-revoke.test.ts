import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { verifyAudit } from '../../src/store/audit.ts';
import { activeKey } from '../../src/store/keyring.ts';
import { type CrashRig, createRig, expectDone, stepsToTry } from '../support/crash-rig.ts';

let rig: CrashRig;

afterEach(() => rig.remove());

test('SIGKILL at each step of a revocation: the key is revoked or it is not, and a rerun finishes', {
  timeout: 120_000,
}, async () => {
  rig = await createRig({ hello: { run: ['echo', 'hello'] } });
  const kid = activeKey(rig.keyring(), 'signing')?.kid ?? '';
  const args = ['keys', 'revoke', kid, '--yes'];
  const undo = () => rmSync(join(rig.home, 'keys', `${kid}.revoked.json`));
  const steps = await rig.countSteps(args);
  expect(steps).toBeGreaterThan(5);
  for (const at of stepsToTry(steps)) {
    undo();
    const { signal } = await rig.ax(args, { atStep: { at, signal: 'SIGKILL' } });
    expect(signal, `step ${at} of ${steps}`).toBe('SIGKILL');
    const revoked = rig.keyring().some((entry) => entry.state === 'revoked');
    expect((await rig.ax(['run', 'hello'])).status).toBe(revoked ? 77 : 0);
    await expectDone(rig, args);
    expect(rig.keyring().find((entry) => entry.kid === kid)?.state).toBe('revoked');
    expect((await rig.ax(['run', 'hello'])).status).toBe(77);
  }
  const database = rig.open();
  verifyAudit(database);
  database.close();
});
