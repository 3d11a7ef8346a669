import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { generateEd25519 } from '../../src/security/signing-keys.ts';
import {
  createRig,
  filesBelow,
  type How,
  lines,
  PROJECT,
  type Ran,
  type Rig,
  snapshot,
} from '../support/rig.ts';
import { document, keysImport, keysList, receiptsVerify, receiptsVerifyAll } from '../support/shapes.ts';

/** Receipts that one machine writes and another verifies: homes that share the writer's store and public keys alone. */

const DAY = 24 * 60 * 60 * 1000;

interface Machine {
  readonly home: string;
  ax(...args: string[]): Promise<Ran>;
}

function machine(rig: Rig, name: string, more: How = {}): Machine {
  const home = join(rig.base, name);
  return { home, ax: (...args) => rig.axWith({ ...more, env: { ...more.env, AX_HOME: home } }, ...args) };
}

/** A CI-like writer, which has readers' public keys alone, and two receipts that it wrote, in a copy of its store. */
async function written(rig: Rig) {
  await rig.sign('hello: { run: [echo, hello] }\nfails: { run: ["false"] }');
  const reader = machine(rig, 'reader');
  await reader.ax('keys', 'generate', '--role', 'recipient');
  rig.write('reader.jwk', (await reader.ax('keys', 'export', '--role', 'recipient')).stdout);
  const writer = machine(rig, 'writer', { env: { AX_TRUST: (await rig.ax('trust', 'export')).stdout } });
  await writer.ax('keys', 'import', 'reader.jwk');
  expect((await writer.ax('run', 'hello')).exitCode).toBe(0);
  expect((await writer.ax('run', 'fails')).exitCode).toBe(1);
  rig.write('host.jwk', (await writer.ax('keys', 'export', '--role', 'host')).stdout);
  return { reader, writer, ...copyOf(rig, 'copy') };
}

/** The store at hand, elsewhere. */
function copyOf(rig: Rig, name: string) {
  const copy = join(rig.base, name);
  cpSync(join(rig.project, '.ax'), copy, { recursive: true });
  chmodSync(copy, 0o700);
  return { at: ['--store', copy] };
}

const kidOf = (rig: Rig, file: string): string => JSON.parse(rig.read(file)).kid;

async function ids({ ax }: Machine, at: string[]): Promise<string[]> {
  const { receipts } = JSON.parse((await ax('receipts', 'list', '--json', ...at)).stdout);
  return receipts.map(({ id }: { id: string }) => id);
}

test('a reader with the host’s public key lists, decrypts and verifies what a write-only machine wrote', async () => {
  const rig = await createRig();
  const { reader, writer, at } = await written(rig);
  const kid = kidOf(rig, 'host.jwk');
  const imported = await reader.ax('keys', 'import', '--role', 'host', 'host.jwk', '--json');
  expect(imported.exitCode).toBe(0);
  expect(document(keysImport, imported.stdout)).toMatchObject({ kid, role: 'host', state: 'made' });

  const [fails = '', hello = ''] = await ids(reader, at);
  expect((await reader.ax('receipts', 'decrypt', hello, ...at)).exitCode).toBe(0);
  const one = await reader.ax('receipts', 'verify', fails, '--json', ...at);
  expect(one.exitCode).toBe(0);
  expect(document(receiptsVerify, one.stdout)).toMatchObject({
    keyid: kid,
    outcome: 'failed',
    standing: 'current',
  });
  const all = await reader.ax('receipts', 'verify', '--all', '--json', ...at);
  expect(all.exitCode).toBe(0);
  expect(document(receiptsVerifyAll, all.stdout)).toMatchObject({
    ok: true,
    verdicts: { valid: 2, untrusted: 0 },
  });
  // What wrote them cannot read them.
  expect((await writer.ax('receipts', 'verify', hello)).exitCode).toBe(66);
});

