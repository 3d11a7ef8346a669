import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { loadKeyring } from '../../src/store/keyring.ts';
import { pruneReceipts } from '../../src/store/prune.ts';
import { receipts } from '../support/evidence.ts';
import { makeLegacyStore } from '../support/legacy-store.ts';
import { addReceipts, keysOf } from '../support/many-receipts.ts';
import { createRig, filesBelow, lines, type Rig, snapshot } from '../support/rig.ts';
import { document, errorShape, receiptsPrune, receiptsVerifyAll } from '../support/shapes.ts';
import { onTerminal, tmux } from '../support/terminal.ts';

const UID = process.getuid?.() ?? -1;
const DAY_MS = 24 * 60 * 60 * 1000;

/** A project with receipts of the last hundred days, one for each ten. @returns their ids, oldest first */
async function withOld(count = 10): Promise<{ rig: Rig; ids: string[] }> {
  const rig = await createRig();
  await rig.sign('a: { run: ["true"] }');
  const database = openDatabase(join(rig.project, '.ax'), UID);
  const ids = addReceipts(database, keysOf(loadKeyring(join(rig.home, 'keys'), UID)), {
    count,
    // An hour more, so that no age is a whole number of days.
    from: Date.now() - 100 * DAY_MS - DAY_MS / 24,
    every: 10 * DAY_MS,
  });
  database.close();
  return { rig, ids };
}

const PRUNE = ['receipts', 'prune', '--older-than'];

async function pruned(rig: Rig, ...args: string[]) {
  const { exitCode, stdout, stderr } = await rig.ax(...PRUNE, ...args, '--json');
  expect([exitCode, stderr]).toEqual([0, '']);
  return document(receiptsPrune, stdout);
}

async function verifyAll(rig: Rig, status: number, ...args: string[]) {
  const { exitCode, stdout } = await rig.ax('receipts', 'verify', '--all', '--json', ...args);
  expect(exitCode).toBe(status);
  return document(receiptsVerifyAll, stdout);
}

/** Removes all there is, however young, as the command would once it is old. */
function pruneAllOf(rig: Rig): void {
  const database = openDatabase(join(rig.project, '.ax'), UID);
  pruneReceipts(database, {
    before: Date.now() + 1000,
    actor: { uid: UID, name: 'tester' },
    now: Date.now,
  });
  database.close();
}

/** Changes the store behind ax's back. */
function meddle(rig: Rig, ...sql: string[]): void {
  const sqlite = new DatabaseSync(join(rig.project, '.ax/ax.db'));
  for (const one of sql) sqlite.exec(one);
  sqlite.close();
}

