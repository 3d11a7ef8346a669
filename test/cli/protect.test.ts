import { randomBytes, scryptSync } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compactDecrypt } from 'jose';
import { expect, test } from 'vitest';
import { loadKeyring } from '../../src/store/keyring.ts';
import { createVault } from '../../src/store/vault.ts';
import { createRig, lines, type Rig, snapshot } from '../support/rig.ts';
import { document, keysList, keysProtect } from '../support/shapes.ts';
import { onTerminal, tmux } from '../support/terminal.ts';

const PASSPHRASE = 'correct horse battery staple';
const UID = process.getuid?.() ?? -1;
const given = { env: { AX_KEYRING_PASSPHRASE: PASSPHRASE } };

interface KeyFile {
  role: string;
  jwk: { kid: string; kty: string; d?: string; k?: string };
  protected?: string;
}

const filesOf = (rig: Rig): KeyFile[] =>
  readdirSync(join(rig.home, 'keys'))
    .filter((name) => /^.{43}\.json$/.test(name))
    .map((name) => JSON.parse(readFileSync(join(rig.home, 'keys', name), 'utf8')));

async function protectedRig(): Promise<Rig> {
  const rig = await createRig();
  expect((await rig.axWith(given, 'keys', 'protect')).exitCode).toBe(0);
  return rig;
}

test('protected keys sign, run and decrypt with the passphrase, and no private part is in any file', async () => {
  const rig = await createRig();
  const secrets = filesOf(rig).map(({ jwk }) => jwk.d ?? jwk.k ?? 'none');
  const done = await rig.axWith(given, 'keys', 'protect', '--json');
  expect(document(keysProtect, done.stdout)).toEqual({
    schema: 'ax.keys.protect/1',
    protected: true,
    keys: 3,
  });
  const everything = JSON.stringify(snapshot(rig));
  for (const secret of [...secrets, PASSPHRASE]) expect(everything).not.toContain(secret);

  rig.manifest('hello: { shell: "echo > ran" }');
  expect((await rig.axWith(given, 'sign')).exitCode).toBe(0);
  expect((await rig.axWith(given, 'verify')).exitCode).toBe(0);
  expect((await rig.axWith(given, 'run', 'hello')).exitCode).toBe(0);
  expect(rig.has('ran')).toBe(true);
  const { id } = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout).receipts[0];
  expect((await rig.axWith(given, 'receipts', 'decrypt', id)).exitCode).toBe(0);
  expect((await rig.axWith(given, 'receipts', 'verify', id)).exitCode).toBe(0);

  // Listing, exporting a public key and trusting it want no passphrase.
  const { keys } = document(keysList, (await rig.ax('keys', 'list', '--json')).stdout);
  expect(keys.map((key) => key.protected)).toEqual([true, true, true]);
  expect((await rig.ax('keys', 'export')).exitCode).toBe(0);
  const { kid } = JSON.parse((await rig.ax('keys', 'export')).stdout);
  expect((await rig.ax('trust', 'add', 'acme/other', '--key', kid)).exitCode).toBe(0);
});

test.each([
  ['none', undefined, 'KEYRING_LOCKED'],
  ['another', 'incorrect horse', 'PASSPHRASE_WRONG'],
  ['an empty one', '', 'PASSPHRASE_WRONG'],
])(
  'with %s as passphrase everything that wants a private key is refused, and nothing is written',
  async (_, passphrase, code) => {
    const rig = await createRig();
    await rig.sign('hello: { shell: "echo > ran" }');
    expect((await rig.axWith(given, 'keys', 'protect')).exitCode).toBe(0);
    // All but the pages of the database, which are as opening it leaves them.
    const state = async () => ({
      head: (await rig.ax('audit', 'verify', '--json')).stdout,
      files: Object.entries(snapshot(rig)).filter(([name]) => !name.includes('/ax.db')),
    });
    const before = await state();
    const how = { env: { AX_KEYRING_PASSPHRASE: passphrase } };
    for (const args of [
      ['run', 'hello'],
      ['sign', '--yes'],
      ['keys', 'rotate', '--role', 'signing'],
      ['keys', 'rotate'],
      ['keys', 'generate', '--role', 'recipient'],
      ['keys', 'unprotect'],
      ['keys', 'protect'],
    ]) {
      const refused = await rig.axWith(how, ...args);
      expect(refused, args.join(' ')).toMatchObject({ exitCode: 78, stdout: '' });
      expect(refused.stderr).toContain(`ax: error[${code}]: `);
      expect(refused.stderr).not.toContain('incorrect horse');
    }
    expect(await state()).toEqual(before);
    expect(rig.has('ran')).toBe(false);
  },
);

