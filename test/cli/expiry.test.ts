import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createRig, lines, PROJECT, type Ran, type Rig, snapshot } from '../support/rig.ts';
import { document, keysList, receiptsVerify, receiptsVerifyAll } from '../support/shapes.ts';

/** Keys with an end, before it and after it: the clock of ax is moved, that of the machine is not. */

const DAY = 24 * 60 * 60 * 1000;
const later = (rig: Rig, days: number, ...args: string[]) => rig.axWith({ later: days * DAY }, ...args);
const rotate = (rig: Rig, role: string, ...more: string[]) =>
  rig.ax('keys', 'rotate', '--role', role, '--expires', '10d', ...more);

async function keyOf(rig: Rig, role: string) {
  const { keys } = document(keysList, (await rig.ax('keys', 'list', '--json')).stdout);
  const key = keys.findLast((one) => one.role === role);
  if (key === undefined) throw new Error(`no ${role} key`);
  return key;
}

/** That it was refused as expired, with the command that makes another key, and nothing was started or written. */
async function refusesAll(rig: Rig, days: number, commands: string[][], hint: string): Promise<void> {
  const before = snapshot(rig);
  for (const args of commands) {
    const refused = await later(rig, days, ...args);
    expect(refused, args.join(' ')).toMatchObject({ exitCode: 77, stdout: '' });
    expect(refused.stderr).toContain('ax: error[KEY_EXPIRED]: ');
    expect(refused.stderr).toContain(`ax: hint: ${hint}`);
  }
  expect(snapshot(rig)).toEqual(before);
}

