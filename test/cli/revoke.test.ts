import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createRig, filesBelow, lines, PROJECT, type Rig, snapshot } from '../support/rig.ts';
import { document, keysList, keysRevoke, receiptsVerify } from '../support/shapes.ts';

async function keyOf(rig: Rig, role: string): Promise<string> {
  const { keys } = document(keysList, (await rig.ax('keys', 'list', '--json')).stdout);
  return keys.findLast((key) => key.role === role)?.kid ?? '';
}

const revoke = (rig: Rig, kid: string, ...more: string[]) => rig.ax('keys', 'revoke', kid, '--yes', ...more);

async function receipts(rig: Rig): Promise<string[]> {
  const listed = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout).receipts;
  return listed.map(({ id }: { id: string }) => id).reverse();
}

async function standingOf(rig: Rig, id: string) {
  const { exitCode, stdout } = await rig.ax('receipts', 'verify', id, '--json');
  expect(exitCode).toBe(0);
  return document(receiptsVerify, stdout).standing;
}

test('a revoked signing key: what it signed does not run, it signs no more, and its successor does', async () => {
  const rig = await createRig();
  await rig.sign('hello: { shell: "echo > ran" }');
  const kid = await keyOf(rig, 'signing');
  const revoked = await revoke(rig, kid, '--reason', 'laptop stolen');
  expect(revoked).toMatchObject({ exitCode: 0, stdout: `revoked  signing key ${kid}\n` });

  const refused = await rig.ax('run', 'hello');
  expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
  expect(lines(rig.normal(refused.stderr)).slice(0, 2)).toEqual([
    'ax: error[KEY_REVOKED]: ax.lock: the signature by <kid> does not count: the key was revoked at <time> (laptop stolen)',
    'ax: hint: review ax.yaml and sign it with another trusted key: ax sign',
  ]);
  expect(rig.has('ran')).toBe(false);
  expect(await rig.ax('verify')).toMatchObject({ exitCode: 77 });

  const lock = rig.read('ax.lock');
  for (const args of [['sign'], ['sign', '--key', kid.slice(0, 10)], ['approve', 'hello']]) {
    const signing = await rig.ax(...args, '--yes');
    expect(signing).toMatchObject({ exitCode: 77, stdout: '' });
    expect(signing.stderr).toContain('ax: hint: ax keys rotate --role signing');
  }
  expect(rig.read('ax.lock')).toBe(lock);
  expect(filesBelow(rig.project).filter((name) => name.includes('approval'))).toEqual([]);

  expect((await rig.ax('keys', 'rotate', '--role', 'signing')).exitCode).toBe(0);
  const signed = await rig.ax('sign', '--yes', '--json');
  expect(JSON.parse(signed.stdout)).toMatchObject({ version: 2, runnable: true });
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  expect(rig.has('ran')).toBe(true);
});

test('a superseded signing key is told from a revoked one: what it signed is valid then and now', async () => {
  const rig = await createRig();
  await rig.sign('hello: { run: [echo, hello] }');
  const kid = await keyOf(rig, 'signing');
  await rig.ax('keys', 'rotate', '--role', 'signing');
  const verified = await rig.ax('verify');
  expect(verified.exitCode).toBe(0);
  expect(verified.stdout).toContain(
    `ok      signatures: by ${kid}; ${kid} is superseded, valid then and now\n`,
  );
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
});