test('a host that is not known is untrusted: with no key of a host here, and with another one’s', async () => {
  const rig = await createRig();
  const { reader, at } = await written(rig);
  const [, hello = ''] = await ids(reader, at);
  rig.write('other.jwk', (await rig.ax('keys', 'export', '--role', 'host')).stdout);
  for (const known of [[], ['other.jwk']]) {
    for (const file of known) await reader.ax('keys', 'import', '--role', 'host', file);
    const refused = await reader.ax('receipts', 'verify', hello, ...at);
    expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
    expect(lines(refused.stderr)[0]).toContain('error[SIGNATURE_UNTRUSTED]');
    expect(lines(refused.stderr)[1]).toBe(
      'ax: hint: if you know the host that signed it: ax keys import --role host <its public key>',
    );
    const all = await reader.ax('receipts', 'verify', '--all', '--json', ...at);
    expect(all.exitCode).toBe(77);
    expect(document(receiptsVerifyAll, all.stdout).verdicts).toMatchObject({ valid: 0, untrusted: 2 });
  }
});

test('a host’s own key and those of others leave each other alone', async () => {
  const rig = await createRig();
  await rig.sign(
    'hello: { run: [echo, hello], description: says hello to the whole world, guards: [{ moderation: { similarity: { max: 0.9, window: 1h } } }] }',
  );
  const own = JSON.parse((await rig.ax('keys', 'export', '--role', 'host')).stdout).kid;
  const others = ['a.jwk', 'b.jwk'];
  for (const file of others) {
    const { d: _, ...jwk } = generateEd25519(randomBytes);
    rig.write(file, JSON.stringify(jwk));
    expect((await rig.ax('keys', 'import', '--role', 'host', file)).exitCode).toBe(0);
  }
  const hosts = async () => {
    const { keys } = document(keysList, (await rig.ax('keys', 'list', '--json')).stdout);
    return keys
      .filter(({ role }) => role === 'host')
      .map(({ kid, state, private: hasPrivatePart }) => [kid, state, hasPrivatePart]);
  };
  const public_ = others.map((file) => [kidOf(rig, file), 'active', false]);
  expect(await hosts()).toEqual([[own, 'active', true], ...public_]);
  expect(JSON.parse((await rig.ax('keys', 'export', '--role', 'host')).stdout).kid).toBe(own);
  // It is this host's key that signs, and that texts of earlier runs are sealed under.
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  // The guard has read what was sealed, so this is a repeat.
  expect((await rig.ax('run', 'hello')).exitCode).toBe(77);
  const [id = ''] = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout).receipts.map(
    (one: { id: string }) => one.id,
  );
  const verified = await rig.ax('receipts', 'verify', id, '--json');
  expect(document(receiptsVerify, verified.stdout)).toMatchObject({ keyid: own, standing: 'current' });
  await rig.ax('keys', 'rotate', '--role', 'host');
  const rotated = await hosts();
  expect(rotated.slice(0, 3)).toEqual([[own, 'retired', true], ...public_]);
  expect(rotated[3]?.slice(1)).toEqual(['active', true]);
  // Nobody here can do anything about the age of theirs.
  const aged = await rig.axWith({ later: 200 * DAY }, 'keys', 'list');
  expect(lines(aged.stderr).filter((line) => line.includes('host key'))).toEqual([
    'ax: warning: the host key is due: ax keys rotate --role host',
  ]);
  expect(aged.stdout.match(/\(public\) +active +\d+ d *$/gm)).toHaveLength(2);
});

test('a machine without a host key of its own makes one, also where it knows others', async () => {
  const rig = await createRig();
  const { writer, reader } = await written(rig);
  const AX_TRUST = (await rig.ax('trust', 'export')).stdout;
  await reader.ax('keys', 'import', '--role', 'host', 'host.jwk');
  const env = { AX_HOME: reader.home, AX_TRUST };
  expect((await rig.axWith({ env }, 'run', 'hello')).exitCode).toBe(0);
  const { keys } = document(keysList, (await reader.ax('keys', 'list', '--json')).stdout);
  expect(keys.filter(({ role }) => role === 'host').map((key) => key.private)).toEqual([false, true]);
  expect((await reader.ax('receipts', 'verify', '--all')).exitCode).toBe(0);
  expect(filesBelow(join(writer.home, 'keys'))).toHaveLength(2);
});

test('a key that is there already stays as it is: a host does not lose its private part', async () => {
  const rig = await createRig();
  rig.write('own.jwk', (await rig.ax('keys', 'export', '--role', 'host')).stdout);
  const before = snapshot(rig);
  const again = await rig.ax('keys', 'import', '--role', 'host', 'own.jwk', '--json');
  expect(document(keysImport, again.stdout).state).toBe('kept');
  expect(snapshot(rig)).toEqual(before);
});

