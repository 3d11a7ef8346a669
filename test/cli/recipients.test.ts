import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair } from 'jose';
import { expect, test } from 'vitest';
import { generateX25519 } from '../../src/security/encryption-keys.ts';
import { createRig, filesBelow, type How, lines, type Ran, type Rig } from '../support/rig.ts';
import { keysImport } from '../support/shapes.ts';

/** Receipts that one machine writes and another reads: homes of their own, which share nothing but files. */

interface Machine {
  readonly home: string;
  ax(...args: string[]): Promise<Ran>;
}

/** A machine with an empty home and the rig's project, whose manifest it trusts by AX_TRUST. */
async function machine(rig: Rig, name: string): Promise<Machine> {
  const home = join(rig.base, name);
  const AX_TRUST = (await rig.ax('trust', 'export')).stdout;
  const how: How = { env: { AX_HOME: home, AX_TRUST } };
  return { home, ax: (...args) => rig.axWith(how, ...args) };
}

async function reader(rig: Rig, file = 'reader.jwk'): Promise<Machine> {
  const made = await machine(rig, `home-of-${file}`);
  expect((await made.ax('keys', 'generate', '--role', 'recipient')).exitCode).toBe(0);
  const exported = await made.ax('keys', 'export', '--role', 'recipient');
  expect(exported.exitCode).toBe(0);
  rig.write(file, exported.stdout);
  return made;
}

const receiptOf = async ({ ax }: Pick<Machine, 'ax'>) =>
  JSON.parse((await ax('receipts', 'list', '--json')).stdout).receipts[0];
const outcomeIn = ({ stdout }: Ran) => JSON.parse(stdout).predicate.outcome;

test('a machine with public keys alone writes a receipt that it cannot read and its reader can', async () => {
  const rig = await createRig();
  await rig.sign('hello: { run: [echo, hello] }');
  const { ax } = await reader(rig);
  const writer = await machine(rig, 'writer');
  expect(await writer.ax('keys', 'import', 'reader.jwk')).toMatchObject({ exitCode: 0, stderr: '' });
  expect((await writer.ax('run', 'hello')).exitCode).toBe(0);

  const { id, recipients } = await receiptOf(writer);
  expect(recipients).toEqual([JSON.parse(rig.read('reader.jwk')).kid]);
  const refused = await writer.ax('receipts', 'decrypt', id);
  expect(refused).toMatchObject({ exitCode: 66, stdout: '' });
  expect(lines(refused.stderr)[0]).toContain('KEY_UNKNOWN');
  // Of the reader's key it has the public part, and of its own keys that of the host alone.
  const files = filesBelow(join(writer.home, 'keys')).map((name) =>
    JSON.parse(readFileSync(join(writer.home, 'keys', name), 'utf8')),
  );
  expect(files.map(({ role, jwk }) => [role, 'd' in jwk]).sort()).toEqual([
    ['host', true],
    ['recipient', false],
  ]);

  const copy = join(rig.base, 'copy');
  cpSync(join(rig.project, '.ax'), copy, { recursive: true });
  chmodSync(copy, 0o700);
  const read = await ax('receipts', 'decrypt', id, '--store', copy);
  expect(read).toMatchObject({ exitCode: 0, stderr: '' });
  expect(outcomeIn(read)).toBe('completed');
});

