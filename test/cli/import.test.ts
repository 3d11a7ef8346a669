import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { receipts } from '../support/evidence.ts';
import { legacyContent, legacyFile, legacyName, makeLegacyStore } from '../support/legacy-store.ts';
import { createBareRig, createRig, filesBelow, lines, type Rig } from '../support/rig.ts';
import { document, receiptsImport } from '../support/shapes.ts';
import { haveVectors, vectorJson, vectorPath } from '../support/vectors.ts';

const key = randomBytes(32);

/** A rig with a project, and a folder `old` beside it. */
async function setUp(): Promise<{ rig: Rig; old: string }> {
  const rig = await createRig();
  rig.manifest('hello: { run: [echo, hello] }');
  const old = join(rig.base, 'old');
  mkdirSync(old);
  return { rig, old };
}

/** Runs an import with the key in the environment; gives the status and the document. */
async function importOf(rig: Rig, folder: string, keyText: string | undefined = key.toString('base64')) {
  const env = { AX_LEGACY_KEY: keyText };
  const { exitCode, stdout, stderr } = await rig.axWith(
    { env },
    ...['receipts', 'import', '--legacy', folder, '--json'],
  );
  expect(stderr).toBe('');
  return { exitCode, ...document(receiptsImport, stdout) };
}

/** The statements of the store, oldest first. */
async function statements(rig: Rig) {
  const { stdout } = await rig.ax('receipts', 'export', '--all', '-f', 'in-toto');
  return lines(stdout).map((line) => JSON.parse(line));
}

function contents(folder: string): Record<string, string> {
  return Object.fromEntries(
    filesBelow(folder).map((name) => [name, readFileSync(join(folder, name), 'latin1')]),
  );
}