describe('a signing key', () => {
  test('signs until its end and no longer; what it signed does not run any more', async () => {
    const rig = await createRig();
    expect((await rotate(rig, 'signing')).exitCode).toBe(0);
    await rig.sign('hello: { shell: "echo > ran" }');
    const { kid, expiresAt } = await keyOf(rig, 'signing');
    expect((await later(rig, 9, 'run', 'hello')).exitCode).toBe(0);
    expect((await later(rig, 9, 'sign', '--yes')).exitCode).toBe(0);
    rig.write('ran', 'before');

    const refused = await later(rig, 10, 'run', 'hello');
    expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
    expect(lines(refused.stderr).slice(0, 2)).toEqual([
      `ax: error[KEY_EXPIRED]: ax.lock: the signature by ${kid} does not count: the key expired at ${expiresAt}`,
      'ax: hint: review ax.yaml and sign it with another trusted key: ax sign',
    ]);
    expect(rig.read('ran')).toBe('before');
    await refusesAll(
      rig,
      10,
      [
        ['sign', '--yes'],
        ['sign', '--yes', '--key', kid.slice(0, 10)],
        ['sign', '--add', '--yes'],
        ['approve', 'hello', '--yes'],
      ],
      'ax keys rotate --role signing',
    );

    expect((await later(rig, 10, 'keys', 'rotate', '--role', 'signing')).exitCode).toBe(0);
    const signed = await later(rig, 10, 'sign', '--yes', '--json');
    // It goes on from the version that the expired key had signed.
    expect(JSON.parse(signed.stdout)).toMatchObject({ version: 3, runnable: true, changes: [] });
    expect((await later(rig, 10, 'run', 'hello')).exitCode).toBe(0);
  });

  test('of a colleague: its end goes with the public key, into trust and out again', async () => {
    const author = await createRig();
    await rotate(author, 'signing');
    await author.sign('hello: { shell: "echo > ran" }');
    const exported = await author.ax('keys', 'export');
    const { kid, createdAt, expiresAt } = await keyOf(author, 'signing');
    expect(JSON.parse(exported.stdout)).toMatchObject({
      kid,
      iat: Math.floor(Date.parse(createdAt) / 1000),
      exp: Date.parse(expiresAt ?? '') / 1000,
    });

    const rig = await createRig();
    for (const name of ['ax.yaml', 'ax.lock']) rig.write(name, author.read(name));
    rig.write('colleague.jwk', exported.stdout);
    expect((await rig.ax('trust', 'add', PROJECT, 'colleague.jwk')).exitCode).toBe(0);
    expect((await rig.ax('trust', 'list')).stdout).toContain(
      `${kid}  Ed25519, until ${expiresAt?.slice(0, 10)}`,
    );
    expect((await later(rig, 9, 'run', 'hello', '--dry-run')).exitCode).toBe(0);
    expect((await later(rig, 10, 'trust', 'list')).stdout).toContain(`${kid}  Ed25519, expired`);
    const AX_TRUST = (await rig.ax('trust', 'export')).stdout;
    for (const env of [{}, { AX_TRUST }]) {
      const refused = await rig.axWith({ env, later: 10 * DAY }, 'run', 'hello');
      expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
      expect(refused.stderr).toContain(`error[KEY_EXPIRED]: ax.lock: the signature by ${kid}`);
    }
    expect(rig.has('ran')).toBe(false);
  });

  test('that has expired is not trusted anew: by file, by its kid, from a trust file, or on first contact', async () => {
    const author = await createRig();
    await rotate(author, 'signing');
    await author.sign('hello: { shell: "echo > ran" }');
    const rig = await createRig();
    for (const name of ['ax.yaml', 'ax.lock']) rig.write(name, author.read(name));
    rig.write('colleague.jwk', (await author.ax('keys', 'export')).stdout);
    rig.write('trust.json', (await author.ax('trust', 'export')).stdout);
    const { kid } = await keyOf(author, 'signing');
    await rig.ax('trust', 'remove', PROJECT);
    await refusesAll(
      rig,
      10,
      [
        ['trust', 'add', PROJECT, 'colleague.jwk'],
        ['trust', 'add', PROJECT, '--key', kid],
        ['trust', 'import', 'trust.json', '--yes'],
      ],
      'ask its owner for the public key that took its place',
    );
    const met = await later(rig, 10, 'run', 'hello');
    expect(met).toMatchObject({ exitCode: 77, stdout: '' });
    expect(met.stderr).toContain(`error[KEY_EXPIRED]: the key ${kid} expired at`);
    expect(rig.has('ran')).toBe(false);
  });

  test('an approval by it does not count after its end', async () => {
    const rig = await createRig();
    await rig.sign('deploy: { shell: "echo > ran", guards: [{ approvals: { threshold: 1 } }] }');
    expect((await rotate(rig, 'signing')).exitCode).toBe(0);
    const made = await later(rig, 9, 'approve', 'deploy', '--yes', '--expires', '30d', '--output', 'a.json');
    expect(made.exitCode).toBe(0);
    const refused = await later(rig, 10, 'run', 'deploy', '--approval', 'a.json');
    expect(refused.exitCode).toBe(75);
    expect(refused.stderr).toMatch(/a\.json: does not count: its key [\w-]{43} expired at /);
    expect(rig.has('ran')).toBe(false);
    expect((await later(rig, 9.5, 'run', 'deploy', '--approval', 'a.json')).exitCode).toBe(0);
  });

  test('a threshold that other signers reach still holds without the expired one', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: [echo, hello] }');
    await rotate(rig, 'signing');
    expect((await rig.ax('sign', '--add', '--yes')).exitCode).toBe(0);
    expect((await later(rig, 10, 'run', 'hello')).exitCode).toBe(0);
  });
});

