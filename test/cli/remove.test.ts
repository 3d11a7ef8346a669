import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createRig, lines, type Ran, type Rig } from '../support/rig.ts';
import { keysList, keysRemove } from '../support/shapes.ts';

/** `ax keys remove`: a key goes when nothing refers to it, in any store that the keyring was used in. */

async function rigWithRun(): Promise<Rig> {
  const rig = await createRig();
  await rig.sign('hello: { run: [echo, hello] }');
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  return rig;
}

const keysOf = async (rig: Rig) =>
  keysList.parse(JSON.parse((await rig.ax('keys', 'list', '--json')).stdout)).keys;
const kidOf = async (rig: Rig, state: 'active' | 'retired' | 'revoked', role = 'receipt') =>
  (await keysOf(rig)).find((key) => key.role === role && key.state === state)?.kid ?? `no ${state} ${role}`;
const fileOf = (rig: Rig, kid: string) => join(rig.home, 'keys', `${kid}.json`);
const changes = async (rig: Rig) =>
  JSON.parse((await rig.ax('audit', 'list', '--type', 'key.change', '--json')).stdout).records.map(
    ({ data }: { data: { change: string } }) => data,
  );
const removals = async (rig: Rig) =>
  (await changes(rig)).filter(({ change }: { change: string }) => change === 'remove');

/** Refused with KEY_IN_USE, with these words in message and hint, and nothing of it is on record. */
async function refused(rig: Rig, ran: Ran, kid: string, [message, hint]: [string, string]): Promise<void> {
  expect(ran).toMatchObject({ exitCode: 77, stdout: '' });
  const said = lines(ran.stderr).filter((line) => line.startsWith('ax: '));
  expect(said[0]).toContain('ax: error[KEY_IN_USE]: ');
  expect(said[0]).toContain(message);
  expect(said[1]).toContain(`ax: hint: ${hint}`);
  expect(existsSync(fileOf(rig, kid))).toBe(true);
  expect(await removals(rig)).toEqual([]);
}

test('a retired key without receipts: asked for a yes, then gone, on record, and every receipt opens', async () => {
  const rig = await rigWithRun();
  await rig.ax('keys', 'rotate');
  const kid = await kidOf(rig, 'retired');
  const store = join(rig.project, '.ax');

  const asked = await rig.ax('keys', 'remove', kid);
  expect(asked).toMatchObject({ exitCode: 77, stdout: '' });
  expect(asked.stderr).toContain('what is sealed to it elsewhere (exports, copies of stores, backups)');
  expect(asked.stderr).toContain(`CONFIRMATION_REQUIRED]: nothing was removed: it takes a yes`);
  expect(asked.stderr).toContain(`ax: hint: ax keys remove ${kid} --yes`);
  expect(existsSync(fileOf(rig, kid))).toBe(true);

  const removed = await rig.ax('keys', 'remove', kid.slice(0, 8), '--yes', '--json');
  expect(removed.exitCode).toBe(0);
  expect(keysRemove.parse(JSON.parse(removed.stdout))).toEqual({
    schema: 'ax.keys.remove/1',
    kid,
    role: 'receipt',
    stores: [store],
    forgotten: [],
  });
  expect(existsSync(fileOf(rig, kid))).toBe(false);
  expect(await removals(rig)).toEqual([{ change: 'remove', role: 'receipt', kid }]);
  expect((await rig.ax('receipts', 'verify', '--all')).exitCode).toBe(0);
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  expect((await rig.ax('audit', 'verify')).exitCode).toBe(0);
  const again = await rig.ax('keys', 'remove', kid, '--yes');
  expect(again).toMatchObject({ exitCode: 66, stdout: '' });
  expect(again.stderr).toContain('KEY_UNKNOWN');
});

test('a key that a second store needs stays, until that store has caught up', async () => {
  const rig = await rigWithRun();
  expect((await rig.ax('run', 'hello', '--store', 'second')).exitCode).toBe(0);
  await rig.ax('keys', 'rotate');
  const kid = await kidOf(rig, 'retired');
  const second = join(rig.project, 'second');
  const hint = `ax keys rotate --catch-up --store ${second}`;
  await refused(rig, await rig.ax('keys', 'remove', kid, '--yes'), kid, [
    `1 receipt(s) in ${second} are sealed to`,
    hint,
  ]);
  expect((await rig.ax(...hint.split(' ').slice(1))).exitCode).toBe(0);
  const removed = await rig.ax('keys', 'remove', kid, '--yes', '--json');
  expect(JSON.parse(removed.stdout)).toMatchObject({ stores: [join(rig.project, '.ax'), second] });
  expect((await rig.ax('receipts', 'verify', '--all', '--store', 'second')).exitCode).toBe(0);
});

test('a store that is not there is not passed over, and is forgotten only by name and on record', async () => {
  const rig = await rigWithRun();
  await rig.ax('run', 'hello', '--store', 'second');
  await rig.ax('keys', 'rotate');
  const kid = await kidOf(rig, 'retired');
  const second = join(rig.project, 'second');
  const there = await rig.ax('keys', 'remove', kid, '--forget-store', 'second', '--yes');
  expect(there).toMatchObject({ exitCode: 64, stdout: '' });
  expect(there.stderr).toContain(`found one that is there: ${second}`);

  renameSync(second, join(rig.project, 'elsewhere'));
  await refused(rig, await rig.ax('keys', 'remove', kid, '--yes'), kid, [
    `receipts were sealed in ${second}, and there is no store now to look through`,
    `bring it back; if it is gone for good: ax keys remove ${kid} --forget-store ${second}`,
  ]);
  const other = await rig.ax('keys', 'remove', kid, '--forget-store', 'elsewhere', '--yes');
  expect(other).toMatchObject({ exitCode: 64, stdout: '' });
  expect(existsSync(fileOf(rig, kid))).toBe(true);

  const removed = await rig.ax('keys', 'remove', kid, '--forget-store', 'second', '--yes', '--json');
  expect(JSON.parse(removed.stdout)).toMatchObject({
    stores: [join(rig.project, '.ax')],
    forgotten: [second],
  });
  expect(await removals(rig)).toEqual([{ change: 'remove', role: 'receipt', kid, forgotten: [second] }]);
  expect(readdirSync(join(rig.home, 'stores'))).toHaveLength(1);
});

