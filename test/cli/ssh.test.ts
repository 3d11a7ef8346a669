import { chmodSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { encodeSshPublicKey, parseSshPublicKey, sshFingerprint } from '../../src/security/ssh-public-key.ts';
import { sshString, sshUint32 } from '../../src/security/ssh-wire.ts';
import { createRig, filesBelow, lines, PROJECT, type Ran, type Rig, snapshot } from '../support/rig.ts';
import { document, errorShape, keysImport, keysList } from '../support/shapes.ts';
import { type Behaviour, HAS_SSH, type KeyPair, makeKey, startAgent, startImpostor } from '../support/ssh.ts';

/** Keys of OpenSSH as signing keys: made by ssh-keygen, and kept by a real ssh-agent or by what only pretends to be one. */

const HELLO = 'hello: { run: [echo, hello] }';

function keyFor(rig: Rig, options?: Parameters<typeof makeKey>[1]): KeyPair & { kid: string } {
  const pair = makeKey(join(rig.base, 'id_test'), options);
  return { ...pair, kid: options?.type === undefined ? parseSshPublicKey(pair.publicText, 'pub').kid : '' };
}

const codeIn = ({ stderr }: Ran) => /error\[([A-Z_]+)\]/.exec(stderr)?.[1];
const signersIn = (rig: Rig): string[] =>
  JSON.parse(rig.read('ax.lock')).signatures.map(({ keyid }: { keyid: string }) => keyid);
const listed = async (rig: Rig) => document(keysList, (await rig.ax('keys', 'list', '--json')).stdout).keys;
/** Everything that ax keeps of keys, as text. */
const keyFilesOf = ({ home }: Rig) =>
  filesBelow(join(home, 'keys')).map((name) => readFileSync(join(home, 'keys', name), 'utf8'));

describe.skipIf(!HAS_SSH)('a public key whose private part an ssh-agent has', () => {
  it('is imported, signs a manifest that runs, and approves', async () => {
    const rig = await createRig();
    const agent = startAgent();
    const key = keyFor(rig);
    agent.add(key.file);
    const { env } = agent;
    const own = JSON.parse((await rig.ax('keys', 'export')).stdout).kid;
    const imported = await rig.axWith({ env }, 'keys', 'import', `${key.file}.pub`);
    expect(imported.exitCode).toBe(0);
    expect(imported.stdout).toBe(`imported  signing key ${key.kid} (Ed25519, ssh-agent)\n`);
    const fingerprint = sshFingerprint(parseSshPublicKey(key.publicText, 'pub').publicKey.raw);
    expect(lines(imported.stderr)).toEqual([
      `It is the active signing key, in place of ${own}. To let it sign for a project:`,
      `ax trust add <project> --key=${key.kid}`,
      `To sign, it has to be in a running ssh-agent, as ${fingerprint}`,
    ]);
    expect((await rig.axWith({ env }, 'trust', 'add', PROJECT, `--key=${key.kid}`)).exitCode).toBe(0);

    rig.manifest(HELLO);
    const signed = await rig.axWith({ env }, 'sign', '--yes', '--json');
    expect(signed.exitCode).toBe(0);
    expect(JSON.parse(signed.stdout)).toMatchObject({ keyids: [key.kid], runnable: true });
    expect(await rig.ax('run', 'hello')).toMatchObject({ exitCode: 0, stdout: 'hello | hello\n' });

    const approved = await rig.axWith({ env }, 'approve', 'hello', '--yes', '--output', 'hello.json');
    expect(approved.exitCode).toBe(0);
    expect(JSON.parse(rig.read('hello.json')).signatures).toMatchObject([{ keyid: key.kid }]);

    expect((await rig.ax('verify')).exitCode).toBe(0);
    const row = (await listed(rig)).find(({ kid }) => kid === key.kid);
    expect(row).toMatchObject({ role: 'signing', state: 'active', private: false, protected: false });
    expect((await rig.ax('keys', 'list')).stdout).toMatch(
      new RegExp(`${key.kid} +signing +Ed25519 \\(ssh-agent\\) +active`),
    );
    const ours = keyFilesOf(rig).find((text) => text.includes(key.kid)) ?? '';
    expect(Object.keys(JSON.parse(ours).jwk)).toEqual(['kty', 'crv', 'x', 'kid']);
  });

  it('signs beside the keyring’s own, for a project that wants two', async () => {
    const rig = await createRig();
    const agent = startAgent();
    const key = keyFor(rig);
    agent.add(key.file);
    await rig.sign(HELLO);
    const [own = ''] = signersIn(rig);
    expect((await rig.ax('trust', 'add', PROJECT, `${key.file}.pub`, '--threshold', '2')).exitCode).toBe(0);
    expect(codeIn(await rig.ax('run', 'hello'))).toBe('SIGNATURE_UNTRUSTED');
    await rig.ax('keys', 'import', `${key.file}.pub`);
    expect((await rig.axWith({ env: agent.env }, 'sign', '--add', '--yes')).exitCode).toBe(0);
    expect(signersIn(rig)).toEqual([own, key.kid]);
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  });

  it('leaves what does not sign with it as it was: protect, init, rotate, revoke', async () => {
    const rig = await createRig();
    const agent = startAgent();
    const key = keyFor(rig);
    agent.add(key.file);
    rig.manifest(HELLO);
    await rig.ax('keys', 'import', `${key.file}.pub`);
    const env = { AX_KEYRING_PASSPHRASE: 'correct horse battery' };
    const protectedAll = await rig.axWith({ env }, 'keys', 'protect', '--json');
    expect(JSON.parse(protectedAll.stdout)).toMatchObject({ protected: true, keys: 3 });
    // Nor is a passphrase wanted for a key that is not here.
    expect((await rig.axWith({ env: agent.env }, 'sign', '--yes')).exitCode).toBe(0);
    expect(signersIn(rig)).toEqual([key.kid]);

    const again = await rig.axWith({ env }, 'init', '--json');
    expect(JSON.parse(again.stdout).steps).toContainEqual({ what: `signing key ${key.kid}`, state: 'kept' });
    await rig.ax('trust', 'add', PROJECT, `--key=${key.kid}`);
    const rotated = await rig.axWith({ env }, 'keys', 'rotate', '--role', 'signing', '--json');
    expect(JSON.parse(rotated.stdout)).toMatchObject({ role: 'signing', trustedFor: [PROJECT] });
    expect((await listed(rig)).find(({ kid }) => kid === key.kid)).toMatchObject({ state: 'retired' });
    expect((await rig.ax('keys', 'revoke', '--yes', '--', key.kid)).exitCode).toBe(0);
    expect(codeIn(await rig.axWith({ env }, 'run', 'hello'))).toBe('KEY_REVOKED');
    const back = await rig.axWith({ env }, 'keys', 'import', `${key.file}.pub`);
    expect([back.exitCode, codeIn(back)]).toEqual([77, 'KEY_REVOKED']);
  });

  it('is due like any other, and what to do then keeps the next one out of the keyring too', async () => {
    const rig = await createRig();
    const key = keyFor(rig);
    await rig.ax('keys', 'import', `${key.file}.pub`);
    for (const name of filesBelow(join(rig.home, 'keys'))) {
      const path = join(rig.home, 'keys', name);
      const file = JSON.parse(readFileSync(path, 'utf8'));
      const createdAt = Date.parse(file.createdAt) - 60 * 24 * 60 * 60 * 1000;
      writeFileSync(path, JSON.stringify({ ...file, createdAt: new Date(createdAt).toISOString() }));
    }
    const { exitCode, stderr } = await rig.ax('keys', 'list');
    expect(exitCode).toBe(0);
    expect(lines(stderr)).toEqual([
      'ax: warning: the signing key is due: make another (ssh-keygen -t ed25519), then ax keys import <file>.pub',
    ]);
  });

  it('is refused where the agent does not have it, or there is none; nothing is written', async () => {
    const rig = await createRig();
    const agent = startAgent();
    const key = keyFor(rig);
    await rig.sign(HELLO);
    await rig.ax('keys', 'import', `${key.file}.pub`);
    expect((await rig.ax('verify')).exitCode).toBe(0);
    const before = snapshot(rig);
    for (const [env, hint] of [
      [agent.env, 'ax: hint: ssh-add <the file of its private key>; ssh-add -l lists what is there'],
      [{}, 'ax: hint: eval "$(ssh-agent)", then ssh-add <the file of its private key>'],
    ] as const) {
      for (const command of [
        ['sign', '--yes'],
        ['sign', '--add', '--yes'],
        ['approve', 'hello', '--yes', '--output', 'a.json'],
      ]) {
        const refused = await rig.axWith({ env }, ...command);
        expect([refused.exitCode, codeIn(refused)], command.join(' ')).toEqual([69, 'AGENT_UNAVAILABLE']);
        expect(lines(refused.stderr).at(-1)).toBe(hint);
      }
    }
    expect(rig.has('a.json')).toBe(false);
    expect(lockAndKeys(snapshot(rig))).toEqual(lockAndKeys(before));
    const { records } = JSON.parse((await rig.ax('audit', 'list', '--json')).stdout);
    const types = records.map(({ type }: { type: string }) => type);
    expect(types.filter((type: string) => type.endsWith('.sign'))).toEqual(['manifest.sign']);
  });
});

/** All but the store, which has on record that the manifest was verified. */
function lockAndKeys(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([name]) => !name.startsWith('project/.ax/')));
}