describe('a host key', () => {
  test('receipts from before its end verify as such; afterwards a run is refused before it starts', async () => {
    const rig = await createRig();
    await rig.sign('hello: { shell: "echo > ran" }');
    expect((await rotate(rig, 'host')).exitCode).toBe(0);
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
    rig.write('ran', 'before');
    const id = await newestReceipt(rig);
    expect(await standing(await later(rig, 9, 'receipts', 'verify', id, '--json'))).toBe('current');
    expect(await standing(await later(rig, 10, 'receipts', 'verify', id, '--json'))).toBe('superseded');
    await refusesAll(
      rig,
      10,
      [
        ['run', 'hello'],
        ['run', 'hello', '--dry-run'],
        ['receipts', 'export', id, '--format', 'slsa'],
      ],
      'ax keys rotate --role host',
    );
    expect((await later(rig, 10, 'verify')).stdout).toContain('failed  receipt key: the host key');
    expect((await later(rig, 10, 'keys', 'rotate', '--role', 'host')).exitCode).toBe(0);
    expect((await later(rig, 10, 'run', 'hello')).exitCode).toBe(0);
  });

  test('a receipt that it signed after its end, as a thief would, is not believed', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: [echo, hello] }');
    await rotate(rig, 'host');
    await rig.ax('run', 'hello');
    const { kid, expiresAt } = await keyOf(rig, 'host');
    // The key works on where its end has been taken out of its file.
    const file = join(rig.home, 'keys', `${kid}.json`);
    const endless = { ...JSON.parse(readFileSync(file, 'utf8')), expiresAt: undefined };
    rig.write(`../home/keys/${kid}.json`, JSON.stringify(endless), 0o600);
    expect((await later(rig, 11, 'run', 'hello')).exitCode).toBe(0);
    rig.write(`../home/keys/${kid}.json`, JSON.stringify({ ...endless, expiresAt }), 0o600);

    const id = await newestReceipt(rig);
    const refused = await later(rig, 12, 'receipts', 'verify', id);
    expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
    expect(lines(rig.normal(refused.stderr))).toEqual([
      'ax: error[KEY_EXPIRED]: receipt <id>: its key <kid> expired at <time>, and it was signed after that',
      'ax: hint: do not believe it; see what the log has of its run: ax audit list --run <id>',
    ]);
    const all = await later(rig, 12, 'receipts', 'verify', '--all', '--json');
    expect(all.exitCode).toBe(77);
    expect(document(receiptsVerifyAll, all.stdout)).toMatchObject({
      verdicts: { valid: 1, expired: 1 },
      problems: [{ id, verdict: 'expired' }],
    });
  });
});

describe('a receipt key', () => {
  test('seals nothing after its end, opens what it sealed, and a rotation moves that on', async () => {
    const rig = await createRig();
    await rig.sign('hello: { shell: "echo > ran" }');
    expect((await rotate(rig, 'receipt')).exitCode).toBe(0);
    await rig.ax('run', 'hello');
    rig.write('ran', 'before');
    const id = await newestReceipt(rig);
    await refusesAll(
      rig,
      10,
      [
        ['run', 'hello'],
        ['run', 'hello', '--dry-run'],
      ],
      'ax keys rotate --role receipt',
    );
    expect((await later(rig, 10, 'receipts', 'decrypt', id)).exitCode).toBe(0);
    const rotated = await later(rig, 10, 'keys', 'rotate', '--json');
    expect(JSON.parse(rotated.stdout)).toMatchObject({ rewrapped: 1, resumed: false });
    expect((await later(rig, 10, 'receipts', 'decrypt', id)).exitCode).toBe(0);
    expect((await later(rig, 10, 'run', 'hello')).exitCode).toBe(0);
  });

  test('beside a reader’s key, receipts are sealed to that one alone; an expired reader is left out', async () => {
    const reader = await createRig();
    await reader.ax('keys', 'generate', '--role', 'recipient', '--expires', '20d');
    const rig = await createRig();
    rig.write('reader.jwk', (await reader.ax('keys', 'export', '--role', 'recipient')).stdout);
    const { kid, exp } = JSON.parse(rig.read('reader.jwk'));
    await rig.sign('hello: { shell: "echo > ran" }');
    await rotate(rig, 'receipt');
    expect((await rig.ax('keys', 'import', 'reader.jwk')).exitCode).toBe(0);
    expect(Date.parse((await keyOf(rig, 'recipient')).expiresAt ?? '')).toBe(exp * 1000);
    expect((await later(rig, 10, 'run', 'hello')).exitCode).toBe(0);
    const { receipts } = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout);
    expect(receipts[0].recipients).toEqual([kid]);
    rig.write('ran', 'before');
    await refusesAll(rig, 20, [['run', 'hello']], 'ax keys rotate --role receipt');
    const env = { AX_RECIPIENTS: rig.read('reader.jwk') };
    const refused = await rig.axWith({ env, later: 20 * DAY }, 'run', 'hello');
    expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
    expect(refused.stderr).toContain(`error[KEY_EXPIRED]: AX_RECIPIENTS: the key ${kid} expired at`);
    expect(rig.read('ran')).toBe('before');
  });

  test('of a reader that has expired is not imported', async () => {
    const reader = await createRig();
    await reader.ax('keys', 'generate', '--role', 'recipient', '--expires', '10d');
    const rig = await createRig();
    rig.write('reader.jwk', (await reader.ax('keys', 'export', '--role', 'recipient')).stdout);
    await refusesAll(
      rig,
      10,
      [['keys', 'import', 'reader.jwk']],
      'ask its owner for the public key that took its place',
    );
  });
});

