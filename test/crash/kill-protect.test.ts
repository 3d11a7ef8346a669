import { randomBytes } from 'node:crypto';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { loadKeyring } from '../../src/store/keyring.ts';
import { createVault } from '../../src/store/vault.ts';
import { type AtStep, type CrashRig, createRig, expectDone, stepsToTry } from '../support/crash-rig.ts';

const UID = process.getuid?.() ?? -1;
const FIRST = { AX_KEYRING_PASSPHRASE: 'correct horse battery staple' };
const BOTH = { ...FIRST, AX_KEYRING_NEW_PASSPHRASE: 'tr0ub4dor & three more' };
const PROTECT = ['keys', 'protect'];

let rig: CrashRig;

afterEach(() => rig.remove());

const keysDir = () => join(rig.home, 'keys');

/** Tries both passphrases, and keeps what it derives from them. */
const vault = createVault(randomBytes, FIRST.AX_KEYRING_PASSPHRASE);
vault.offer(BOTH.AX_KEYRING_NEW_PASSPHRASE);

/** The private parts by kid. */
function opened(): Record<string, unknown> {
  return Object.fromEntries(loadKeyring(keysDir(), UID, vault).map(({ kid, jwk }) => [kid, jwk]));
}

/** How many keys are protected, and by how many passphrases or salts. */
function protection(): { keys: number; salts: number } {
  const found = loadKeyring(keysDir(), UID).flatMap((entry) => entry.protection?.scrypt.salt ?? []);
  return { keys: found.length, salts: new Set(found).size };
}

/** Kills the command at one step, looks, and runs it again; the keyring is then as it was before. */
async function killedAndRepeated(args: readonly string[], env: Record<string, string>, atStep: AtStep) {
  const before = join(rig.root, 'keys-before');
  cpSync(keysDir(), before, { recursive: true });
  const keys = opened();
  const { signal } = await rig.ax(args, { env, atStep });
  expect(signal, JSON.stringify(atStep)).toBe('SIGKILL');
  expect(opened()).toEqual(keys);
  await expectDone(rig, args, { env });
  expect(opened()).toEqual(keys);
  const after = protection();
  for (const { kid } of loadKeyring(keysDir(), UID)) {
    cpSync(join(before, `${kid}.json`), join(keysDir(), `${kid}.json`));
  }
  rmSync(before, { recursive: true });
  return after;
}

const RENAMES = [1, 2, 3].flatMap((at) =>
  [false, true].map((after) => ({ at, signal: 'SIGKILL', only: 'renameSync', after }) as const),
);

test('SIGKILL at each step of protect: every key opens, and a rerun finishes', {
  timeout: 300_000,
}, async () => {
  rig = await createRig({ hello: { run: ['echo', 'hello'] } });
  const clear = join(rig.root, 'clear');
  cpSync(keysDir(), clear, { recursive: true });
  const steps = await rig.countSteps(PROTECT, { env: FIRST });
  cpSync(clear, keysDir(), { recursive: true });
  expect(steps).toBeGreaterThan(15);
  for (const at of stepsToTry(steps)) {
    const after = await killedAndRepeated(PROTECT, FIRST, { at, signal: 'SIGKILL' });
    expect(after).toEqual({ keys: 3, salts: 1 });
  }
});

test('SIGKILL around each file of unprotect, and of a change of the passphrase', {
  timeout: 300_000,
}, async () => {
  rig = await createRig({ hello: { run: ['echo', 'hello'] } });
  await expectDone(rig, PROTECT, { env: FIRST });
  for (const step of RENAMES) {
    expect(await killedAndRepeated(['keys', 'unprotect'], FIRST, step)).toEqual({ keys: 0, salts: 0 });
    expect(await killedAndRepeated(PROTECT, BOTH, step)).toEqual({ keys: 3, salts: 1 });
  }
});