describe.skipIf(!HAS_SSH)('an agent that is none', () => {
  const list = (rig: KeyPair) =>
    Buffer.concat([
      Buffer.of(12),
      sshUint32(1),
      sshString(encodeSshPublicKey(parseSshPublicKey(rig.publicText, 'pub').publicKey.raw)),
      sshString('me'),
    ]);
  const wrong = Buffer.concat([
    Buffer.of(14),
    sshString(Buffer.concat([sshString('ssh-ed25519'), sshString(Buffer.alloc(64, 1))])),
  ]);
  const answers: [string, Behaviour, number, string][] = [
    ['answers garbage', (_, socket) => socket.write('220 ready\r\n'), 69, 'AGENT_UNAVAILABLE'],
    ['gives a wrong signature', (_, socket) => socket.write(sshString(wrong)), 77, 'SIGNATURE_INVALID'],
    [
      'announces a huge message',
      (_, socket) => socket.write(sshUint32(0x7fff_ffff)),
      69,
      'AGENT_UNAVAILABLE',
    ],
    [
      'stops in the middle',
      (_, socket) => socket.end(sshString(wrong).subarray(0, 30)),
      69,
      'AGENT_UNAVAILABLE',
    ],
    ['hangs up', (_, socket) => socket.destroy(), 69, 'AGENT_UNAVAILABLE'],
    ['refuses', (_, socket) => socket.write(sshString(Buffer.of(5))), 69, 'AGENT_UNAVAILABLE'],
  ];
  it('is refused with ax.lock as it was, whatever it does when it is to sign', async () => {
    const rig = await createRig();
    const key = keyFor(rig);
    await rig.sign(HELLO);
    await rig.ax('keys', 'import', `${key.file}.pub`);
    const before = snapshot(rig);
    for (const [what, behaviour, status, code] of answers) {
      const env = await startImpostor((message, socket) => {
        if (message[0] === 11) socket.write(sshString(list(key)));
        else behaviour(message, socket);
      });
      const { SSH_AUTH_SOCK } = env;
      const refused = await rig.axWith({ env: { SSH_AUTH_SOCK } }, 'sign', '--yes', '--json');
      expect(refused.exitCode, what).toBe(status);
      expect(document(errorShape, refused.stdout).error, what).toMatchObject({
        code,
        hint: expect.any(String),
      });
      expect(env.asked, what).toEqual([11, 13]);
    }
    expect(snapshot(rig)).toEqual(before);
  });

  it('and says nothing at all is given up on', async () => {
    const rig = await createRig();
    const key = keyFor(rig);
    await rig.ax('keys', 'import', `${key.file}.pub`);
    rig.manifest(HELLO);
    const { SSH_AUTH_SOCK } = await startImpostor(() => {});
    const refused = await rig.axWith({ env: { SSH_AUTH_SOCK } }, 'sign', '--yes');
    expect([refused.exitCode, codeIn(refused)]).toEqual([69, 'AGENT_UNAVAILABLE']);
    expect(refused.stderr).toContain('expected an answer within 5 seconds, found none');
    expect(rig.has('ax.lock')).toBe(false);
  });
});

