import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { generateX25519 } from '../../src/security/encryption-keys.ts';
import type { Jwe } from '../../src/security/jwe.ts';
import { createRig, lines, type Ran, type Rig } from '../support/rig.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { keysList, keysRotate } from '../support/shapes.ts';

/** `ax keys rotate --reencrypt`: who can read a receipt afterwards, what is left of the old seal, and what is refused. */

const randomBytes = seededRandom('reencrypt');

interface Shown {
  readonly receipt: { readonly recipients: readonly { kid: string; alg: string }[] };
  readonly jwe: Jwe;
}

async function rigWithRun(): Promise<Rig> {
  const rig = await createRig();
  await rig.sign('hello: { run: [echo, hello] }');
  return rig;
}

/** A reader elsewhere, whose public key is a file in the project and whose private one is in a home of its own. */
async function reader(rig: Rig, name: string) {
  const how = { env: { AX_HOME: join(rig.base, name) } };
  await rig.axWith(how, 'keys', 'generate', '--role', 'recipient');
  const { stdout } = await rig.axWith(how, 'keys', 'export', '--role', 'recipient');
  rig.write(`${name}.jwk`, stdout);
  const { kid } = JSON.parse(stdout) as { kid: string };
  return {
    kid,
    jwk: stdout,
    decrypts: async (id: string) => (await rig.axWith(how, 'receipts', 'decrypt', id)).exitCode,
  };
}

const show = async (rig: Rig, id: string): Promise<Shown> =>
  JSON.parse((await rig.ax('receipts', 'show', id, '--json')).stdout);
const idOf = async (rig: Rig) =>
  JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout).receipts[0].id as string;
const keysOf = async (rig: Rig) =>
  keysList.parse(JSON.parse((await rig.ax('keys', 'list', '--json')).stdout)).keys;
const rotated = ({ exitCode, stdout }: Ran) => {
  expect(exitCode).toBe(0);
  return keysRotate.parse(JSON.parse(stdout));
};
const rotations = async (rig: Rig) =>
  JSON.parse((await rig.ax('audit', 'list', '--type', 'key.rotation', '--json')).stdout).records.map(
    ({ data }: { data: object }) => data,
  );

test('a receipt has another content key, nonce and ciphertext, says the same, and verifies where it was', async () => {
  const rig = await rigWithRun();
  await rig.ax('run', 'hello');
  const id = await idOf(rig);
  const before = await show(rig, id);
  const said = (await rig.ax('receipts', 'decrypt', id, '--raw')).stdout;
  const result = rotated(await rig.ax('keys', 'rotate', '--reencrypt', '--json'));
  expect(result).toMatchObject({
    kind: 'reencrypt',
    rewrapped: 0,
    reencrypted: 1,
    leftOut: [],
    resumed: false,
  });

  const after = await show(rig, id);
  expect(after.jwe.protected).toBe(before.jwe.protected);
  for (const member of ['iv', 'ciphertext', 'tag'] as const) {
    expect(after.jwe[member]).not.toBe(before.jwe[member]);
    expect(after.jwe[member]).toHaveLength(before.jwe[member].length);
  }
  expect(after.receipt.recipients).toEqual([{ kid: result.kid, alg: 'A256KW' }]);
  expect((await rig.ax('receipts', 'decrypt', id, '--raw')).stdout).toBe(said);
  expect((await rig.ax('receipts', 'verify', id)).exitCode).toBe(0);
  expect((await rig.ax('audit', 'verify')).exitCode).toBe(0);
  expect(await rotations(rig)).toEqual([
    { step: 'begin', kind: 'reencrypt', kid: result.kid, receipts: 1 },
    { step: 'end', kind: 'reencrypt', kid: result.kid, receipts: 1 },
  ]);

  // Neither the old ciphertext nor the old wrapped key is in any file of the store.
  const store = Buffer.concat(
    readdirSync(join(rig.project, '.ax')).map((name) => readFileSync(join(rig.project, '.ax', name))),
  );
  const old = Buffer.from(before.jwe.ciphertext, 'base64url');
  expect(store.includes(Buffer.from(after.jwe.ciphertext, 'base64url').subarray(0, 256))).toBe(true);
  for (let from = 0; from + 64 <= old.length; from += 64) {
    expect(store.includes(old.subarray(from, from + 64))).toBe(false);
  }
  expect(store.includes(before.jwe.recipients[0]?.encrypted_key ?? '')).toBe(false);
});