describe('ax receipts prune', () => {
  it('removes what is older, and the log says what; what is younger stays and verifies', async () => {
    const { rig, ids } = await withOld();
    const dry = await pruned(rig, '55d', '--dry-run');
    expect(dry).toMatchObject({ dryRun: true, receipts: 5, first: ids[0], last: ids[4], records: [] });
    expect(await receipts(rig)).toHaveLength(10);

    const done = await pruned(rig, '55d', '--yes');
    expect(done).toMatchObject({ dryRun: false, receipts: 5, first: ids[0], last: ids[4] });
    expect(Date.now() - Date.parse(done.before) - 55 * DAY_MS).toBeLessThan(DAY_MS / 24);
    expect((await receipts(rig)).map(({ id }) => id)).toEqual(ids.slice(5).reverse());
    const audit = await rig.ax('audit', 'list', '--type', 'receipt.prune', '--json');
    expect(JSON.parse(audit.stdout).records).toMatchObject([
      { seq: done.records[0], data: { count: 5, first: ids[0], last: ids[4], before: done.before } },
    ]);
    expect((await rig.ax('audit', 'verify')).exitCode).toBe(0);
    expect(await verifyAll(rig, 0)).toMatchObject({ checked: 5, verdicts: { valid: 5, missing: 0 } });

    const people = await rig.ax(...PRUNE, '35d', '--yes');
    expect(people.exitCode).toBe(0);
    expect(lines(rig.normal(people.stdout))).toEqual([
      'pruned  2 receipt(s), made from <time> to <time>',
      '        on record in the audit log: 14',
    ]);
    const again = await rig.ax(...PRUNE, '35d');
    expect(rig.normal(again.stdout)).toBe('pruned  0 receipt(s), made before <time>\n');
  });

  it('wants a yes, and without one removes nothing', async () => {
    const { rig } = await withOld();
    const before = snapshot(rig);
    const { exitCode, stdout, stderr } = await rig.ax(...PRUNE, '90d');
    expect([exitCode, stdout]).toEqual([77, '']);
    expect(lines(rig.normal(stderr))).toEqual([
      'ax: error[CONFIRMATION_REQUIRED]: none of 2 receipt(s), made from <time> to <time>, was pruned: it takes a yes',
      'ax: hint: ax receipts prune --older-than 90d --yes',
    ]);
    expect((await rig.ax(...PRUNE, '90d', '--json')).exitCode).toBe(77);
    expect(snapshot(rig)).toEqual(before);
  });

  it.skipIf(tmux === undefined)('asks on a terminal, with the count and the span', async () => {
    const { rig } = await withOld();
    const question = 'They cannot be brought back. [y/N]';
    const no = await onTerminal(rig, 'receipts prune --older-than 90d', { question, answer: 'n' });
    expect(no.status).toBe(77);
    expect(rig.normal(no.screen)).toContain('Prune 2 receipt(s), made from <time> to <time>? They cannot');
    expect(await receipts(rig)).toHaveLength(10);
  });

  it.skipIf(tmux === undefined)('and goes on at a yes', async () => {
    const { rig } = await withOld();
    const question = 'They cannot be brought back. [y/N]';
    const yes = await onTerminal(rig, 'receipts prune --older-than 90d', { question, answer: 'y' });
    expect(yes.status).toBe(0);
    expect(yes.screen).toContain('pruned  2 receipt(s)');
    expect(await receipts(rig)).toHaveLength(8);
  });

  it.each(['5m', '23h', '0d', '1', 'd', '', '-5d', '1.5d', '2026-01-31', '99999d'])(
    'refuses --older-than "%s"',
    async (age) => {
      const { rig } = await withOld(1);
      const before = snapshot(rig);
      const { exitCode, stdout, stderr } = await rig.ax('receipts', 'prune', `--older-than=${age}`, '--yes');
      expect([exitCode, stdout]).toEqual([64, '']);
      expect(lines(stderr)).toEqual([
        `ax: error[USAGE]: --older-than: expected a duration of at least 1d, found "${age}"`,
        'ax: hint: ax receipts prune --older-than 400d --dry-run',
      ]);
      expect(snapshot(rig)).toEqual(before);
    },
  );

  it('refuses to guess an age, and makes no store where there is none', async () => {
    const rig = await createRig();
    expect((await rig.ax('receipts', 'prune', '--yes')).exitCode).toBe(64);
    expect(await pruned(rig, '1d', '--yes')).toMatchObject({ receipts: 0, first: null, last: null });
    expect(filesBelow(join(rig.project, '.ax'))).toEqual([]);
  });

  it('says so when another process reads for so long that the bytes cannot be got rid of, and a rerun does it', {
    timeout: 120_000,
  }, async () => {
    const { rig } = await withOld();
    const reader = new DatabaseSync(join(rig.project, '.ax/ax.db'));
    reader.exec('BEGIN; SELECT count(*) FROM receipts');
    const { exitCode, stdout, stderr } = await rig.ax(...PRUNE, '90d', '--yes');
    expect([exitCode, stdout]).toEqual([75, '']);
    expect(lines(rig.normal(stderr))).toEqual([
      'ax: error[STORE_BUSY]: 2 receipt(s) were pruned, but their bytes may still be in the journal: ' +
        '<project>/.ax: the store is in use by another process',
      'ax: hint: the same again in a moment finishes it',
    ]);
    expect(await receipts(rig)).toHaveLength(8);
    reader.exec('COMMIT');
    const again = await rig.ax(...PRUNE, '90d');
    expect(again.exitCode).toBe(0);
    expect(statSync(join(rig.project, '.ax/ax.db-wal')).size).toBe(0);
    reader.close();
  });

  it('needs no key', async () => {
    const { rig } = await withOld();
    const home = join(rig.base, 'nobody');
    mkdirSync(home, { mode: 0o700 });
    const { exitCode } = await rig.axWith({ env: { AX_HOME: home } }, ...PRUNE, '90d', '--yes');
    expect(exitCode).toBe(0);
    expect(filesBelow(home)).toEqual([]);
    expect(await receipts(rig)).toHaveLength(8);
  });
});