test('the store at hand is looked through, though it is older than the register', async () => {
  const rig = await rigWithRun();
  rmSync(join(rig.home, 'stores'), { recursive: true });
  // A rotation of another store retires the key.
  await rig.ax('keys', 'rotate', '--store', 'second');
  const kid = await kidOf(rig, 'retired');
  const store = join(rig.project, '.ax');
  await refused(rig, await rig.ax('keys', 'remove', kid, '--yes'), kid, [
    `1 receipt(s) in ${store} are sealed to`,
    `ax keys rotate --catch-up --store ${store}`,
  ]);
});

test('an active key stays, and so do signing and host keys', async () => {
  const rig = await rigWithRun();
  const active = await kidOf(rig, 'active');
  await refused(rig, await rig.ax('keys', 'remove', active, '--yes'), active, [
    'is active',
    'ax keys rotate',
  ]);
  await rig.ax('keys', 'generate', '--role', 'recipient');
  const recipient = await kidOf(rig, 'active', 'recipient');
  await refused(rig, await rig.ax('keys', 'remove', recipient, '--yes'), recipient, [
    'is active',
    `ax keys revoke ${recipient}`,
  ]);
  for (const role of ['signing', 'host']) {
    await rig.ax('keys', 'rotate', '--role', role);
    const kid = await kidOf(rig, 'retired', role);
    const ran = await rig.ax('keys', 'remove', kid, '--yes');
    expect(ran).toMatchObject({ exitCode: 64, stdout: '' });
    expect(ran.stderr).toContain(`expected a receipt or recipient key, found the ${role} key ${kid}`);
    expect(existsSync(fileOf(rig, kid))).toBe(true);
  }
  for (const name of ['', 'nobody']) {
    expect(await rig.ax('keys', 'remove', name, '--yes')).toMatchObject({ exitCode: 66, stdout: '' });
  }
});

test('a revoked recipient goes once receipts were sealed anew without it, and stays revoked', async () => {
  const rig = await rigWithRun();
  await rig.ax('keys', 'generate', '--role', 'recipient');
  const kid = await kidOf(rig, 'active', 'recipient');
  rig.write('reader.jwk', (await rig.ax('keys', 'export', '--role', 'recipient')).stdout);
  await rig.ax('run', 'hello');
  await rig.ax('keys', 'revoke', kid, '--yes');
  const store = join(rig.project, '.ax');
  await refused(rig, await rig.ax('keys', 'remove', kid, '--yes'), kid, [
    `1 receipt(s) in ${store} are sealed to the recipient key ${kid}`,
    `ax keys rotate --reencrypt --store ${store}`,
  ]);
  expect((await rig.ax('keys', 'rotate', '--reencrypt')).exitCode).toBe(0);
  expect((await rig.ax('keys', 'remove', kid, '--yes')).exitCode).toBe(0);
  expect((await rig.ax('receipts', 'verify', '--all')).exitCode).toBe(0);
  expect(existsSync(join(rig.home, 'keys', `${kid}.revoked.json`))).toBe(true);
  const again = await rig.ax('keys', 'import', 'reader.jwk');
  expect([again.exitCode, again.stderr]).toEqual([77, expect.stringContaining(`the key ${kid} was revoked`)]);
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
});

test('an entry of the register that cannot be read is not passed over', async () => {
  const rig = await rigWithRun();
  await rig.ax('keys', 'rotate');
  const kid = await kidOf(rig, 'retired');
  const [name = ''] = readdirSync(join(rig.home, 'stores'));
  expect(JSON.parse(readFileSync(join(rig.home, 'stores', name), 'utf8'))).toEqual({
    path: join(rig.project, '.ax'),
  });
  for (const content of ['', '{"path": "/elsewhere"}', '{"path": 1}']) {
    rig.write(`../home/stores/${name}`, content);
    const ran = await rig.ax('keys', 'remove', kid, '--yes');
    expect(ran).toMatchObject({ exitCode: 78, stdout: '' });
    expect(ran.stderr).toContain('KEY_MALFORMED');
    expect(existsSync(fileOf(rig, kid))).toBe(true);
  }
});

test('a key whose file is put back is shut out where it was removed, and nothing is run in vain', async () => {
  const rig = await createRig();
  await rig.sign('mark: { run: [touch, marker] }');
  await rig.ax('run', 'mark');
  const kid = await kidOf(rig, 'active');
  const file = readFileSync(fileOf(rig, kid));
  await rig.ax('keys', 'rotate');
  expect((await rig.ax('keys', 'remove', kid, '--yes')).exitCode).toBe(0);
  // With the key that took over gone, it would be the active one again.
  rmSync(fileOf(rig, await kidOf(rig, 'active')));
  rig.write(`../home/keys/${kid}.json`, file, 0o600);
  rmSync(join(rig.project, 'marker'));
  const ran = await rig.ax('run', 'mark');
  expect(ran.exitCode).toBe(66);
  expect(ran.stderr).toContain(`KEY_UNKNOWN]: the key ${kid} was removed`);
  expect(rig.has('marker')).toBe(false);
  expect(JSON.parse((await rig.ax('runs', '--json')).stdout).runs).toHaveLength(1);
});