test('readers of the keyring and of AX_RECIPIENTS stay, a revoked one does not', async () => {
  const rig = await rigWithRun();
  const [stays, goes] = [await reader(rig, 'stays'), await reader(rig, 'goes')];
  for (const name of ['stays', 'goes']) await rig.ax('keys', 'import', `${name}.jwk`);
  await rig.ax('run', 'hello');
  const id = await idOf(rig);
  await rig.ax('keys', 'revoke', goes.kid, '--yes');
  rotated(await rig.ax('keys', 'rotate', '--json'));
  expect((await show(rig, id)).receipt.recipients).toHaveLength(3);
  expect(await goes.decrypts(id)).toBe(0);

  const { kid } = rotated(await rig.ax('keys', 'rotate', '--reencrypt', '--json'));
  const { recipients } = (await show(rig, id)).receipt;
  expect(recipients.map((one) => one.kid).sort()).toEqual([kid, stays.kid].sort());
  expect(await stays.decrypts(id)).toBe(0);
  expect(await goes.decrypts(id)).toBe(66);
  expect((await rig.ax('receipts', 'verify', id)).exitCode).toBe(0);
});

test('a reader whose public key is not here ends it before it begins; AX_RECIPIENTS brings it, --without leaves it out', async () => {
  const rig = await rigWithRun();
  const stranger = await reader(rig, 'stranger');
  // The keyring's own receipt key comes in by the environment, beside a reader that the keyring does not have.
  const receiptKey = JSON.parse(
    rig.read(`../home/keys/${(await keysOf(rig)).find(({ role }) => role === 'receipt')?.kid}.json`),
  );
  const env = {
    AX_RECIPIENTS: stranger.jwk,
    AX_RECEIPT_KEY: Buffer.from(receiptKey.jwk.k, 'base64url').toString('base64'),
  };
  await rig.axWith({ env }, 'run', 'hello');
  const id = await idOf(rig);
  const before = [await show(rig, id), await keysOf(rig)];

  const refused = await rig.ax('keys', 'rotate', '--reencrypt');
  expect(refused).toMatchObject({ exitCode: 66, stdout: '' });
  expect(lines(refused.stderr)).toEqual([
    `ax: error[KEY_UNKNOWN]: expected the public key of every reader that receipts are sealed to, found none, or one that has expired, of ${stranger.kid}`,
    `ax: hint: ax keys import <its public key>, or leave it out: ax keys rotate --reencrypt --without ${stranger.kid}`,
  ]);
  expect([await show(rig, id), await keysOf(rig)]).toEqual(before);
  expect(await rotations(rig)).toEqual([]);

  const brought = await rig.axWith(
    { env: { AX_RECIPIENTS: stranger.jwk } },
    'keys',
    'rotate',
    '--reencrypt',
    '--json',
  );
  expect(rotated(brought)).toMatchObject({ reencrypted: 1, leftOut: [] });
  expect(await stranger.decrypts(id)).toBe(0);
  expect((await show(rig, id)).receipt.recipients).toHaveLength(2);

  const left = rotated(
    await rig.ax('keys', 'rotate', '--reencrypt', '--without', stranger.kid.slice(0, 8), '--json'),
  );
  expect(left).toMatchObject({ reencrypted: 1, leftOut: [stranger.kid] });
  expect(await stranger.decrypts(id)).toBe(66);
  expect((await show(rig, id)).receipt.recipients).toEqual([{ kid: left.kid, alg: 'A256KW' }]);
  expect((await rotations(rig)).at(-1)).toMatchObject({ step: 'end', leftOut: [stranger.kid] });
});

const DAY_MS = 24 * 60 * 60 * 1000;

test('a reader whose key has expired is sealed to no more, and shut out of what there is only by --without', async () => {
  const rig = await rigWithRun();
  await rig.ax('keys', 'generate', '--role', 'recipient', '--expires', '10d');
  const kid = (await keysOf(rig)).find(({ role }) => role === 'recipient')?.kid ?? '';
  const exported = (await rig.ax('keys', 'export', '--role', 'recipient')).stdout;
  await rig.ax('run', 'hello');
  const id = await idOf(rig);
  const before = [await show(rig, id), await keysOf(rig)];
  for (const env of [{}, { AX_RECIPIENTS: exported }]) {
    const refused = await rig.axWith({ env, later: 10 * DAY_MS }, 'keys', 'rotate', '--reencrypt');
    expect(refused).toMatchObject({ exitCode: 66, stdout: '' });
    expect(lines(refused.stderr)).toEqual([
      `ax: error[KEY_UNKNOWN]: expected the public key of every reader that receipts are sealed to, found none, or one that has expired, of ${kid}`,
      `ax: hint: ax keys import <its public key>, or leave it out: ax keys rotate --reencrypt --without ${kid}`,
    ]);
    expect([await show(rig, id), await keysOf(rig)]).toEqual(before);
  }
  const left = await rig.axWith(
    { later: 10 * DAY_MS },
    'keys',
    'rotate',
    '--reencrypt',
    '--without',
    kid,
    '--json',
  );
  expect(rotated(left)).toMatchObject({ reencrypted: 1, leftOut: [kid] });
  expect((await show(rig, id)).receipt.recipients).toHaveLength(1);
});