describe('ax receipts import --legacy', () => {
  it('keeps sealed and plain receipts as imported ones, and leaves the originals as they are', async () => {
    const { rig, old } = await setUp();
    const made = makeLegacyStore(old, 3, key);
    const plain = { ...legacyContent(3), txHashes: [], note: 'a\u0000b' };
    writeFileSync(join(old, 'any-name.json'), JSON.stringify(plain));
    const before = contents(old);
    const { exitCode, ok, imported, unread } = await importOf(rig, old);
    expect({ exitCode, ok, unread }).toEqual({ exitCode: 0, ok: true, unread: [] });
    expect(imported.map(({ added }) => added)).toEqual([true, true, true, true]);
    expect(contents(old)).toEqual(before);

    expect(await statements(rig)).toMatchObject(
      [...made, { ...plain, note: 'a\\u0000b' }].map((original, index) => ({
        predicateType: 'urn:ax:legacy-receipt:v1',
        subject: [{ name: index < 3 ? legacyName(original) : 'any-name.json' }],
        predicate: { outcome: 'imported', original, sealed: index < 3, startedAt: original.createdAt },
      })),
    );
    const listed = await receipts(rig);
    expect(listed).toMatchObject(
      ['EXECUTION', 'PLAN', 'EXECUTION', 'PLAN'].map((task) => ({
        task,
        project: 'legacy:import',
        outcome: 'imported',
      })),
    );
    for (const { id } of listed) expect((await rig.ax('receipts', 'verify', id)).exitCode).toBe(0);
    expect(JSON.parse((await rig.ax('runs', '--json')).stdout).runs).toEqual([]);
    const audit = JSON.parse((await rig.ax('audit', 'list', '--type', 'receipt.import', '--json')).stdout);
    expect(audit.records.map(({ data }: { data: object }) => data)).toEqual(
      imported.map(({ id, file }) => ({ receiptId: id, sealed: file !== 'any-name.json' })),
    );
    expect((await rig.ax('audit', 'verify')).exitCode).toBe(0);
  });

  it('adds nothing when it is done again, and only what is new after that', async () => {
    const { rig, old } = await setUp();
    makeLegacyStore(old, 2, key);
    const first = await importOf(rig, old);
    const second = await importOf(rig, old);
    expect(second.imported).toEqual(first.imported.map((one) => ({ ...one, added: false })));
    makeLegacyStore(join(rig.base, 'more'), 1, null);
    writeFileSync(
      join(old, 'copy.json'),
      contents(join(rig.base, 'more'))[legacyName(legacyContent(0))] ?? '',
    );
    const third = await importOf(rig, old);
    expect(third.imported.filter(({ added }) => added).map(({ file }) => file)).toEqual(['copy.json']);
    expect(await receipts(rig)).toHaveLength(3);
  });

  it('imports what it can, reports the rest by name and reason, and says so with its status', async () => {
    const { rig, old } = await setUp();
    makeLegacyStore(old, 1, key);
    writeFileSync(join(old, 'foreign.json'), legacyFile(legacyContent(7), randomBytes(32)));
    writeFileSync(join(old, 'other.json'), '{"kind": "PLAN"}');
    writeFileSync(join(old, 'broken.json'), '{"kind": ');
    writeFileSync(join(old, 'twice.json'), '{"kind": "PLAN", "kind": "X", "planHash": "", "createdAt": ""}');
    writeFileSync(join(old, 'notes.txt'), 'no receipt');
    mkdirSync(join(old, 'folder.json'));
    symlinkSync('/etc/hostname', join(old, 'link.json'));
    const { exitCode, ok, imported, unread } = await importOf(rig, old);
    expect({ exitCode, ok }).toEqual({ exitCode: 65, ok: false });
    expect(imported).toHaveLength(1);
    expect(unread.map(({ file, problem }) => [file, problem])).toEqual([
      ['broken.json', 'not-a-receipt'],
      ['folder.json', 'not-a-file'],
      ['foreign.json', 'not-opened'],
      ['link.json', 'not-a-file'],
      ['other.json', 'not-a-receipt'],
      ['twice.json', 'not-a-receipt'],
    ]);
    expect(await receipts(rig)).toHaveLength(1);
  });

  it('refuses a receipt under the name of another', async () => {
    const { rig, old } = await setUp();
    const [first, second] = [legacyContent(0), legacyContent(1)];
    writeFileSync(join(old, legacyName(first)), legacyFile(second, key));
    const { exitCode, unread } = await importOf(rig, old);
    expect(exitCode).toBe(65);
    expect(unread).toMatchObject([{ file: legacyName(first), problem: 'renamed' }]);
    expect(await receipts(rig)).toEqual([]);
  });

  it('wants names to vouch for what is in files once one of them was changed', async () => {
    const { rig, old } = await setUp();
    makeLegacyStore(old, 1, key);
    writeFileSync(join(old, 'renamed.json'), legacyFile(legacyContent(5), key));
    expect((await importOf(rig, old)).exitCode).toBe(0);
    const changed = JSON.parse(legacyFile(legacyContent(6), key));
    writeFileSync(join(old, 'changed.json'), JSON.stringify({ ...changed, version: 2 }));
    const { unread, imported } = await importOf(rig, old);
    expect(unread.map(({ file, problem }) => [file, problem])).toEqual([
      ['changed.json', 'malformed'],
      ['renamed.json', 'renamed'],
    ]);
    expect(imported).toHaveLength(1);
  });

  it('takes keys from private files, several at once, and warns of one on the command line', async () => {
    const { rig, old } = await setUp();
    const other = randomBytes(32);
    makeLegacyStore(old, 1, key);
    writeFileSync(join(old, 'second.json'), legacyFile(legacyContent(9), other));
    rig.write('old.key', `${randomBytes(32).toString('hex')}\n${key.toString('base64')}\n`, 0o600);
    const args = ['receipts', 'import', '--legacy', old, '--key-file', 'old.key'];
    expect((await rig.ax(...args)).exitCode).toBe(65);
    const { exitCode, stdout, stderr } = await rig.ax(...args, '--key', other.toString('base64'));
    expect(exitCode).toBe(0);
    expect(stdout).toBe(`imported  1 receipt(s) of ${old}\n          1 had been imported before\n`);
    expect(stderr).toContain('warning: --key: a command line is seen by every user of this machine');

    rig.write('open.key', key.toString('base64'), 0o644);
    const open = await rig.ax('receipts', 'import', '--legacy', old, '--key-file', 'open.key');
    expect(open.exitCode).toBe(78);
    expect(open.stderr).toContain('hint: chmod 600');
  });

  it('tells of files with names that could move a terminal, and does not do it', async () => {
    const { rig, old } = await setUp();
    writeFileSync(join(old, 'a\u001b[2J\u202e.json'), '{}');
    const { exitCode, stdout } = await rig.ax('receipts', 'import', '--legacy', old);
    expect(exitCode).toBe(65);
    expect(stdout).toContain('not read  a\\x1b[2J\\u202e.json: not-a-receipt');
  });

  it('shows an imported receipt on a page, and makes no provenance of it', async () => {
    const { rig, old } = await setUp();
    makeLegacyStore(old, 1, key);
    const { imported } = await importOf(rig, old);
    const id = imported[0]?.id ?? '';
    const page = await rig.ax('receipts', 'export', id, '-f', 'html');
    expect(page.stdout).toContain('<h2>urn:ax:legacy-receipt:v1</h2>');
    const { exitCode, stdout } = await rig.ax('receipts', 'export', id, '-f', 'slsa');
    expect({ exitCode, stdout }).toEqual({ exitCode: 65, stdout: '' });
  });

  it('does not keep what is nested deeper than it could be read again', async () => {
    const { rig, old } = await setUp();
    const nested = (levels: number): object => (levels === 0 ? {} : { deeper: nested(levels - 1) });
    for (const levels of [26, 27]) {
      const content = { ...legacyContent(levels), payload: nested(levels) };
      writeFileSync(join(old, `${levels}.json`), JSON.stringify(content));
    }
    const { imported, unread } = await importOf(rig, old);
    expect(imported.map(({ file }) => file)).toEqual(['26.json']);
    expect(unread.map(({ file }) => file)).toEqual(['27.json']);
    expect((await rig.ax('receipts', 'verify', imported[0]?.id ?? '')).exitCode).toBe(0);
  });

  it('starts nothing without a key to seal to, or with a key that is none', async () => {
    const rig = createBareRig();
    rig.manifest('hello: { run: [echo, hello] }');
    const old = join(rig.base, 'old');
    makeLegacyStore(old, 1, key);
    const withoutKey = await rig.ax('receipts', 'import', '--legacy', old);
    expect(withoutKey.exitCode).toBe(66);
    expect(withoutKey.stderr).toContain('error[KEY_UNKNOWN]');
    const env = { AX_LEGACY_KEY: 'too short to be one' };
    const malformed = await rig.axWith({ env }, 'receipts', 'import', '--legacy', old);
    expect(malformed.exitCode).toBe(78);
    expect(malformed.stderr).toContain('error[KEY_MALFORMED]: AX_LEGACY_KEY');
    expect(malformed.stderr).not.toContain('short');
    expect((await rig.ax('receipts', 'import', '--legacy', join(rig.base, 'none'))).exitCode).toBe(74);
    expect(existsSync(rig.home) || rig.has('.ax')).toBe(false);
  });
});