describe('of a receipt that was pruned', () => {
  it.each([['show'], ['decrypt'], ['verify'], ['export', '--format', 'jwe'], ['export', '--format', 'dsse']])(
    'ax receipts %s says so, when, by whom, and its digest',
    async (command, ...more) => {
      const { rig, ids } = await withOld();
      await pruned(rig, '90d', '--yes');
      const [id = ''] = ids;
      const before = snapshot(rig);
      const people = await rig.ax('receipts', command ?? '', id, ...more);
      expect([people.exitCode, people.stdout]).toEqual([66, '']);
      expect(people.stderr).toMatch(
        new RegExp(
          `^ax: error\\[RECEIPT_PRUNED\\]: receipt ${id} was pruned at [-\\dT:.]+Z by \\S+ \\(uid ${UID}\\); ` +
            'what was sealed had SHA-256 [0-9a-f]{64}\\n' +
            'ax: hint: what the audit log says of it: ax audit list --type receipt.prune\\n$',
        ),
      );
      const { stdout } = await rig.ax('receipts', command ?? '', id, ...more, '--json');
      const { error, pruned: facts } = document(errorShape, stdout);
      expect(error).toMatchObject({ code: 'RECEIPT_PRUNED', exitCode: 66 });
      expect(facts).toMatchObject({ id, attempt: 1, actor: { uid: UID } });
      expect(snapshot(rig)).toEqual(before);
    },
  );

  it('a copy that was exported before has its digest, as jq and sha256sum compute it, and a changed one has not', async () => {
    const { rig, ids } = await withOld();
    const [id = ''] = ids;
    rig.write('copy.jwe', (await rig.ax('receipts', 'export', id, '--format', 'jwe')).stdout);
    // Rotation wraps the content key anew, and the seal stays what it is.
    expect((await rig.ax('keys', 'rotate')).exitCode).toBe(0);
    await pruned(rig, '90d', '--yes');
    const shown = document(errorShape, (await rig.ax('receipts', 'show', id, '--json')).stdout);
    const digest = shown.pruned?.sha256 ?? '';
    const { ciphertext, iv, protected: header, tag } = JSON.parse(rig.read('copy.jwe'));
    const text = JSON.stringify({ ciphertext, iv, protected: header, tag });
    expect(createHash('sha256').update(text).digest('hex')).toBe(digest);
    if (spawnSync('jq', ['--version']).error !== undefined) return;
    const recipe = "jq -cj '{ciphertext, iv, protected, tag}' copy.jwe | sha256sum";
    const sum = () => execFileSync('/bin/sh', ['-c', recipe], { cwd: rig.project, encoding: 'utf8' });
    expect(sum()).toBe(`${digest}  -\n`);
    const other = tag.startsWith('A') ? 'B' : 'A';
    rig.write('copy.jwe', rig.read('copy.jwe').replace(/"tag":"./, `"tag":"${other}`));
    expect(sum()).not.toContain(digest);
  });

  it('the run is still there: runs and status show it, and a retry goes on with it', async () => {
    const rig = await createRig();
    await rig.sign('flaky: { shell: "test -e ready" }');
    expect((await rig.ax('run', 'flaky')).exitCode).toBe(1);
    const [first] = await receipts(rig);
    pruneAllOf(rig);
    expect(await receipts(rig)).toEqual([]);
    const runId = first?.runId ?? '';
    const [listed] = JSON.parse((await rig.ax('runs', '--json')).stdout).runs;
    expect(listed).toMatchObject({ runId, outcome: 'failed', attempt: 1 });
    expect((await rig.ax('status', runId)).exitCode).toBe(0);
    expect((await rig.ax('cancel', runId)).exitCode).toBe(66);

    rig.write('ready', '');
    expect((await rig.ax('retry', runId)).exitCode).toBe(0);
    expect(await receipts(rig)).toMatchObject([{ runId, attempt: 2, outcome: 'completed' }]);
    expect((await rig.ax('receipts', 'verify', runId)).exitCode).toBe(0);
    expect((await rig.ax('receipts', 'show', first?.id ?? '')).exitCode).toBe(66);
    expect(await verifyAll(rig, 0)).toMatchObject({ checked: 1, verdicts: { valid: 1 } });
  });

  it('an import of the same file does not bring it back', async () => {
    const rig = await createRig();
    rig.manifest('a: { run: ["true"] }');
    const key = randomBytes(32);
    const old = join(rig.base, 'old');
    makeLegacyStore(old, 2, key);
    const args = ['receipts', 'import', '--legacy', old, '--json'];
    const env = { AX_LEGACY_KEY: key.toString('base64') };
    expect((await rig.axWith({ env }, ...args)).exitCode).toBe(0);
    pruneAllOf(rig);
    const again = await rig.axWith({ env }, ...args);
    expect(again.exitCode).toBe(0);
    expect(JSON.parse(again.stdout).imported).toMatchObject([{ added: false }, { added: false }]);
    expect(await receipts(rig)).toEqual([]);
    expect(await verifyAll(rig, 0)).toMatchObject({ checked: 0 });
  });
});

describe('ax receipts verify --all', () => {
  it('finds the receipt that somebody deleted', async () => {
    const { rig, ids } = await withOld(3);
    meddle(rig, `DELETE FROM receipts WHERE id = '${ids[1]}'`);
    const found = await verifyAll(rig, 76);
    expect(found).toMatchObject({ ok: false, checked: 3, verdicts: { valid: 2, tampered: 0, missing: 1 } });
    const seq = /record ([0-9]+) /.exec(found.problems[0]?.message ?? '')?.[1];
    expect(found.problems).toEqual([
      {
        id: ids[1],
        verdict: 'missing',
        message: `receipt ${ids[1]}: record ${seq} of the audit log names it, and it is neither stored nor pruned`,
      },
    ]);
    const { records } = JSON.parse((await rig.ax('audit', 'list', '--json')).stdout);
    expect(records[Number(seq) - 1]).toMatchObject({ type: 'run.finished', data: { receiptId: ids[1] } });
    const people = await rig.ax('receipts', 'verify', '--all');
    expect(people.stdout).toContain(`missing     ${ids[1]}  receipt ${ids[1]}: record ${seq} of`);
    expect(people.stderr).toBe('ax: 1 of 3 receipts did not verify\n');
  });

  it('with --since looks for those that were made since', async () => {
    const { rig, ids } = await withOld();
    meddle(rig, `DELETE FROM receipts WHERE id IN ('${ids[1]}', '${ids[9]}')`);
    const since = async (age: string) =>
      document(
        receiptsVerifyAll,
        (await rig.ax('receipts', 'verify', '--since', age, '--json')).stdout,
      ).problems.map(({ id }) => id);
    expect(await since('15d')).toEqual([ids[9]]);
    expect(await since('5d')).toEqual([]);
  });

  it('takes an imported receipt that is gone for missing, and a record that names none for nothing', async () => {
    const rig = await createRig();
    rig.manifest('a: { run: ["true"] }');
    const old = join(rig.base, 'old');
    mkdirSync(old);
    writeFileSync(
      join(old, 'one.json'),
      JSON.stringify({ kind: 'PLAN', planHash: 'x', createdAt: '2024-01-31T12:00:00Z' }),
    );
    await rig.ax('receipts', 'import', '--legacy', old);
    meddle(
      rig,
      'DELETE FROM receipts',
      `INSERT INTO audit VALUES (98, 0, 'run.finished', NULL, '', '{"receiptId":null}', '', '')`,
      "INSERT INTO audit VALUES (99, 0, 'run.finished', NULL, '', 'no JSON', '', '')",
    );
    expect(await verifyAll(rig, 76)).toMatchObject({ checked: 1, verdicts: { missing: 1 } });
  });

  it.each([
    [
      'a tombstone has another digest',
      `UPDATE pruned_receipts SET sha256 = '${'0'.repeat(64)}' WHERE id = ?`,
      4,
    ],
    [
      'a tombstone was added',
      "INSERT INTO pruned_receipts SELECT audit_seq, 'X', run_id, 9, '' FROM pruned_receipts LIMIT 1",
      5,
    ],
    ['a tombstone was removed', 'DELETE FROM pruned_receipts WHERE id = ?', 4],
    ['a tombstone names another record', 'UPDATE pruned_receipts SET audit_seq = 1 WHERE id = ?', 4],
    [
      'a tombstone has a number that no run has',
      'UPDATE pruned_receipts SET attempt = 9223372036854775807 WHERE id = ?',
      4,
    ],
    ['the record of the prune is gone', "DELETE FROM audit WHERE type = 'receipt.prune'", 4],
    [
      'the record of the prune was changed',
      "UPDATE audit SET data = json_set(data, '$.count', 5) WHERE type = 'receipt.prune'",
      4,
    ],
  ])('does not believe what was pruned when %s', async (_, sql, missing) => {
    const { rig, ids } = await withOld();
    await pruned(rig, '65d', '--yes');
    expect(await verifyAll(rig, 0)).toMatchObject({ verdicts: { valid: 6, missing: 0 } });
    meddle(rig, sql.replace('?', `'${ids[2]}'`));
    const found = await verifyAll(rig, 76);
    expect(found).toMatchObject({ verdicts: { valid: 6, missing } });
    expect(found.problems.map(({ verdict }) => verdict)).toEqual(Array(missing).fill('missing'));
  });

  it('does not take a deleted receipt for a pruned one because somebody wrote a tombstone', async () => {
    const { rig, ids } = await withOld(3);
    meddle(
      rig,
      `INSERT INTO pruned_receipts SELECT 1, id, run_id, 1, '${'0'.repeat(64)}' FROM receipts WHERE id = '${ids[1]}'`,
      `DELETE FROM receipts WHERE id = '${ids[1]}'`,
    );
    expect(await verifyAll(rig, 76)).toMatchObject({
      verdicts: { valid: 2, missing: 1 },
      problems: [
        {
          id: ids[1],
          verdict: 'missing',
          message: `receipt ${ids[1]}: its tombstone is not among what record 1 of the audit log says was pruned`,
        },
      ],
    });
    expect((await rig.ax('receipts', 'show', ids[1] ?? '')).exitCode).toBe(76);
  });
});