test('a file of sealed receipts is decrypted where the key is, without a store', async () => {
  const rig = await createRig();
  await rig.sign('hello: { run: [echo, hello] }');
  const { ax } = await reader(rig);
  const writer = await machine(rig, 'writer');
  await writer.ax('keys', 'import', 'reader.jwk');
  for (const _ of [1, 2]) expect((await writer.ax('run', 'hello')).exitCode).toBe(0);
  rig.write('all.jwe', (await writer.ax('receipts', 'export', '--all', '--format', 'jwe')).stdout);
  const [first, second] = lines(rig.read('all.jwe')) as [string, string];
  rig.write('one.jwe', `${first}\n`);
  rig.write('mixed.jwe', JSON.stringify({ ...JSON.parse(first), protected: JSON.parse(second).protected }));
  rig.write('page.jwe', JSON.stringify({ payload: 'aGVsbG8=' }));
  rig.write('headless.jwe', JSON.stringify({ ...JSON.parse(first), protected: 'e30' }));
  rig.write('text.jwe', 'hello');
  rig.write('empty.jwe', '');
  const { id, runId } = await receiptOf(writer);
  const elsewhere = ['--store', join(rig.base, 'none')];

  const one = await ax('receipts', 'decrypt', '--file', 'one.jwe', ...elsewhere);
  expect(one).toMatchObject({ exitCode: 0, stderr: '' });
  expect(outcomeIn(one)).toBe('completed');
  for (const name of [id, id.slice(0, 20).toLowerCase() + id.slice(20), runId]) {
    const named = await ax('receipts', 'decrypt', name, '--file', 'all.jwe', ...elsewhere);
    expect([name, named.exitCode]).toEqual([name, 0]);
    expect(JSON.parse(named.stdout).predicate.receiptId).toBe(id);
  }
  const raw = await ax('receipts', 'decrypt', '--file', 'one.jwe', '--raw', ...elsewhere);
  expect(JSON.parse(raw.stdout).payloadType).toBe('application/vnd.in-toto+json');

  const refused: [string, number, string, string[]][] = [
    ['ID_AMBIGUOUS', 64, 'all.jwe has more than one receipt', ['--file', 'all.jwe']],
    ['RECEIPT_UNKNOWN', 66, 'no receipt "01ZZ" in all.jwe', ['01ZZ', '--file', 'all.jwe']],
    ['RECEIPT_UNKNOWN', 66, 'no receipt in empty.jwe', ['--file', 'empty.jwe']],
    ['RECEIPT_TAMPERED', 76, '', ['--file', 'mixed.jwe']],
    ['RECEIPT_TAMPERED', 76, 'page.jwe:1', ['--file', 'page.jwe']],
    [
      'RECEIPT_TAMPERED',
      76,
      'headless.jwe:1: the header of its JWE names no receipt',
      ['--file', 'headless.jwe'],
    ],
    ['JSON_MALFORMED', 65, 'text.jwe:1', ['--file', 'text.jwe']],
    ['IO', 74, 'none.jwe', ['--file', 'none.jwe']],
    ['USAGE', 64, 'takes the id of a receipt, or --file', []],
  ];
  for (const [code, exitCode, message, args] of refused) {
    const ran = await ax('receipts', 'decrypt', ...args, ...elsewhere);
    expect([args, ran.exitCode, ran.stdout]).toEqual([args, exitCode, '']);
    expect(ran.stderr).toContain(`ax: error[${code}]: `);
    expect(ran.stderr).toContain(message);
  }
  const unread = await writer.ax('receipts', 'decrypt', '--file', 'one.jwe');
  expect(unread).toMatchObject({ exitCode: 66, stdout: '' });
  expect(unread.stderr).toContain('KEY_UNKNOWN');
});

test('what the reader prints is a value of AX_RECIPIENTS too', async () => {
  const rig = await createRig();
  await rig.sign('hello: { run: [echo, hello] }');
  const { ax } = await reader(rig);
  const env = { AX_RECIPIENTS: rig.read('reader.jwk') };
  expect((await rig.axWith({ env }, 'run', 'hello')).exitCode).toBe(0);
  const { id } = await receiptOf(rig);
  expect((await rig.ax('receipts', 'decrypt', id)).exitCode).toBe(66);
  expect(outcomeIn(await ax('receipts', 'decrypt', id))).toBe('completed');
});

test('beside a receipt key, receipts are sealed to it and to every recipient; a rotation keeps those', async () => {
  const rig = await createRig();
  await rig.sign('hello: { run: [echo, hello] }');
  const first = await reader(rig, 'first.jwk');
  const second = await reader(rig, 'second.jwk');
  for (const file of ['first.jwk', 'second.jwk']) {
    const imported = await rig.ax('keys', 'import', file);
    expect(imported).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('can be read here too') });
  }
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  const { id, recipients } = await receiptOf(rig);
  expect(recipients).toHaveLength(3);
  expect((await rig.ax('keys', 'rotate')).exitCode).toBe(0);
  expect((await receiptOf(rig)).recipients).not.toEqual(recipients);
  for (const { ax } of [rig, first, second]) {
    expect(outcomeIn(await ax('receipts', 'decrypt', id))).toBe('completed');
  }
  const { keys } = JSON.parse((await rig.ax('keys', 'list', '--json')).stdout);
  const ours = keys.filter(({ role }: { role: string }) => role === 'recipient');
  for (const key of ours) {
    expect(key).toMatchObject({ algorithm: 'X25519', state: 'active', receipts: 1, private: false });
  }
  expect(ours).toHaveLength(2);
});

