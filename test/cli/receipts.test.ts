import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { createRig, type Rig, snapshot } from '../support/rig.ts';
import { document, keysList, receiptsList, receiptsVerify, receiptsVerifyAll } from '../support/shapes.ts';

/** Three runs: `a` twice, then `b`, which fails. */
async function ranThree(): Promise<Rig> {
  const rig = await createRig();
  await rig.sign('a: { run: ["true"] }\nb: { shell: exit 4 }');
  for (const task of ['a', 'a', 'b']) await rig.ax('run', task);
  return rig;
}

describe('ax receipts list', () => {
  async function listed(rig: Rig, ...args: string[]) {
    const { exitCode, stdout } = await rig.ax('receipts', 'list', '--json', ...args);
    expect(exitCode).toBe(0);
    return document(receiptsList, stdout).receipts;
  }

  it('filters by task, outcome, user, run and time', async () => {
    const rig = await ranThree();
    const all = await listed(rig);
    expect(all.map(({ task }) => task)).toEqual(['b', 'a', 'a']);
    const [failed, second] = all;
    const me = failed?.actor.name ?? '';
    expect(await listed(rig, '--task', 'a')).toEqual(all.slice(1));
    expect(await listed(rig, '--outcome', 'failed')).toEqual([failed]);
    expect(await listed(rig, '--actor', me)).toEqual(all);
    expect(await listed(rig, '--actor', `uid:${process.getuid?.()}`)).toEqual(all);
    expect(await listed(rig, '--actor', `${me}-not`)).toEqual([]);
    expect(await listed(rig, '--run', second?.runId ?? '')).toEqual([second]);
    expect(await listed(rig, '--since', '1h')).toEqual(all);
    expect(await listed(rig, '--until', '1h')).toEqual([]);
    expect(await listed(rig, '--since', '2026-01-31', '--until', '2026-01-31T12:00:00+02:00')).toEqual([]);
    expect(await listed(rig, '--task', 'a', '--outcome', 'failed')).toEqual([]);
  });

  it('says how to go on with the same filter', async () => {
    const rig = await ranThree();
    const { stdout, stderr } = await rig.ax('receipts', 'list', '--task', 'a', '--limit', '1');
    const last = stdout.split('\n')[1]?.split(' ')[0] ?? '';
    expect(stderr).toBe(`more: the same with --before ${last}\n`);
    expect(await listed(rig, '--task', 'a', '--before', last)).toHaveLength(1);
  });

  it.each([
    ['--since', 'yesterday'],
    ['--since', '2026-02-30'],
    ['--since', '2026-01-31T12:00:00'],
    ['--since', '1969-12-31'],
    ['--until', ''],
    ['--until', '99999999d'],
    ['--actor', 'uid:x'],
    ['--actor', 'uid:'],
    ['--outcome', 'done'],
  ])('refuses %s %s', async (option, value) => {
    const rig = await createRig();
    const before = snapshot(rig);
    const { exitCode, stdout, stderr } = await rig.ax('receipts', 'list', option, value);
    expect(exitCode).toBe(64);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^ax: error\[USAGE\]: .*\nax: hint: .*\n$/);
    expect(snapshot(rig)).toEqual(before);
  });
});

/** Changes the store behind ax's back. */
function meddle(rig: Rig, ...sql: string[]): void {
  const sqlite = new DatabaseSync(join(rig.project, '.ax/ax.db'));
  for (const one of sql) sqlite.exec(one);
  sqlite.close();
}

async function verifyAll(rig: Rig, status: number, ...args: string[]) {
  const { exitCode, stdout } = await rig.ax('receipts', 'verify', '--json', ...(args[0] ? args : ['--all']));
  expect(exitCode).toBe(status);
  return document(receiptsVerifyAll, stdout);
}

