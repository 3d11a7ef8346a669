import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { craftLock, signingKeys } from '../support/craft.ts';
import { createBareRig, createRig, filesBelow, lines, PROJECT, type Rig, snapshot } from '../support/rig.ts';
import { document, errorShape, receiptsList } from '../support/shapes.ts';
import { onTerminal, tmux } from '../support/terminal.ts';

const QUESTION = 'Trust this key for this project? [y/N]';

/** A project that was signed elsewhere, on a machine that has keys of its own and trusts nobody. */
async function checkout(): Promise<{ rig: Rig; kid: string }> {
  const author = await createRig();
  await author.sign('hello: { shell: touch started }\nshow: { run: [echo, "a\tb"] }');
  const rig = createBareRig();
  expect((await rig.ax('keys', 'generate', '--role', 'receipt')).exitCode).toBe(0);
  for (const name of ['ax.yaml', 'ax.lock']) rig.write(name, author.read(name));
  return { rig, kid: signingKeys(author)[0]?.kid ?? '' };
}

const hintOf = (stderr: string): string => /^ax: hint: (.*)$/m.exec(stderr)?.[1] ?? '';

describe('first contact, where nobody can be asked', () => {
  it('is refused with the command that would trust the key, and that command does it', async () => {
    const { rig, kid } = await checkout();
    const { exitCode, stdout, stderr } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(77);
    expect(stdout).toBe('');
    expect(lines(rig.normal(stderr))).toEqual([
      'ax: error[SIGNATURE_UNTRUSTED]: ax.lock: signed for acme/web by <kid>, which nobody here trusts yet',
      'ax: hint: compare the fingerprint with its owner, then: ax trust add acme/web --key <kid>',
      'ax: hello refused, receipt <id>',
    ]);
    expect(rig.has('started')).toBe(false);
    expect(existsSync(join(rig.home, 'trust.json'))).toBe(false);

    const command = hintOf(stderr).split('then: ax ')[1]?.split(' ') ?? [];
    expect(command).toEqual(['trust', 'add', PROJECT, '--key', kid]);
    const trusted = await rig.ax(...command);
    expect(trusted.exitCode).toBe(0);
    expect(trusted.stdout).toBe(`trusted  for ${PROJECT}: 1 of ${kid}\n`);
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
    expect(rig.has('started')).toBe(true);
  });

  it('is refused by verify as well, which trusts nobody by looking', async () => {
    const { rig } = await checkout();
    const { exitCode, stdout } = await rig.ax('verify');
    expect(exitCode).toBe(77);
    expect(rig.normal(stdout)).toContain(
      'failed  signatures: ax.lock: signed for acme/web by <kid>, which nobody here trusts yet\n',
    );
    expect(existsSync(join(rig.home, 'trust.json'))).toBe(false);
  });

  it('is refused with CI=true too', async () => {
    const { rig } = await checkout();
    const { exitCode } = await rig.axWith({ env: { CI: 'true', GITHUB_ACTIONS: 'true' } }, 'run', 'hello');
    expect(exitCode).toBe(77);
    expect(rig.has('started')).toBe(false);
  });

  it('lists no task that is not trusted', async () => {
    const { rig } = await checkout();
    const { exitCode, stdout } = await rig.ax('tasks');
    expect(exitCode).toBe(77);
    expect(stdout).toBe('');
  });

  it('does not trust a fingerprint that is not the signer’s', async () => {
    const { rig, kid } = await checkout();
    const other = `${kid.startsWith('A') ? 'B' : 'A'}${kid.slice(1)}`;
    const { exitCode, stderr } = await rig.ax('trust', 'add', PROJECT, '--key', other);
    expect(exitCode).toBe(66);
    expect(lines(rig.normal(stderr))[0]).toBe(
      'ax: error[KEY_UNKNOWN]: no key <kid> in the keyring, nor one that signed the ax.lock here',
    );
    expect(existsSync(join(rig.home, 'trust.json'))).toBe(false);
  });

  it('does not trust a key that the envelope brings along but that did not sign it', async () => {
    const { rig } = await checkout();
    const stranger = createBareRig();
    await stranger.ax('keys', 'generate');
    const jwk = JSON.parse((await stranger.ax('keys', 'export')).stdout);
    const envelope = JSON.parse(rig.read('ax.lock'));
    rig.write(
      'ax.lock',
      JSON.stringify({ ...envelope, signatures: [{ ...envelope.signatures[0], keyid: jwk.kid, jwk }] }),
    );
    expect((await rig.ax('trust', 'add', PROJECT, '--key', jwk.kid)).exitCode).toBe(66);
    expect((await rig.ax('run', 'hello')).exitCode).toBe(77);
  });
});