test('a key that is there already stays as it is: a pair does not lose its private part', async () => {
  const rig = await createRig();
  const { ax, home } = await reader(rig);
  const [name] = filesBelow(join(home, 'keys'));
  const before = readFileSync(join(home, 'keys', name ?? ''), 'utf8');
  const again = await ax('keys', 'import', 'reader.jwk', '--json');
  expect(again.exitCode).toBe(0);
  expect(keysImport.parse(JSON.parse(again.stdout)).state).toBe('kept');
  expect(readFileSync(join(home, 'keys', name ?? ''), 'utf8')).toBe(before);
});

test.each([
  ['a private key', async () => exportJWK((await pair()).privateKey)],
  ['a key to verify with', async () => ({ kty: 'OKP', crv: 'Ed25519', x: '1'.repeat(43) })],
  ['a point of small order', async () => ({ kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) })],
  ['no key', async () => ({})],
])('%s is refused, and nothing is written', async (_, jwk) => {
  const rig = await createRig();
  const content = JSON.stringify(await jwk());
  rig.write('other.jwk', content);
  const { ax, home } = await machine(rig, 'writer');
  const refused = await ax('keys', 'import', 'other.jwk');
  expect(refused).toMatchObject({ exitCode: 78, stdout: '' });
  expect(refused.stderr).toMatch(/^ax: error\[KEY_MALFORMED\]: other\.jwk/);
  expect(refused.stderr).not.toContain(JSON.parse(content).d ?? 'no private part');
  expect(filesBelow(home)).toEqual([]);
  expect(rig.has('.ax')).toBe(false);
});

const pair = () => generateKeyPair('ECDH-ES+A256KW', { crv: 'X25519', extractable: true });

test('a sixteenth recipient is refused: one place of a receipt is the receipt key’s', async () => {
  const rig = await createRig();
  const keys = join(rig.home, 'keys');
  for (let made = 0; made < 15; made++) {
    const jwk = generateX25519(randomBytes);
    const content = JSON.stringify({ role: 'recipient', createdAt: '2026-01-01T00:00:00.000Z', jwk });
    writeFileSync(join(keys, `${jwk.kid}.json`), content, { mode: 0o600 });
  }
  const before = filesBelow(rig.home);
  const refused = await rig.ax('keys', 'generate', '--role', 'recipient');
  expect(refused).toMatchObject({
    exitCode: 64,
    stdout: '',
    stderr: expect.stringContaining('at most 15 recipients'),
  });
  expect(filesBelow(rig.home)).toEqual(before);
  await rig.sign('hello: { run: [echo, hello] }');
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  expect((await receiptOf(rig)).recipients).toHaveLength(16);
});

test('init on a machine that only writes for others makes no key to read with', async () => {
  const rig = await createRig();
  await reader(rig);
  const writer = await machine(rig, 'writer');
  await writer.ax('keys', 'import', 'reader.jwk');
  const { steps } = JSON.parse((await writer.ax('init', '--json')).stdout);
  const { kid } = JSON.parse(rig.read('reader.jwk'));
  expect(steps).toContainEqual({ what: `recipient key ${kid}`, state: 'kept' });
  const { keys } = JSON.parse((await writer.ax('keys', 'list', '--json')).stdout);
  expect(keys.map(({ role }: { role: string }) => role)).not.toContain('receipt');
});

test('recipients are not rotated: each belongs to a reader', async () => {
  const rig = await createRig();
  const refused = await rig.ax('keys', 'rotate', '--role', 'recipient');
  expect(refused).toMatchObject({ exitCode: 64, stdout: '' });
});

test.each([
  ['none', () => []],
  ['one of them twice', (key: object) => [key, key]],
  ['more than a receipt can have', () => Array.from({ length: 16 }, publicKey)],
])('AX_RECIPIENTS with %s is refused, and nothing is started', async (_, keysFor) => {
  const rig = await createRig();
  await rig.sign('hello: { shell: "echo > ran" }');
  const env = { AX_RECIPIENTS: JSON.stringify(keysFor(publicKey())) };
  const refused = await rig.axWith({ env }, 'run', 'hello');
  expect(refused).toMatchObject({ exitCode: 78, stdout: '' });
  expect(refused.stderr).toMatch(/^ax: error\[ENVIRONMENT_MALFORMED\]: AX_RECIPIENTS/);
  expect(rig.has('ran')).toBe(false);
});

function publicKey() {
  const { d: _, ...rest } = generateX25519(randomBytes);
  return rest;
}