test('a colleague’s key, which is only trusted here, is revoked the same way, and not trusted anew', async () => {
  const author = await createRig();
  await author.sign('hello: { shell: "echo > ran" }');
  const rig = await createRig();
  for (const name of ['ax.yaml', 'ax.lock']) rig.write(name, author.read(name));
  rig.write('colleague.jwk', (await author.ax('keys', 'export')).stdout);
  expect((await rig.ax('trust', 'add', PROJECT, 'colleague.jwk')).exitCode).toBe(0);
  const { kid } = JSON.parse(rig.read('colleague.jwk'));
  expect((await rig.ax('run', 'hello', '--dry-run')).exitCode).toBe(0);
  expect((await revoke(rig, kid)).exitCode).toBe(0);
  expect(await rig.ax('run', 'hello')).toMatchObject({ exitCode: 77, stdout: '' });
  expect(rig.has('ran')).toBe(false);
  expect((await rig.ax('trust', 'list')).stdout).toContain(`${kid}  Ed25519, revoked`);

  await rig.ax('trust', 'remove', PROJECT, kid);
  for (const add of [['colleague.jwk'], ['--key', kid]]) {
    const refused = await rig.ax('trust', 'add', PROJECT, ...add);
    expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
    expect(refused.stderr).toContain('KEY_REVOKED');
  }
  expect((await rig.ax('trust', 'list')).stdout).not.toContain(kid);
  expect((await rig.ax('run', 'hello')).exitCode).toBe(77);
});

test('a threshold that other signers reach still holds without the revoked one', async () => {
  const rig = await createRig();
  await rig.sign('hello: { run: [echo, hello] }');
  const first = await keyOf(rig, 'signing');
  await rig.ax('keys', 'rotate', '--role', 'signing');
  expect((await rig.ax('sign', '--add', '--yes')).exitCode).toBe(0);
  await revoke(rig, first);
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
});

test('a host key: receipts from before its revocation verify as such, one that it signed after does not', async () => {
  const rig = await createRig();
  await rig.sign(
    'hello: { run: [echo, hello] }\nslow: { shell: "echo begun; until [ -e go ]; do sleep 0.05; done" }',
  );
  await rig.ax('run', 'hello');
  const host = await keyOf(rig, 'host');
  const [before = ''] = await receipts(rig);
  expect(await standingOf(rig, before)).toBe('current');

  // A run that goes on has the key in its memory, as a thief would.
  const running = rig.start('run', 'slow', '--quiet');
  await new Promise((resolve) => running.stdout?.once('data', resolve));
  expect((await revoke(rig, host)).exitCode).toBe(0);
  rig.write('go', '');
  expect((await running).exitCode).toBe(0);
  await rig.ax('run', 'hello');

  const [, late = '', after = ''] = await receipts(rig);
  expect(await standingOf(rig, before)).toBe('revoked-later');
  const refused = await rig.ax('receipts', 'verify', late);
  expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
  expect(lines(rig.normal(refused.stderr))).toEqual([
    'ax: error[KEY_REVOKED]: receipt <id>: its key <kid> was revoked at <time>, and it was signed after that',
    'ax: hint: do not believe it; see what the log has of its run: ax audit list --run <id>',
  ]);
  // The next run has made another.
  expect(await standingOf(rig, after)).toBe('current');
  expect(await keyOf(rig, 'host')).not.toBe(host);
});

test('a host key that was superseded, or revoked from another store: told by the times', async () => {
  const rig = await createRig();
  await rig.sign('hello: { run: [echo, hello] }');
  await rig.ax('run', 'hello');
  const host = await keyOf(rig, 'host');
  const [id = ''] = await receipts(rig);
  await rig.ax('keys', 'rotate', '--role', 'host');
  expect(await standingOf(rig, id)).toBe('superseded');
  expect((await revoke(rig, host, '--store', 'elsewhere')).exitCode).toBe(0);
  expect(await standingOf(rig, id)).toBe('revoked-later');
});

test('a receipt key: seals nothing new, opens what it sealed, and a rotation moves that on', async () => {
  const rig = await createRig();
  await rig.sign('hello: { shell: "echo > ran" }');
  await rig.ax('run', 'hello', '--quiet');
  const [id = ''] = await receipts(rig);
  const kid = await keyOf(rig, 'receipt');
  expect(await revoke(rig, kid)).toMatchObject({ exitCode: 0 });
  expect((await rig.ax('receipts', 'decrypt', id)).exitCode).toBe(0);
  rig.write('ran', 'before');
  const refused = await rig.ax('run', 'hello');
  expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
  expect(refused.stderr).toContain('ax: hint: ax keys rotate --role receipt');
  expect(rig.read('ran')).toBe('before');
  expect(await receipts(rig)).toEqual([id]);

  const rotated = await rig.ax('keys', 'rotate', '--json');
  expect(JSON.parse(rotated.stdout)).toMatchObject({ rewrapped: 1, resumed: false });
  expect((await rig.ax('receipts', 'decrypt', id)).exitCode).toBe(0);
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
});

