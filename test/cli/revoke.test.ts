import { chmodSync, cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createRig, filesBelow, lines, PROJECT, type Rig, snapshot } from '../support/rig.ts';
import { document, keysList, keysRevoke, receiptsVerify, receiptsVerifyAll } from '../support/shapes.ts';

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

describe('a revocation on its way to another machine', () => {
  const DAY = 24 * 60 * 60 * 1000;

  /** An author whose signing key was revoked: the public key from before, and as it is exported after. */
  async function author() {
    const rig = await createRig();
    await rig.sign('hello: { shell: "echo > ran" }');
    const kid = await keyOf(rig, 'signing');
    const before = (await rig.ax('keys', 'export')).stdout;
    await revoke(rig, kid, '--reason', 'laptop stolen');
    return { rig, kid, before, after: (await rig.ax('keys', 'export', kid)).stdout };
  }

  /** Another machine, with that author's project. */
  async function elsewhere(from: Awaited<ReturnType<typeof author>>) {
    const rig = await createRig();
    for (const name of ['ax.yaml', 'ax.lock']) rig.write(name, from.rig.read(name));
    rig.write('before.jwk', from.before);
    rig.write('revoked.jwk', from.after);
    return rig;
  }

  test('the exported key says when and why; where it is imported it counts no more', async () => {
    const from = await author();
    const { keys } = document(keysList, (await from.rig.ax('keys', 'list', '--json')).stdout);
    const revokedAt = keys.find(({ kid }) => kid === from.kid)?.revokedAt ?? '';
    const { revoked, ...rest } = JSON.parse(from.after);
    expect(rest).toEqual(JSON.parse(from.before));
    expect(revoked).toEqual({
      revoked_at: Math.floor(Date.parse(revokedAt) / 1000),
      reason: 'laptop stolen',
    });

    const rig = await elsewhere(from);
    await rig.ax('trust', 'add', PROJECT, 'before.jwk');
    expect((await rig.ax('run', 'hello', '--dry-run')).exitCode).toBe(0);
    const imported = await rig.ax('keys', 'revoke', '--import', 'revoked.jwk', '--yes');
    expect(imported).toMatchObject({ exitCode: 0, stdout: `revoked  signing key ${from.kid}\n` });
    const refused = await rig.ax('run', 'hello');
    expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
    expect(refused.stderr).toContain('error[KEY_REVOKED]: ax.lock: ');
    expect(refused.stderr).toContain('(laptop stolen)');
    expect(rig.has('ran')).toBe(false);
    const { records } = JSON.parse((await rig.ax('audit', 'list', '--json')).stdout);
    expect(records.map(({ data }: { data: object }) => data)).toContainEqual({
      change: 'revoke',
      role: 'signing',
      kid: from.kid,
      reason: 'laptop stolen',
      statedAt: new Date(revoked.revoked_at * 1000).toISOString(),
    });
  });

  test('one that is not known here is recorded too: it cannot be trusted afterwards, by AX_TRUST neither', async () => {
    const from = await author();
    const rig = await elsewhere(from);
    const AX_TRUST = (await from.rig.ax('trust', 'export')).stdout;
    expect((await rig.axWith({ env: { AX_TRUST } }, 'run', 'hello', '--dry-run')).exitCode).toBe(0);
    expect((await rig.ax('keys', 'revoke', '--import', 'revoked.jwk', '--yes')).exitCode).toBe(0);
    expect((await rig.axWith({ env: { AX_TRUST } }, 'run', 'hello')).exitCode).toBe(77);
    expect(await rig.ax('trust', 'add', PROJECT, 'before.jwk')).toMatchObject({ exitCode: 77, stdout: '' });
    expect(rig.has('ran')).toBe(false);
  });

  test('a key that is marked as revoked is taken nowhere, and nothing is revoked by that either', async () => {
    const from = await author();
    const rig = await elsewhere(from);
    rig.write(
      'trust.json',
      JSON.stringify({ projects: { 'acme/api': { threshold: 1, keys: [JSON.parse(from.after)] } } }),
    );
    const reader = await createRig();
    await reader.ax('keys', 'generate', '--role', 'recipient');
    const recipient = await keyOf(reader, 'recipient');
    await revoke(reader, recipient);
    rig.write('reader.jwk', (await reader.ax('keys', 'export', recipient)).stdout);
    const before = snapshot(rig);
    for (const args of [
      ['trust', 'add', PROJECT, 'revoked.jwk'],
      ['keys', 'import', 'revoked.jwk'],
      ['keys', 'import', '--role', 'host', 'revoked.jwk'],
      ['keys', 'import', 'reader.jwk'],
    ]) {
      const refused = await rig.ax(...args);
      expect(refused, args.join(' ')).toMatchObject({ exitCode: 77, stdout: '' });
      expect(refused.stderr).toContain('error[KEY_REVOKED]');
      expect(refused.stderr).toContain('ax keys revoke --import');
    }
    const imported = await rig.ax('trust', 'import', 'trust.json', '--yes');
    expect(imported).toMatchObject({ exitCode: 78, stdout: '' });
    expect(imported.stderr).toContain('is marked as revoked');
    const AX_RECIPIENTS = rig.read('reader.jwk');
    expect((await rig.axWith({ env: { AX_RECIPIENTS } }, 'run', 'hello')).exitCode).toBe(78);
    expect(snapshot(rig)).toEqual(before);
  });

  test('it takes a yes, and a file that can be read as one', async () => {
    const from = await author();
    const rig = await elsewhere(from);
    const jwk = JSON.parse(from.after);
    const { revoked, ...unmarked } = jwk;
    const files: [string, object, number, string][] = [
      ['revoked.jwk', jwk, 77, 'CONFIRMATION_REQUIRED'],
      ['a.jwk', unmarked, 78, 'KEY_MALFORMED'],
      ['b.jwk', { ...unmarked, revoked: true }, 78, 'KEY_MALFORMED'],
      ['c.jwk', { ...unmarked, revoked: { reason: 'why' } }, 78, 'KEY_MALFORMED'],
      ['d.jwk', { ...unmarked, revoked: { revoked_at: '2026-01-01T00:00:00Z' } }, 78, 'KEY_MALFORMED'],
      ['e.jwk', { ...unmarked, revoked: { ...revoked, reason: 'a\nb' } }, 78, 'KEY_MALFORMED'],
      ['f.jwk', { ...jwk, kid: 'A'.repeat(43) }, 78, 'KEY_MALFORMED'],
      ['g.jwk', { ...jwk, d: jwk.x }, 78, 'KEY_MALFORMED'],
      ['h.jwk', { kty: 'oct', alg: 'HS256', k: 'A'.repeat(43), revoked }, 78, 'KEY_MALFORMED'],
    ];
    for (const [file, content] of files) rig.write(file, JSON.stringify(content));
    const before = snapshot(rig);
    for (const [file, , exitCode, code] of files) {
      const yes = code === 'CONFIRMATION_REQUIRED' ? [] : ['--yes'];
      const refused = await rig.ax('keys', 'revoke', '--import', file, ...yes);
      expect(refused, file).toMatchObject({ exitCode, stdout: '' });
      expect(refused.stderr).toContain(`error[${code}]`);
    }
    for (const args of [[], [from.kid, '--import', 'revoked.jwk']]) {
      expect(await rig.ax('keys', 'revoke', ...args, '--yes')).toMatchObject({ exitCode: 64, stdout: '' });
    }
    expect(snapshot(rig)).toEqual(before);
  });

  test('a time in the future is taken for now, and an earlier revocation stays as it is', async () => {
    const from = await author();
    const rig = await elsewhere(from);
    const jwk = JSON.parse(from.after);
    rig.write('revoked.jwk', JSON.stringify({ ...jwk, revoked: { revoked_at: 4_102_444_800 } }));
    const began = Date.now();
    const made = document(
      keysRevoke,
      (await rig.ax('keys', 'revoke', '--import', 'revoked.jwk', '--yes', '--json')).stdout,
    );
    expect(made).toMatchObject({ role: 'signing', reason: null, state: 'made' });
    expect(Date.parse(made.revokedAt)).toBeGreaterThanOrEqual(began);
    expect(Date.parse(made.revokedAt)).toBeLessThanOrEqual(Date.now());
    rig.write('revoked.jwk', from.after);
    const again = await rig.ax('keys', 'revoke', '--import', 'revoked.jwk', '--json');
    expect(document(keysRevoke, again.stdout)).toEqual({ ...made, state: 'kept' });
  });

  test('another host’s key: what counts is the log of the store, and where it has no record the stated time', async () => {
    const writer = await createRig();
    await writer.sign('hello: { run: [echo, hello] }');
    await writer.ax('run', 'hello');
    const host = await keyOf(writer, 'host');
    await writer.axWith({ later: 2 * DAY }, 'keys', 'revoke', host, '--yes', '--store', 'elsewhere');
    writer.write('host.jwk', (await writer.ax('keys', 'export', host)).stdout);
    // The thief still has the key: as if it had not been revoked, a day after it was.
    const thief = join(writer.base, 'thief');
    cpSync(writer.home, thief, { recursive: true });
    for (const folder of [thief, join(thief, 'keys')]) chmodSync(folder, 0o700);
    rmSync(join(thief, 'keys', `${host}.revoked.json`));
    await writer.axWith({ later: 3 * DAY, env: { AX_HOME: thief } }, 'run', 'hello');

    const at = ['--store', join(writer.project, '.ax')];
    const [receipt] = readdirSync(join(writer.home, 'keys'))
      .map((name) => JSON.parse(readFileSync(join(writer.home, 'keys', name), 'utf8')))
      .filter(({ role }) => role === 'receipt');
    const AX_RECEIPT_KEY = Buffer.from(receipt.jwk.k, 'base64url').toString('base64');
    const env = { AX_HOME: join(writer.base, 'reader'), AX_RECEIPT_KEY };
    const ax = (...args: string[]) => writer.axWith({ later: 4 * DAY, env }, ...args);
    const unknown = await ax('keys', 'import', '--role', 'host', 'host.jwk');
    expect(unknown).toMatchObject({ exitCode: 77, stdout: '' });
    expect(unknown.stderr).toContain(
      'ax: hint: ax keys revoke --import host.jwk, then the same command again',
    );
    expect((await ax('keys', 'revoke', '--import', 'host.jwk', '--yes', '--store', 'own')).exitCode).toBe(0);
    expect((await ax('keys', 'import', '--role', 'host', 'host.jwk', '--store', 'own')).exitCode).toBe(0);
    expect((await ax('keys', 'list')).stdout).toMatch(
      new RegExp(`${host} +host +Ed25519 \\(public\\) +revoked`),
    );

    const [before = '', stolen = ''] = await receipts(writer);
    const verified = await ax('receipts', 'verify', before, '--json', ...at);
    expect(document(receiptsVerify, verified.stdout)).toMatchObject({
      keyid: host,
      standing: 'revoked-later',
    });
    const refused = await ax('receipts', 'verify', stolen, ...at);
    expect(refused).toMatchObject({ exitCode: 77, stdout: '' });
    expect(refused.stderr).toContain('and it was signed after that');
    const all = await ax('receipts', 'verify', '--all', '--json', ...at);
    expect(document(receiptsVerifyAll, all.stdout).verdicts).toMatchObject({ valid: 1, revoked: 1 });
  });

  test('a date long ago takes nothing away that a log has from before the record of the revocation', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: [echo, hello] }');
    await rig.ax('run', 'hello');
    const [id = ''] = await receipts(rig);
    const jwk = JSON.parse((await rig.ax('keys', 'export', '--role', 'host')).stdout);
    rig.write('revoked.jwk', JSON.stringify({ ...jwk, revoked: { revoked_at: 1_000_000_000 } }));
    expect((await rig.ax('keys', 'revoke', '--import', 'revoked.jwk', '--yes')).exitCode).toBe(0);
    expect(await standingOf(rig, id)).toBe('revoked-later');
  });
});