describe('ax receipts verify', () => {
  it('holds outputs against the files that are there, and --offline does not', async () => {
    const rig = await createRig();
    await rig.sign('make: { shell: "echo 1 > a; echo 2 > b; echo 3 > c", outputs: [a, b, c] }');
    const { stderr } = await rig.ax('run', 'make');
    const id = /receipt (\w+)/.exec(stderr)?.[1] ?? '';
    rig.write('b', 'other');
    rmSync(join(rig.project, 'c'));
    const one = await rig.ax('receipts', 'verify', id, '--json');
    expect(one.exitCode).toBe(0);
    expect(document(receiptsVerify, one.stdout)).toMatchObject({
      verdict: 'valid',
      outputs: [
        { name: 'a', state: 'same' },
        { name: 'b', state: 'changed' },
        { name: 'c', state: 'not-there' },
      ],
    });
    const offline = await rig.ax('receipts', 'verify', id, '--offline', '--json');
    expect(document(receiptsVerify, offline.stdout).outputs).toBeNull();
    expect(await verifyAll(rig, 0)).toMatchObject({
      ok: true,
      verdicts: { valid: 1 },
      outputs: { same: 1, changed: 1, notThere: 1 },
    });
    expect((await verifyAll(rig, 0, '--all', '--offline')).outputs).toBeNull();
  });

  it('of all receipts tells a row that was changed, and the others are verified nevertheless', async () => {
    const rig = await ranThree();
    const people = await rig.ax('receipts', 'verify', '--all');
    expect(people.stdout).toMatch(
      /^ok {2}3 receipt\(s\): 3 valid, 0 tampered, 0 revoked, 0 expired, 0 untrusted, 0 unreadable, 0 missing$/m,
    );
    meddle(rig, "UPDATE receipts SET outcome = 'completed' WHERE task = 'b'");
    const found = await verifyAll(rig, 76);
    expect(found).toMatchObject({
      ok: false,
      checked: 3,
      verdicts: { valid: 2, tampered: 1 },
      problemsOmitted: 0,
    });
    expect(found.problems).toMatchObject([{ verdict: 'tampered' }]);
    expect(await verifyAll(rig, 0, '--since', '2099-01-01')).toMatchObject({ checked: 0, ok: true });
  });

  it.each([
    [
      'the record that it covers has other content',
      "UPDATE audit SET data = '{}' WHERE type = 'run.transition'",
    ],
    [
      'the record that it covers has another hash',
      "UPDATE audit SET hash = 'x' WHERE type = 'run.transition'",
    ],
    ['the record that it covers is gone', "DELETE FROM audit WHERE type = 'run.transition'"],
    ['no record names it', "UPDATE audit SET data = '{\"receiptId\":null}' WHERE type = 'run.finished'"],
    ['the record that names it is gone', "DELETE FROM audit WHERE type = 'run.finished'"],
    ['its time is no time', 'UPDATE receipts SET started_at = 9223372036854775807'],
    ['its recipient is no JSON', "UPDATE receipt_recipients SET header = '{'"],
  ])('refuses a receipt when %s', async (_, sql) => {
    const rig = await createRig();
    await rig.sign('a: { run: ["true"] }');
    const { stderr } = await rig.ax('run', 'a');
    const id = /receipt (\w+)/.exec(stderr)?.[1] ?? '';
    expect((await rig.ax('receipts', 'verify', id)).exitCode).toBe(0);
    meddle(rig, sql);
    const one = await rig.ax('receipts', 'verify', id);
    expect([one.exitCode, one.stdout]).toEqual([76, '']);
    expect(one.stderr).toContain('ax: error[RECEIPT_TAMPERED]: ');
    expect((await verifyAll(rig, 76)).verdicts).toEqual({
      valid: 0,
      tampered: 1,
      revoked: 0,
      expired: 0,
      untrusted: 0,
      unreadable: 0,
      missing: 0,
    });
  });

  it('says which receipts no key here opens, and which nobody here has signed', async () => {
    const rig = await ranThree();
    const { keys } = document(keysList, (await rig.ax('keys', 'list', '--json')).stdout);
    const host = keys.find(({ role }) => role === 'host')?.kid ?? '';
    await rig.ax('keys', 'rotate', '--role', 'host');
    await rig.ax('run', 'a');
    const env = { AX_RECEIPT_KEY: Buffer.alloc(32, 7).toString('base64') };
    await rig.axWith({ env }, 'run', 'a');
    const counts = { valid: 4, tampered: 0, revoked: 0, expired: 0, untrusted: 0, unreadable: 1, missing: 0 };
    expect((await verifyAll(rig, 66)).verdicts).toEqual(counts);
    rmSync(join(rig.home, 'keys', `${host}.json`));
    expect((await verifyAll(rig, 77)).verdicts).toEqual({ ...counts, valid: 1, untrusted: 3 });
  });

  it.each([[[]], [['01JDZ8', '--all']], [['01JDZ8', '--since', '7d']]])(
    'wants an id or many: %j is a usage error',
    async (args) => {
      const rig = await createRig();
      const { exitCode, stderr } = await rig.ax('receipts', 'verify', ...args);
      expect(exitCode).toBe(64);
      expect(stderr).toContain('ax: hint: ax receipts verify --all');
    },
  );
});