test('keys list shows the end of a key, and warns before it and after it', async () => {
  const rig = await createRig();
  await rig.ax('keys', 'rotate', '--role', 'signing', '--expires', '40d');
  const key = await keyOf(rig, 'signing');
  expect(Date.parse(key.expiresAt ?? '') - Date.parse(key.createdAt)).toBeGreaterThan(40 * DAY - 2000);
  expect(key).toMatchObject({ state: 'active' });
  const quiet = await rig.ax('keys', 'list');
  expect(quiet).toMatchObject({ exitCode: 0, stderr: '' });
  expect(quiet.stdout).toContain(key.expiresAt?.slice(0, 10));
  expect(lines((await later(rig, 30, 'keys', 'list')).stderr)).toEqual([
    `ax: warning: the signing key expires at ${key.expiresAt}: ax keys rotate --role signing`,
  ]);
  const after = await later(rig, 41, 'keys', 'list', '--json');
  const { keys } = document(keysList, after.stdout);
  expect(keys.find(({ kid }) => kid === key.kid)).toMatchObject({
    state: 'active',
    expiresAt: key.expiresAt,
  });
  expect((await later(rig, 41, 'keys', 'list')).stderr).toContain(
    `ax: warning: the signing key expired at ${key.expiresAt}: ax keys rotate --role signing\n`,
  );
});

test('a protected key keeps its end', async () => {
  const rig = await createRig();
  await rotate(rig, 'signing');
  const before = await keyOf(rig, 'signing');
  const env = { AX_KEYRING_PASSPHRASE: 'correct horse battery' };
  expect((await rig.axWith({ env }, 'keys', 'protect')).exitCode).toBe(0);
  expect(await keyOf(rig, 'signing')).toEqual({ ...before, protected: true });
  rig.manifest('hello: { run: [echo, hello] }');
  expect(await rig.axWith({ env, later: 10 * DAY }, 'sign')).toMatchObject({ exitCode: 77, stdout: '' });
  expect(rig.has('ax.lock')).toBe(false);
});

test.each(['0d', '3651d', '999ms', 'soon', ''])(
  '--expires %j is refused, and no key is made',
  async (expires) => {
    const rig = await createRig();
    const before = snapshot(rig);
    for (const verb of ['generate', 'rotate']) {
      const refused = await rig.ax('keys', verb, '--role', 'host', `--expires=${expires}`);
      expect(refused).toMatchObject({ exitCode: 64, stdout: '' });
      expect(refused.stderr).toContain('error[USAGE]: --expires: expected a duration from 1s to 3650d');
    }
    expect(snapshot(rig)).toEqual(before);
  },
);

test('an end that cannot be read refuses everything; it does not mean that there is none', async () => {
  const rig = await createRig();
  await rig.sign('hello: { shell: "echo > ran" }');
  const [name = ''] = readdirSync(join(rig.home, 'keys'));
  const file = JSON.parse(readFileSync(join(rig.home, 'keys', name), 'utf8'));
  for (const expiresAt of ['soon', 4_102_444_800, null]) {
    rig.write(`../home/keys/${name}`, JSON.stringify({ ...file, expiresAt }), 0o600);
    const refused = await rig.ax('run', 'hello');
    expect(refused).toMatchObject({ exitCode: 78, stdout: '' });
    expect(refused.stderr).toContain('error[KEY_MALFORMED]');
  }
  expect(rig.has('ran')).toBe(false);
});

async function newestReceipt(rig: Rig): Promise<string> {
  return JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout).receipts[0].id;
}

function standing({ exitCode, stdout }: Ran) {
  expect(exitCode).toBe(0);
  return document(receiptsVerify, stdout).standing;
}