test('a host key that has expired is taken, and verifies what is from before its end', async () => {
  const rig = await createRig();
  const { reader, writer } = await written(rig);
  await writer.ax('keys', 'rotate', '--role', 'host', '--expires', '10d');
  await writer.ax('run', 'hello');
  rig.write('dated.jwk', (await writer.ax('keys', 'export', '--role', 'host')).stdout);
  const { at } = copyOf(rig, 'later');
  const then = machine(rig, 'reader', { later: 11 * DAY });
  expect((await then.ax('keys', 'import', '--role', 'host', 'dated.jwk')).exitCode).toBe(0);
  const [id = ''] = await ids(reader, at);
  const verified = await then.ax('receipts', 'verify', id, '--json', ...at);
  expect(document(receiptsVerify, verified.stdout).standing).toBe('superseded');
});

test.each<[string, number, string, () => object]>([
  ['a private key', 78, 'KEY_MALFORMED', () => generateEd25519(randomBytes)],
  ['a reader’s key', 78, 'KEY_MALFORMED', () => ({ kty: 'OKP', crv: 'X25519', x: 'CQ'.padEnd(43, 'A') })],
  ['a shared secret', 78, 'KEY_MALFORMED', () => ({ kty: 'oct', alg: 'HS256', k: 'A'.repeat(43) })],
  ['a key marked as revoked', 77, 'KEY_REVOKED', () => ({ ...publicKey(), revoked: { revoked_at: 1 } })],
])('%s is refused as that of a host, and nothing is written', async (_, exitCode, code, jwk) => {
  const rig = await createRig();
  rig.write('other.jwk', JSON.stringify(jwk()));
  const before = snapshot(rig);
  const refused = await rig.ax('keys', 'import', '--role', 'host', 'other.jwk');
  expect(refused).toMatchObject({ exitCode, stdout: '' });
  expect(refused.stderr).toContain(`ax: error[${code}]: other.jwk`);
  expect(snapshot(rig)).toEqual(before);
});

test('a public Ed25519 key is imported for what it is said to be for, and not otherwise', async () => {
  const rig = await createRig();
  rig.write('some.jwk', JSON.stringify(publicKey()));
  rig.write('signer.jwk', (await rig.ax('keys', 'export')).stdout);
  const before = snapshot(rig);
  const refused = await rig.ax('keys', 'import', 'some.jwk');
  expect(refused).toMatchObject({ exitCode: 64, stdout: '' });
  expect(lines(refused.stderr)).toEqual([
    "ax: error[USAGE]: some.jwk: expected --role with an Ed25519 key, which may be a host's or a signer's",
    "ax: hint: to verify a host's receipts: --role host; to trust who signs manifests: ax trust add <project> some.jwk",
  ]);
  const signer = await rig.ax('keys', 'import', '--role', 'host', 'signer.jwk');
  expect(signer).toMatchObject({ exitCode: 64, stdout: '' });
  expect(signer.stderr).toContain('ax: hint: export the other one on that host: ax keys export --role host');
  expect(snapshot(rig)).toEqual(before);
  expect((await rig.ax('trust', 'list')).stdout).toContain(PROJECT);
});

test('a sixty-fifth host is refused', async () => {
  const rig = await createRig();
  for (let made = 0; made < 64; made++) {
    const jwk = publicKey();
    const content = JSON.stringify({ role: 'host', createdAt: '2026-01-01T00:00:00.000Z', jwk });
    writeFileSync(join(rig.home, 'keys', `${jwk.kid}.json`), content, { mode: 0o600 });
  }
  rig.write('one-more.jwk', JSON.stringify(publicKey()));
  const before = snapshot(rig);
  const refused = await rig.ax('keys', 'import', '--role', 'host', 'one-more.jwk');
  expect(refused).toMatchObject({ exitCode: 64, stdout: '' });
  expect(refused.stderr).toContain('at most 64 keys of other hosts');
  expect(snapshot(rig)).toEqual(before);
});

function publicKey() {
  const { d: _, ...jwk } = generateEd25519(randomBytes);
  return jwk;
}