describe.skipIf(!HAS_SSH)('an OpenSSH private key', () => {
  it('is imported with both parts, and signs without an agent; its file stays as it is', async () => {
    const rig = await createRig();
    const key = keyFor(rig);
    rig.manifest(HELLO);
    const imported = await rig.ax('keys', 'import', key.file, '--json');
    expect(imported.exitCode).toBe(0);
    expect(document(keysImport, imported.stdout)).toEqual({
      schema: 'ax.keys.import/1',
      kid: key.kid,
      role: 'signing',
      algorithm: 'Ed25519',
      private: true,
      state: 'made',
    });
    await rig.ax('trust', 'add', PROJECT, `--key=${key.kid}`);
    await rig.sign(HELLO);
    expect(signersIn(rig)).toEqual([key.kid]);
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
    expect(readFileSync(key.file, 'utf8')).toBe(key.privateText);
    const records = JSON.parse((await rig.ax('audit', 'list', '--json')).stdout).records;
    expect(records.map(({ data }: { data: object }) => data)).toContainEqual({
      change: 'import',
      role: 'signing',
      kid: key.kid,
    });
  });

  it('comes under the passphrase of a protected keyring, and not without it', async () => {
    const rig = await createRig();
    const key = keyFor(rig);
    const env = { AX_KEYRING_PASSPHRASE: 'correct horse battery' };
    await rig.axWith({ env }, 'keys', 'protect');
    const before = keyFilesOf(rig);
    const refused = await rig.ax('keys', 'import', key.file);
    expect([refused.exitCode, codeIn(refused)]).toEqual([78, 'KEYRING_LOCKED']);
    expect(keyFilesOf(rig)).toEqual(before);
    expect((await rig.axWith({ env }, 'keys', 'import', key.file)).exitCode).toBe(0);
    const ours = JSON.parse(keyFilesOf(rig).find((text) => text.includes(key.kid)) ?? '');
    expect(Object.keys(ours)).toEqual(['role', 'createdAt', 'jwk', 'protected']);
    expect(ours.jwk).not.toHaveProperty('d');
    rig.manifest(HELLO);
    expect((await rig.axWith({ env }, 'sign', '--yes')).exitCode).toBe(0);
    expect(signersIn(rig)).toEqual([key.kid]);
  });

  it('takes the place of its public part, never the reverse', async () => {
    const rig = await createRig();
    const key = keyFor(rig);
    const stateOf = async (file: string) => {
      const { state, private: isHere } = document(
        keysImport,
        (await rig.ax('keys', 'import', file, '--json')).stdout,
      );
      return [state, isHere];
    };
    expect(await stateOf(`${key.file}.pub`)).toEqual(['made', false]);
    expect(await stateOf(`${key.file}.pub`)).toEqual(['kept', false]);
    expect(await stateOf(key.file)).toEqual(['made', true]);
    const before = keyFilesOf(rig);
    expect(await stateOf(`${key.file}.pub`)).toEqual(['kept', true]);
    expect(await stateOf(key.file)).toEqual(['kept', true]);
    expect(keyFilesOf(rig)).toEqual(before);
    await rig.ax('keys', 'rotate', '--role', 'signing');
    expect((await rig.ax('keys', 'import', key.file)).stderr).toMatch(
      /^It is retired: the active signing key is /,
    );
  });

  it('that others may read, or that a link leads to, is refused', async () => {
    const rig = await createRig();
    const key = keyFor(rig);
    const before = snapshot(rig);
    chmodSync(key.file, 0o644);
    const open = await rig.ax('keys', 'import', key.file);
    expect([open.exitCode, codeIn(open)]).toEqual([78, 'KEY_PERMISSIONS']);
    expect(lines(open.stderr).at(-1)).toBe(`ax: hint: chmod 600 ${key.file}`);
    chmodSync(key.file, 0o600);
    renameSync(key.file, `${key.file}.real`);
    symlinkSync(`${key.file}.real`, key.file);
    const linked = await rig.ax('keys', 'import', key.file);
    expect([linked.exitCode, codeIn(linked)]).toEqual([78, 'KEY_PERMISSIONS']);
    expect(snapshot(rig)).toEqual(before);
  });

  it.each<[string, NonNullable<Parameters<typeof makeKey>[1]>, string]>([
    ['RSA', { type: ['rsa', '-b', '2048'] }, 'found ssh-rsa'],
    ['ECDSA', { type: ['ecdsa'] }, 'found ecdsa-sha2-nistp256'],
    ['a passphrase', { passphrase: 'correct horse' }, 'expected a key without a passphrase'],
  ])('with %s is refused, and its public part is no signing key for that', async (_, options, message) => {
    const rig = await createRig();
    const key = keyFor(rig, options);
    const before = snapshot(rig);
    const refused = await rig.ax('keys', 'import', key.file);
    expect([refused.exitCode, codeIn(refused)]).toEqual([78, 'KEY_MALFORMED']);
    expect(refused.stderr).toContain(message);
    if (options.type !== undefined) {
      for (const command of [
        ['keys', 'import'],
        ['trust', 'add', PROJECT],
      ]) {
        const other = await rig.ax(...command, `${key.file}.pub`);
        expect([other.exitCode, codeIn(other)]).toEqual([78, 'KEY_MALFORMED']);
        expect(other.stderr).toContain(message);
      }
    }
    expect(snapshot(rig)).toEqual(before);
  });

  it('is not trusted: its owner keeps it', async () => {
    const rig = await createRig();
    const key = keyFor(rig);
    const before = snapshot(rig);
    const refused = await rig.ax('trust', 'add', PROJECT, key.file);
    expect([refused.exitCode, codeIn(refused)]).toEqual([78, 'KEY_MALFORMED']);
    expect(refused.stderr).toContain('expected a public key, found a private one');
    expect(snapshot(rig)).toEqual(before);
  });
});