describe.skipIf(!haveVectors)('receipts that the older orchestrator itself wrote', () => {
  const keys = haveVectors ? vectorJson<Record<string, { value: string }>>('legacy-receipts/keys.json') : {};

  /** What the older store's own scrubber had left. */
  const rescrubbed = (plaintext: string) =>
    plaintext.replaceAll('(415) 555-0132', '[phone]').replaceAll('bob@example.org', '[email]');

  it.each(Object.keys(keys))('are imported as they were, but for personal data: %s', async (name) => {
    const { rig } = await setUp();
    const value = keys[name]?.value;
    const { exitCode, imported } = await importOf(
      rig,
      vectorPath(`legacy-receipts/${name}`),
      value === '' ? undefined : value,
    );
    expect(exitCode).toBe(0);
    expect(imported).toHaveLength(5);
    const { rows } = vectorJson<{ rows: { file: string; plaintext: string }[] }>(
      `legacy-receipts/${name}.plaintexts.json`,
    );
    const found = (await statements(rig)).map(({ subject, predicate }) => [
      subject[0].name,
      predicate.original,
    ]);
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(rows.map(({ file, plaintext }) => [file, JSON.parse(rescrubbed(plaintext))])),
    );
  });

  it('are refused, every one that was tampered with, whatever the old code did', async () => {
    const { rig } = await setUp();
    const { exitCode, imported, unread } = await importOf(
      rig,
      vectorPath('legacy-receipts/tampered'),
      keys['key-base64']?.value,
    );
    expect({ exitCode, imported }).toEqual({ exitCode: 65, imported: [] });
    const { cases } = vectorJson<{ cases: { file: string }[] }>('legacy-receipts/tampered/expected.json');
    expect(unread.map(({ file }) => file)).toEqual(expect.arrayContaining(cases.map(({ file }) => file)));
    expect(await receipts(rig)).toEqual([]);
  });
});