describe('another key for a project that is known', () => {
  it('is refused, and called what it is', async () => {
    const rig = await createRig();
    const stranger = createBareRig();
    await stranger.ax('keys', 'generate');
    rig.manifest('hello: { shell: touch started }');
    craftLock(rig, { keys: signingKeys(stranger) });
    const { exitCode, stderr } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(77);
    expect(lines(rig.normal(stderr)).slice(0, 2)).toEqual([
      'ax: error[SIGNATURE_UNTRUSTED]: ax.lock: signed for acme/web by <kid>, which is not one of its trusted keys',
      'ax: hint: find out whose key that is; if it may sign for acme/web: ax trust add acme/web --key <kid>',
    ]);
    expect(rig.has('started')).toBe(false);
  });
});

describe('ax trust', () => {
  it('add, list and remove decide who may sign', async () => {
    const { rig, kid } = await checkout();
    const colleague = createBareRig();
    await colleague.ax('keys', 'generate');
    rig.write('bob.jwk', (await colleague.ax('keys', 'export')).stdout);
    await rig.ax('trust', 'add', PROJECT, '--key', kid);
    const bob = signingKeys(colleague)[0]?.kid ?? '';
    expect((await rig.ax('trust', 'add', PROJECT, 'bob.jwk')).stdout).toBe(
      `trusted  for ${PROJECT}: 1 of ${kid}, ${bob}\n`,
    );
    const listed = await rig.ax('trust', 'list');
    expect(lines(listed.stdout).map((line) => line.split(/ {2,}/))).toEqual([
      ['PROJECT', 'NEEDS', 'KEY', 'ALGORITHM'],
      [PROJECT, '1 of 2', kid, 'Ed25519'],
      [PROJECT, '1 of 2', bob, 'Ed25519'],
    ]);

    expect((await rig.ax('trust', 'remove', PROJECT, kid.slice(0, 8))).exitCode).toBe(0);
    expect((await rig.ax('run', 'hello')).exitCode).toBe(77);
    expect((await rig.ax('trust', 'remove', PROJECT)).stdout).toBe(`trusted  for ${PROJECT}: nobody\n`);
    expect(JSON.parse((await rig.ax('trust', 'list', '--json')).stdout).projects).toEqual([]);
    expect(rig.has('started')).toBe(false);
  });

  it('keeps its file private', async () => {
    const { rig, kid } = await checkout();
    await rig.ax('trust', 'add', PROJECT, '--key', kid);
    expect(statSync(join(rig.home, 'trust.json')).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['a project that nobody is trusted for', ['trust', 'remove', 'acme/none'], 66, 'PROJECT_UNKNOWN'],
    ['a key that is not trusted', ['trust', 'remove', PROJECT, 'xxxxxxxx'], 66, 'KEY_UNKNOWN'],
    ['the one key of a threshold', ['trust', 'remove', PROJECT, 'SELF'], 78, 'TRUST_MALFORMED'],
    ['an empty beginning of a key', ['trust', 'remove', PROJECT, ''], 66, 'KEY_UNKNOWN'],
  ])('does not remove %s', async (_, args, status, code) => {
    const rig = await createRig();
    const colleague = createBareRig();
    await colleague.ax('keys', 'generate');
    rig.write('bob.jwk', (await colleague.ax('keys', 'export')).stdout);
    await rig.ax('trust', 'add', PROJECT, 'bob.jwk', '--threshold', '2');
    const before = readFileSync(join(rig.home, 'trust.json'), 'utf8');
    const own = signingKeys(rig)[0]?.kid ?? '';
    const { exitCode, stderr } = await rig.ax(...args.map((arg) => (arg === 'SELF' ? own : arg)));
    expect(exitCode).toBe(status);
    expect(stderr).toContain(`ax: error[${code}]: `);
    expect(readFileSync(join(rig.home, 'trust.json'), 'utf8')).toBe(before);
  });

  it.each([
    ['a threshold that the keys cannot reach', ['--threshold', '2'], 78],
    ['a threshold of zero', ['--threshold', '0'], 64],
    ['a version of zero', ['--min-version', '0'], 64],
  ])('does not add %s', async (_, args, status) => {
    const { rig, kid } = await checkout();
    expect((await rig.ax('trust', 'add', PROJECT, '--key', kid, ...args)).exitCode).toBe(status);
    expect(existsSync(join(rig.home, 'trust.json'))).toBe(false);
  });

  it('does not add a private key', async () => {
    const { rig } = await checkout();
    const author = await createRig();
    const [name] = filesBelow(join(author.home, 'keys')).filter((file) =>
      file.startsWith(signingKeys(author)[0]?.kid ?? '-'),
    );
    const { jwk } = JSON.parse(readFileSync(join(author.home, 'keys', name ?? ''), 'utf8'));
    rig.write('private.jwk', JSON.stringify(jwk));
    const { exitCode, stderr } = await rig.ax('trust', 'add', PROJECT, 'private.jwk');
    expect(exitCode).toBe(78);
    expect(stderr).toContain('private.jwk: expected a public key, found a private one (it has a member d)\n');
    expect(stderr).not.toContain(jwk.d);
    expect(existsSync(join(rig.home, 'trust.json'))).toBe(false);
  });

  it('does not add a file that is there, under a fingerprint that is not its own', async () => {
    const { rig, kid } = await checkout();
    const stranger = createBareRig();
    await stranger.ax('keys', 'generate');
    rig.write('alice.jwk', (await stranger.ax('keys', 'export')).stdout);
    const { exitCode, stderr } = await rig.ax('trust', 'add', PROJECT, 'alice.jwk', '--key', kid);
    expect(exitCode).toBe(66);
    expect(rig.normal(stderr)).toContain('alice.jwk: expected the key <kid>, found <kid>\n');
    expect(existsSync(join(rig.home, 'trust.json'))).toBe(false);
  });

  it('export and import carry trust to another machine, with a yes', async () => {
    const author = await createRig();
    const exported = await author.ax('trust', 'export', PROJECT);
    expect(exported.exitCode).toBe(0);
    expect(JSON.parse(exported.stdout)).toEqual({
      projects: {
        [PROJECT]: {
          threshold: 1,
          keys: [{ kty: 'OKP', crv: 'Ed25519', x: expect.any(String), kid: expect.any(String) }],
        },
      },
    });
    const { rig } = await checkout();
    rig.write('trust.json', exported.stdout);

    const asked = await rig.ax('trust', 'import', 'trust.json');
    expect(asked.exitCode).toBe(77);
    expect(lines(rig.normal(asked.stderr))).toEqual([
      'acme/web: 1 of <kid>',
      'ax: error[CONFIRMATION_REQUIRED]: nothing was imported: it takes a yes',
      'ax: hint: ax trust import trust.json --yes',
    ]);
    expect(existsSync(join(rig.home, 'trust.json'))).toBe(false);

    const imported = await rig.ax('trust', 'import', 'trust.json', '--yes');
    expect(imported.exitCode).toBe(0);
    expect(imported.stdout).toBe('imported  1 project(s)\n');
    expect((await rig.ax('trust', 'export')).stdout).toBe(exported.stdout);
    // The same once more changes nothing, and so needs no yes.
    expect((await rig.ax('trust', 'import', 'trust.json')).stdout).toBe('imported  0 project(s)\n');
  });

  it('import does not replace the keys of a project that is known', async () => {
    const { rig, kid } = await checkout();
    await rig.ax('trust', 'add', PROJECT, '--key', kid);
    const before = readFileSync(join(rig.home, 'trust.json'), 'utf8');
    const stranger = createBareRig();
    await stranger.ax('keys', 'generate');
    const key = JSON.parse((await stranger.ax('keys', 'export')).stdout);
    rig.write(
      'trust.json',
      JSON.stringify({
        projects: { 'acme/new': { threshold: 1, keys: [key] }, [PROJECT]: { threshold: 1, keys: [key] } },
      }),
    );
    const { exitCode, stderr } = await rig.ax('trust', 'import', 'trust.json', '--yes');
    expect(exitCode).toBe(77);
    expect(stderr).toContain(
      `ax: error[TRUST_REFUSED]: ${PROJECT}: other keys are trusted for it here already\n`,
    );
    expect(readFileSync(join(rig.home, 'trust.json'), 'utf8')).toBe(before);
  });

  it('changes are in the audit log', async () => {
    const { rig, kid } = await checkout();
    await rig.ax('trust', 'add', PROJECT, '--key', kid);
    await rig.ax('trust', 'remove', PROJECT);
    const { records } = JSON.parse(
      (await rig.ax('audit', 'list', '--type', 'trust.change', '--json')).stdout,
    );
    expect(records.map((record: { data: object }) => record.data)).toMatchObject([
      { change: 'add', project: PROJECT, kid },
      { change: 'remove', project: PROJECT },
    ]);
  });
});

describe('AX_TRUST', () => {
  async function exported(): Promise<{ rig: Rig; text: string }> {
    const author = await createRig();
    await author.sign('hello: { shell: touch started }');
    const rig = createBareRig();
    expect((await rig.ax('keys', 'generate', '--role', 'receipt')).exitCode).toBe(0);
    rig.write('ax.lock', author.read('ax.lock'));
    return { rig, text: (await author.ax('trust', 'export')).stdout };
  }

  it('may be the text of a trust file', async () => {
    const { rig, text } = await exported();
    expect((await rig.axWith({ env: { AX_TRUST: text } }, 'run', 'hello')).exitCode).toBe(0);
    expect(rig.has('started')).toBe(true);
  });

  it('may be the path of one', async () => {
    const { rig, text } = await exported();
    const file = join(rig.base, 'trust.json');
    writeFileSync(file, text);
    expect((await rig.axWith({ env: { AX_TRUST: file } }, 'run', 'hello')).exitCode).toBe(0);
    expect(rig.has('started')).toBe(true);
  });

  it('stands in for the trust file: what that says does not count', async () => {
    const rig = await createRig();
    await rig.sign('hello: { shell: touch started }');
    const env = { AX_TRUST: '{"projects":{}}' };
    const { exitCode, stderr } = await rig.axWith({ env }, 'run', 'hello');
    expect(exitCode).toBe(77);
    expect(stderr).toContain('which nobody here trusts yet\n');
    expect(rig.has('started')).toBe(false);
  });

  it('is not changed by ax trust, which says so', async () => {
    const { rig, text } = await exported();
    rig.write('alice.jwk', JSON.stringify(JSON.parse(text).projects[PROJECT].keys[0]));
    const { exitCode, stderr } = await rig.axWith(
      { env: { AX_TRUST: text } },
      'trust',
      'add',
      'acme/new',
      'alice.jwk',
    );
    expect(exitCode).toBe(77);
    expect(stderr).toContain('ax: error[TRUST_REFUSED]: AX_TRUST decides what is trusted here');
    expect(existsSync(join(rig.home, 'trust.json'))).toBe(false);
  });

  const good = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' };
  const trust = (entry: object) => JSON.stringify({ projects: { [PROJECT]: entry } });
  const malformed: [string, string][] = [
    ['is empty', ''],
    ['is blank', ' '],
    ['is no file', '/nowhere/trust.json'],
    ['is true', 'true'],
    ['is cut short', '{"projects":{'],
    ['names a project twice', `{"projects":{},"projects":{}}`],
    ['has an unknown member', '{"projects":{},"trustAll":true}'],
    ['has an unknown member in a project', trust({ threshold: 1, keys: [good], insecure: true })],
    ['has no keys', trust({ threshold: 1, keys: [] })],
    ['has no threshold', trust({ keys: [good] })],
    ['has a threshold of zero', trust({ threshold: 0, keys: [good] })],
    ['has a threshold that its keys cannot reach', trust({ threshold: 2, keys: [good] })],
    ['has a key twice', trust({ threshold: 2, keys: [good, good] })],
    ['has a key of the wrong length', trust({ threshold: 1, keys: [{ ...good, x: 'AAAA' }] })],
    ['has a key in padded base64', trust({ threshold: 1, keys: [{ ...good, x: `${good.x}=` }] })],
    ['has a key under another’s name', trust({ threshold: 1, keys: [{ ...good, kid: 'A'.repeat(43) }] })],
    ['has a private key', trust({ threshold: 1, keys: [{ ...good, d: good.x }] })],
    ['has a key for encryption', trust({ threshold: 1, keys: [{ ...good, crv: 'X25519' }] })],
    ['has a name that is no project', '{"projects":{"../x":{"threshold":1,"keys":[]}}}'],
  ];

  it.each(malformed)('that %s is an error, and nothing is written or started', async (_, value) => {
    const { rig } = await exported();
    await refusesAll(rig, value, [['run', 'hello'], ['verify']]);
    expect(rig.has('started')).toBe(false);
  });

  it('that is malformed is an error for whatever reads trust', async () => {
    const { rig } = await exported();
    await refusesAll(rig, '{', [
      ['tasks'],
      ['sign', '--add', '--yes'],
      ['trust', 'list'],
      ['trust', 'export'],
      ['trust', 'remove', PROJECT],
    ]);
  });

  /** 78 from each command, and not a file of the project or the home is other than before. */
  async function refusesAll(rig: Rig, value: string, commands: readonly string[][]): Promise<void> {
    await rig.ax('keys', 'generate');
    const before = snapshot(rig);
    for (const args of commands) {
      const { exitCode, stdout, stderr } = await rig.axWith({ env: { AX_TRUST: value } }, ...args);
      expect([args, exitCode]).toEqual([args, 78]);
      expect(stdout).toBe('');
      expect(lines(stderr)[0]).toMatch(/^ax: error\[TRUST_MALFORMED\]: /);
      expect(lines(stderr)[1]).toMatch(/^ax: hint: ./);
    }
    expect(snapshot(rig)).toEqual(before);
  }

  it.each(['sign', 'init'])('that is malformed keeps %s from writing anything', async (command) => {
    const rig = command === 'sign' ? await createRig() : createBareRig();
    if (command === 'sign') rig.manifest('hello: { shell: touch started }');
    const before = snapshot(rig);
    const { exitCode, stderr } = await rig.axWith({ env: { AX_TRUST: '{"projects":' } }, command);
    expect(exitCode).toBe(78);
    expect(stderr).toContain('ax: error[TRUST_MALFORMED]: AX_TRUST:1:13: ');
    expect(snapshot(rig)).toEqual(before);
  });
});

describe('a trust file', () => {
  it('that is malformed is an error that names it, and nothing is started', async () => {
    const rig = await createRig();
    await rig.sign('hello: { shell: touch started }');
    writeFileSync(join(rig.home, 'trust.json'), '{\n  "projects": {,}\n}\n');
    const { exitCode, stderr } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(78);
    expect(lines(rig.normal(stderr))[0]).toMatch(/^ax: error\[TRUST_MALFORMED\]: <home>\/trust\.json:2:16: /);
    expect(rig.has('started')).toBe(false);
    expect(document(receiptsList, (await rig.ax('receipts', 'list', '--json')).stdout).receipts).toEqual([]);
  });

  it('that others can write to is not believed', async () => {
    const rig = await createRig();
    await rig.sign('hello: { shell: touch started }');
    chmodSync(join(rig.home, 'trust.json'), 0o666);
    const { exitCode, stdout } = await rig.ax('run', 'hello', '--json');
    expect(exitCode).toBe(78);
    const { error } = document(errorShape, stdout);
    expect(error.code).toBe('KEY_PERMISSIONS');
    expect(rig.normal(error.hint ?? '')).toBe('chmod 600 <home>/trust.json');
    expect(rig.has('started')).toBe(false);
  });
});

describe.skipIf(!tmux)('first contact on a terminal (tmux)', () => {
  it('shows fingerprint, project and tasks, and trusts on y', async () => {
    const { rig, kid } = await checkout();
    const { screen, status } = await onTerminal(rig, 'run hello', { question: QUESTION, answer: 'y' });
    expect(screen).toContain('project      acme/web\n');
    expect(screen).toContain(`fingerprint  ${kid}\n`);
    expect(screen).toContain('task         hello: touch started\n');
    expect(screen).toContain('task         show: echo a\\tb\n');
    expect(screen).toContain('hello completed in ');
    expect(status).toBe(0);
    expect(rig.has('started')).toBe(true);
    // It was asked once.
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  });

  it.each(['n', '', 'yy'])('refuses on %j and trusts nobody', async (answer) => {
    const { rig } = await checkout();
    const { screen, status } = await onTerminal(rig, 'run hello', { question: QUESTION, answer });
    expect(screen).toContain('error[SIGNATURE_UNTRUSTED]');
    expect(status).toBe(77);
    expect(rig.has('started')).toBe(false);
    expect(existsSync(join(rig.home, 'trust.json'))).toBe(false);
  });

  it('asks nothing when AX_TRUST decides', async () => {
    const { rig } = await checkout();
    const { screen, status } = await onTerminal(rig, 'run hello', { env: { AX_TRUST: '{"projects":{}}' } });
    expect(screen).toContain('which nobody here trusts yet');
    expect(status).toBe(77);
  });
});