test('a key of the keyring that has another role is not replaced', async () => {
  const rig = await createRig();
  const { x } = JSON.parse((await rig.ax('keys', 'export', '--role', 'host')).stdout);
  const blob = encodeSshPublicKey(Buffer.from(x, 'base64url')).toString('base64');
  rig.write('host.pub', `ssh-ed25519 ${blob} host\n`);
  const before = snapshot(rig);
  const refused = await rig.ax('keys', 'import', 'host.pub');
  expect([refused.exitCode, codeIn(refused)]).toEqual([64, 'USAGE']);
  expect(snapshot(rig)).toEqual(before);
});

test('a private JWK, and a public one to sign with, are refused as before', async () => {
  const rig = await createRig();
  const text = keyFilesOf(rig).find((file) => JSON.parse(file).role === 'signing') ?? '';
  const { jwk } = JSON.parse(text);
  rig.write('private.jwk', JSON.stringify(jwk));
  rig.write('public.jwk', (await rig.ax('keys', 'export')).stdout);
  const before = snapshot(rig);
  for (const [file, ...refusal] of [
    ['private.jwk', 78, 'KEY_MALFORMED'],
    ['public.jwk', 64, 'USAGE'],
  ] as const) {
    const refused = await rig.ax('keys', 'import', file);
    expect([refused.exitCode, codeIn(refused)]).toEqual(refusal);
    expect(refused.stderr).not.toContain(jwk.d);
  }
  expect(snapshot(rig)).toEqual(before);
});