test('an older key does not come back into use when its successor is revoked', async () => {
  const rig = await createRig();
  await rig.ax('keys', 'rotate', '--role', 'signing');
  await revoke(rig, await keyOf(rig, 'signing'));
  const { keys } = document(keysList, (await rig.ax('keys', 'list', '--json')).stdout);
  expect(keys.filter(({ role }) => role === 'signing').map(({ state }) => state)).toEqual([
    'retired',
    'revoked',
  ]);
  rig.manifest('hello: { run: [echo, hello] }');
  expect(await rig.ax('sign')).toMatchObject({ exitCode: 77, stdout: '' });
  expect(rig.has('ax.lock')).toBe(false);
});

test('a revocation that is there stays as it is', async () => {
  const rig = await createRig();
  const kid = await keyOf(rig, 'signing');
  const first = document(keysRevoke, (await revoke(rig, kid, '--reason', 'lost', '--json')).stdout);
  expect(first).toMatchObject({ kid, role: 'signing', reason: 'lost', state: 'made' });
  const before = snapshot(rig);
  const again = document(keysRevoke, (await revoke(rig, kid, '--reason', 'other', '--json')).stdout);
  expect(again).toEqual({ ...first, state: 'kept' });
  expect(snapshot(rig)).toEqual(before);
});

test.each([
  ['without a yes', 77, (kid: string) => [kid]],
  ['of a key that is not here', 66, () => ['nobody', '--yes']],
  ['of every key', 66, () => ['', '--yes']],
  ['with a reason of two lines', 64, (kid: string) => [kid, '--yes', '--reason', 'a\nb']],
  ['with a reason that hides', 64, (kid: string) => [kid, '--yes', '--reason', 'a\u202eb']],
])('a revocation %s is refused, and nothing is written', async (_, status, args) => {
  const rig = await createRig();
  const kid = await keyOf(rig, 'signing');
  const before = snapshot(rig);
  expect(await rig.ax('keys', 'revoke', ...args(kid))).toMatchObject({ exitCode: status, stdout: '' });
  expect(snapshot(rig)).toEqual(before);
});

test('a revocation that cannot be read refuses everything; it does not mean that nothing is revoked', async () => {
  const rig = await createRig();
  await rig.sign('hello: { shell: "echo > ran" }');
  await revoke(rig, await keyOf(rig, 'host'));
  const keys = join(rig.home, 'keys');
  const name = readdirSync(keys).find((file) => file.endsWith('.revoked.json')) ?? '';
  writeFileSync(join(keys, name), '{}');
  const refused = await rig.ax('run', 'hello');
  expect(refused).toMatchObject({ exitCode: 78, stdout: '' });
  expect(refused.stderr).toContain('KEY_MALFORMED');
  expect(rig.has('ran')).toBe(false);
});

test('when keys are due is a preference', async () => {
  const rig = await createRig();
  const dueIn = async () => {
    const { keys } = document(keysList, (await rig.ax('keys', 'list', '--json')).stdout);
    const days = ({ createdAt, dueAt }: { createdAt: string; dueAt: string }) =>
      (Date.parse(dueAt) - Date.parse(createdAt)) / 86_400_000;
    return Object.fromEntries(keys.map((key) => [key.role, days(key)]));
  };
  expect(await dueIn()).toEqual({ signing: 45, host: 90, receipt: 90 });
  await rig.ax('config', 'set', 'signingKeyDays', '30');
  await rig.ax('config', 'set', 'receiptKeyDays', '365');
  expect(await dueIn()).toEqual({ signing: 30, host: 365, receipt: 365 });
  expect(await rig.ax('config', 'set', 'signingKeyDays', '0')).toMatchObject({ exitCode: 78 });
});