test('--catch-up seals nothing to a key that has expired', async () => {
  const rig = await rigWithRun();
  await rig.ax('run', 'hello', '--store', 'second');
  await rig.ax('keys', 'rotate', '--expires', '10d');
  const recipients = async () =>
    JSON.parse((await rig.ax('receipts', 'list', '--store', 'second', '--json')).stdout).receipts[0]
      .recipients;
  const before = await recipients();
  const catchUp = ['keys', 'rotate', '--catch-up', '--store', 'second'];
  const refused = await rig.axWith({ later: 10 * DAY_MS }, ...catchUp);
  expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
  expect(lines(refused.stderr)[0]).toContain('error[KEY_EXPIRED]');
  expect(await recipients()).toEqual(before);
  expect((await rig.ax(...catchUp)).exitCode).toBe(0);
  expect(await recipients()).not.toEqual(before);
});

test('a receipt that no receipt key of the keyring opens stays as it is', async () => {
  const rig = await rigWithRun();
  const { kty, crv, x, kid } = generateX25519(randomBytes);
  const env = { AX_RECIPIENTS: JSON.stringify({ kty, crv, x, kid }) };
  await rig.axWith({ env }, 'run', 'hello');
  const id = await idOf(rig);
  const before = await show(rig, id);
  expect(rotated(await rig.ax('keys', 'rotate', '--reencrypt', '--json'))).toMatchObject({ reencrypted: 0 });
  expect(await show(rig, id)).toEqual(before);
});

test('a receipt that was tampered with is not sealed again, nor is any beside it', async () => {
  const rig = await rigWithRun();
  await rig.ax('run', 'hello');
  await rig.ax('run', 'hello');
  const id = await idOf(rig);
  const { DatabaseSync } = await import('node:sqlite');
  const sqlite = new DatabaseSync(join(rig.project, '.ax', 'ax.db'));
  sqlite.prepare("UPDATE receipts SET tag = substr(tag, 1, 20) || 'AA' WHERE id = ?").run(id);
  sqlite.close();
  const { receipts } = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout);
  const ids = receipts.map((receipt: { id: string }) => receipt.id) as string[];
  const before = await Promise.all(ids.map((one) => show(rig, one)));
  const refused = await rig.ax('keys', 'rotate', '--reencrypt');
  expect(refused).toMatchObject({ exitCode: 76, stdout: '' });
  expect(lines(refused.stderr)[0]).toContain('RECEIPT_TAMPERED');
  expect(await Promise.all(ids.map((one) => show(rig, one)))).toEqual(before);
});

test('--catch-up brings a second store under the key that the first was rotated to, and makes none', async () => {
  const rig = await rigWithRun();
  await rig.ax('run', 'hello');
  await rig.ax('run', 'hello', '--store', 'second');
  const { kid } = rotated(await rig.ax('keys', 'rotate', '--json'));
  const keys = (await keysOf(rig)).length;
  const caught = rotated(await rig.ax('keys', 'rotate', '--catch-up', '--store', 'second', '--json'));
  expect(caught).toMatchObject({ kid, kind: 'rewrap', rewrapped: 1, resumed: false });
  const again = await rig.ax('keys', 'rotate', '--catch-up', '--store', 'second');
  expect(rig.normal(again.stdout)).toBe('kept  receipt key <kid>; 0 receipt(s) re-wrapped\n');
  expect(await keysOf(rig)).toHaveLength(keys);
  const list = JSON.parse((await rig.ax('receipts', 'list', '--store', 'second', '--json')).stdout);
  expect(list.receipts[0].recipients).toEqual([kid]);
});

test('--catch-up has nothing to catch up with where the newest key is revoked', async () => {
  const rig = await rigWithRun();
  const receipt = (await keysOf(rig)).find(({ role }) => role === 'receipt');
  await rig.ax('keys', 'revoke', receipt?.kid ?? '', '--yes');
  const keys = await keysOf(rig);
  const refused = await rig.ax('keys', 'rotate', '--catch-up');
  expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
  expect(lines(refused.stderr)[0]).toContain('KEY_REVOKED');
  expect(await keysOf(rig)).toEqual(keys);
});

test.each([
  [['--role', 'signing', '--reencrypt'], 'USAGE', 64],
  [['--role', 'host', '--catch-up'], 'USAGE', 64],
  [['--without', 'abc'], 'USAGE', 64],
  [['--reencrypt', '--without', 'nobody'], 'KEY_UNKNOWN', 66],
  [['--reencrypt', '--without', ''], 'KEY_UNKNOWN', 66],
])('ax keys rotate %j is refused, and no key is made', async (args, code, exitCode) => {
  const rig = await rigWithRun();
  const keys = await keysOf(rig);
  const refused = await rig.ax('keys', 'rotate', ...args);
  expect(refused).toMatchObject({ exitCode, stdout: '' });
  expect(lines(refused.stderr)[0]).toContain(code);
  expect(lines(refused.stderr)[1]).toContain('ax: hint: ');
  expect(await keysOf(rig)).toEqual(keys);
});