test('other people’s code opens a protected key: scrypt of node:crypto, JWE of jose', async () => {
  const rig = await createRig();
  const before = new Map(filesOf(rig).map(({ jwk }) => [jwk.kid, jwk]));
  await rig.axWith(given, 'keys', 'protect');
  for (const { jwk, role, protected: sealed = '' } of filesOf(rig)) {
    const [header = ''] = sealed.split('.');
    const { scrypt, ...rest } = JSON.parse(Buffer.from(header, 'base64url').toString());
    expect(rest).toEqual({ alg: 'dir', enc: 'A256GCM', kid: jwk.kid, role, typ: 'ax-key+jwe' });
    const { n: N, r, p, salt } = scrypt;
    expect({ N, r, p }).toEqual({ N: 131_072, r: 8, p: 1 });
    const key = scryptSync(PASSPHRASE, Buffer.from(salt, 'base64url'), 32, { N, r, p, maxmem: 2 ** 28 });
    const { plaintext } = await compactDecrypt(sealed, key);
    expect(JSON.parse(Buffer.from(plaintext).toString())).toEqual(before.get(jwk.kid));
    expect(jwk.d ?? jwk.k).toBeUndefined();
  }
});

test('a new key is protected as the others are; public keys of others are not', async () => {
  const rig = await protectedRig();
  for (const role of ['signing', 'host', 'receipt']) {
    expect((await rig.axWith(given, 'keys', 'rotate', '--role', role)).exitCode).toBe(0);
  }
  expect(filesOf(rig).every((file) => file.protected !== undefined)).toBe(true);
  const reader = await createRig();
  await reader.ax('keys', 'generate', '--role', 'recipient');
  rig.write('reader.jwk', (await reader.ax('keys', 'export', '--role', 'recipient')).stdout);
  expect((await rig.axWith(given, 'keys', 'import', 'reader.jwk')).exitCode).toBe(0);
  expect(filesOf(rig).filter((file) => file.protected === undefined)).toHaveLength(1);
});

test('the passphrase is changed, and taken off', async () => {
  const rig = await createRig();
  const before = filesOf(rig);
  await rig.axWith(given, 'keys', 'protect');
  const NEW = 'tr0ub4dor & three';
  const change = { env: { ...given.env, AX_KEYRING_NEW_PASSPHRASE: NEW } };
  expect((await rig.axWith(change, 'keys', 'protect')).exitCode).toBe(0);
  const unprotect = (passphrase: string) =>
    rig.axWith({ env: { AX_KEYRING_PASSPHRASE: passphrase } }, 'keys', 'unprotect', '--json');
  expect((await unprotect(PASSPHRASE)).exitCode).toBe(78);
  expect(document(keysProtect, (await unprotect(NEW)).stdout)).toMatchObject({ protected: false, keys: 3 });
  expect(filesOf(rig)).toEqual(before);
  expect(document(keysProtect, (await unprotect(NEW)).stdout)).toMatchObject({ keys: 0 });
});

test('a short passphrase is refused, and nothing is written', async () => {
  const rig = await createRig();
  const before = snapshot(rig);
  const short = await rig.axWith({ env: { AX_KEYRING_PASSPHRASE: 'short' } }, 'keys', 'protect');
  expect(short).toMatchObject({ exitCode: 78, stdout: '' });
  expect(await rig.ax('keys', 'protect')).toMatchObject({ exitCode: 78, stdout: '' });
  expect(snapshot(rig)).toEqual(before);
});

test('a protected key that was changed anywhere does not open', async () => {
  const rig = await protectedRig();
  const vault = createVault(randomBytes, PASSPHRASE);
  const open = () => loadKeyring(join(rig.home, 'keys'), UID, vault).map((entry) => entry.jwk);
  expect(open()).toHaveLength(3);
  const host = filesOf(rig).find(({ role }) => role === 'host');
  const path = join(rig.home, 'keys', `${host?.jwk.kid}.json`);
  const text = readFileSync(path, 'utf8');
  const [header = '', , iv = '', ciphertext = '', tag = ''] = host?.protected?.split('.') ?? [];
  const flip = (part: string) => `${part.startsWith('A') ? 'B' : 'A'}${part.slice(1)}`;
  const cheap = JSON.parse(Buffer.from(header, 'base64url').toString());
  cheap.scrypt.n = 2;
  const changes: [string, string][] = [
    [header, Buffer.from(JSON.stringify(cheap)).toString('base64url')],
    [iv, flip(iv)],
    [ciphertext, flip(ciphertext)],
    [tag, flip(tag)],
    [tag, tag.slice(0, -2)],
    ['"role": "host"', '"role": "signing"'],
    ['"protected"', '"covered"'],
    [host?.protected ?? '', filesOf(rig).find(({ role }) => role === 'signing')?.protected ?? ''],
  ];
  for (const [from, to] of changes) {
    writeFileSync(path, text.replace(from, to));
    expect(open, `${from} to ${to}`).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(KEY_MALFORMED|PASSPHRASE_WRONG)$/) }),
    );
  }
  writeFileSync(path, text);
  expect(open()).toHaveLength(3);
});

test.skipIf(tmux === undefined)('on a terminal the passphrase is asked for, and not shown', async () => {
  const rig = await createRig();
  await rig.sign('hello: { run: [echo, hello] }');
  await rig.axWith(given, 'keys', 'protect');
  const question = 'Passphrase of the keyring:';
  const { screen, status } = await onTerminal(rig, 'run hello', { question, answer: PASSPHRASE });
  expect(status).toBe(0);
  expect(screen).not.toContain('horse');
  expect(lines(screen).some((line) => line.includes('hello'))).toBe(true);
});
