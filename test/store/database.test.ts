import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { appendAudit, listAudit, verifyAudit } from '../../src/store/audit.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { findRun } from '../../src/store/runs.ts';
import { codeOf } from '../support/code-of.ts';

const UID = process.getuid?.() ?? -1;

let folder: string;
let store: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ax-'));
  store = join(folder, 'store');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('what is on the disk', () => {
  test('is for its owner alone, whatever the umask', () => {
    const umask = process.umask(0);
    try {
      const database = openDatabase(store, UID);
      append(database);
      expect(readdirSync(store).sort()).toEqual(['ax.db', 'ax.db-shm', 'ax.db-wal']);
      expect(modeOf(store)).toBe('700');
      for (const name of readdirSync(store)) expect([name, modeOf(join(store, name))]).toEqual([name, '600']);
      database.close();
    } finally {
      process.umask(umask);
    }
  });

  test('a database file that others could read is made private again', () => {
    openDatabase(store, UID).close();
    chmodSync(join(store, 'ax.db'), 0o644);
    const database = openDatabase(store, UID);
    append(database);
    for (const name of readdirSync(store)) expect([name, modeOf(join(store, name))]).toEqual([name, '600']);
    database.close();
  });

  test('is journaled, and synced at every commit', () => {
    for (const opening of ['the first time', 'again']) {
      const database = openDatabase(store, UID);
      const pragma = (name: string) => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
      expect([opening, pragma('journal_mode'), pragma('synchronous')]).toEqual([opening, 'wal', 2]);
      expect(pragma('foreign_keys')).toBe(1);
      expect(pragma('trusted_schema')).toBe(0);
      expect(pragma('secure_delete')).toBe(1);
      expect(pragma('auto_vacuum')).toBe(2);
      expect(pragma('busy_timeout')).toBe(15_000);
      database.close();
    }
  });

  test('what was deleted is not there any more', () => {
    const database = openDatabase(store, UID);
    database.write(() =>
      database.prepare('INSERT INTO limit_uses (bucket, at) VALUES (?, 1)').run('to-be-forgotten'),
    );
    database.write(() => database.prepare('DELETE FROM limit_uses').run());
    database.close();
    expect(readFileSync(join(store, 'ax.db')).includes('to-be-forgotten')).toBe(false);
  });
});

describe('a transaction', () => {
  test('that throws leaves nothing behind, and the next one works', () => {
    const database = openDatabase(store, UID);
    append(database);
    expect(() =>
      database.write(() => {
        append({ ...database, write: (body) => body() });
        throw new Error('half way');
      }),
    ).toThrow('half way');
    expect(listAudit(database)).toHaveLength(1);
    append(database);
    expect(verifyAudit(database).records).toBe(2);
    database.close();
  });

  test('that reads does not see what is written meanwhile', () => {
    const reader = openDatabase(store, UID);
    const writer = openDatabase(store, UID);
    reader.read(() => {
      const count = () => reader.prepare('SELECT count(*) AS n FROM audit').get()?.n;
      expect(count()).toBe(0);
      append(writer);
      expect(count()).toBe(0);
    });
    expect(listAudit(reader)).toHaveLength(1);
    reader.close();
    writer.close();
  });
});

test('a store of the ax before gets what is new, and keeps what it has', () => {
  mkdirSync(store, { mode: 0o700 });
  const before = new DatabaseSync(join(store, 'ax.db'));
  before.exec(`PRAGMA journal_mode = WAL; PRAGMA application_id = ${0x61780001}; PRAGMA user_version = 1`);
  before.exec(MIGRATIONS[0] ?? '');
  before.exec(`INSERT INTO runs VALUES ('01JDZ8ZZZZZZZZZZZZZZZZZZZZ', '${'a'.repeat(32)}', '${'b'.repeat(16)}',
    'acme/web', 'build', 1, '', 0, '', '', '{"uid":1,"name":"alice"}', 'COMPLETED', 5, 'completed', 0, 1, 2, 'host', 3,
    '4', NULL, NULL, '{}')`);
  before.close();
  const database = openDatabase(store, UID);
  expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: MIGRATIONS.length });
  expect(findRun(database, '01JDZ8')).toMatchObject({
    spanId: 'b'.repeat(16),
    parentSpanId: null,
    outcome: 'completed',
    seq: 5,
  });
  database.close();
});

describe('what is not a store of ours is refused and left as it is', () => {
  test('a database of another program', () => {
    makeDatabase('CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)');
    refused('STORE_UNUSABLE');
  });

  test('a database of another program that has numbered its schema', () => {
    makeDatabase('PRAGMA user_version = 1; CREATE TABLE theirs (a)');
    refused('STORE_UNUSABLE');
  });

  test('a database of another application, empty as it is', () => {
    makeDatabase('PRAGMA application_id = 252006673');
    refused('STORE_UNUSABLE');
  });

  test('a store of a newer ax', () => {
    openDatabase(store, UID).close();
    const sqlite = new DatabaseSync(join(store, 'ax.db'));
    sqlite.exec(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    sqlite.close();
    expect(refused('STORE_UNUSABLE')).toMatch(/made by a newer ax/);
  });

  test('a file that is no database', () => {
    mkdirSync(store, { mode: 0o700 });
    writeFileSync(join(store, 'ax.db'), 'no database, '.repeat(1000), { mode: 0o600 });
    refused('STORE_UNUSABLE');
  });

  test('a store with a page overwritten', () => {
    const database = openDatabase(store, UID);
    for (let count = 0; count < 100; count++) append(database);
    database.close();
    const bytes = readFileSync(join(store, 'ax.db'));
    for (let page = 1; page < bytes.length / 4096; page++) bytes.fill(0xa5, page * 4096, page * 4096 + 512);
    writeFileSync(join(store, 'ax.db'), bytes);
    expect(codeOf(() => useStore())).toBe('STORE_UNUSABLE');
    expect(readFileSync(join(store, 'ax.db')).equals(bytes)).toBe(true);
  });

  test('a store cut short', () => {
    const database = openDatabase(store, UID);
    for (let count = 0; count < 100; count++) append(database);
    database.close();
    truncateSync(join(store, 'ax.db'), 8192);
    expect(codeOf(() => useStore())).toBe('STORE_UNUSABLE');
  });

  test('a link in place of the folder, though it leads to a store', () => {
    openDatabase(store, UID).close();
    symlinkSync(store, join(folder, 'link'));
    expect(codeOf(() => openDatabase(join(folder, 'link'), UID))).toBe('KEY_PERMISSIONS');
  });

  test('a link in place of the database file', () => {
    const elsewhere = join(folder, 'elsewhere');
    openDatabase(elsewhere, UID).close();
    mkdirSync(store, { mode: 0o700 });
    symlinkSync(join(elsewhere, 'ax.db'), join(store, 'ax.db'));
    expect(codeOf(() => openDatabase(store, UID))).toBe('STORE_UNUSABLE');
  });

  test('a link that leads nowhere is not followed to make a file there', () => {
    mkdirSync(store, { mode: 0o700 });
    symlinkSync(join(folder, 'target'), join(store, 'ax.db'));
    expect(codeOf(() => openDatabase(store, UID))).toBe('STORE_UNUSABLE');
    expect(readdirSync(folder)).toEqual(['store']);
  });

  test('a file in place of the folder', () => {
    writeFileSync(store, '');
    expect(codeOf(() => openDatabase(store, UID))).toBe('KEY_PERMISSIONS');
  });

  test.each([0o750, 0o705, 0o777])('a folder that others may enter: mode %o', (mode) => {
    mkdirSync(store);
    chmodSync(store, mode);
    expect(codeOf(() => openDatabase(store, UID))).toBe('KEY_PERMISSIONS');
    expect(readdirSync(store)).toEqual([]);
  });

  test('a folder of someone else', () => {
    mkdirSync(store, { mode: 0o700 });
    expect(codeOf(() => openDatabase(store, UID + 1))).toBe('KEY_PERMISSIONS');
    expect(readdirSync(store)).toEqual([]);
  });
});

test('of several that open a store which none has made yet, each gets it', async () => {
  const stores = 60;
  const threads = 4;
  const workerData = {
    prefix: store,
    stores,
    threads,
    arrived: new Int32Array(new SharedArrayBuffer(4 * stores)),
  };
  const outcomes: string[] = [];
  const open = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL('../support/open-worker.ts', import.meta.url), { workerData });
      worker.on('message', (outcome: string) => outcomes.push(outcome));
      worker.once('error', reject);
      worker.once('exit', () => resolve());
    });
  await Promise.all(Array.from({ length: threads }, open));
  expect(outcomes).toEqual(Array(threads * stores).fill('opened'));
  const database = openDatabase(`${store}-0`, UID);
  expect(verifyAudit(database).records).toBe(0);
  database.close();
});

function append(database: Database): void {
  database.write(() =>
    appendAudit(database, 1_700_000_000_000, {
      type: 'key.change',
      runId: null,
      actor: { uid: UID, name: 'tester' },
      data: { kid: 'k'.repeat(200) },
    }),
  );
}

function makeDatabase(sql: string): void {
  mkdirSync(store, { mode: 0o700 });
  const sqlite = new DatabaseSync(join(store, 'ax.db'));
  sqlite.exec(sql);
  sqlite.close();
}

/** Opens it and looks at everything. */
function useStore(): void {
  const database = openDatabase(store, UID);
  try {
    listAudit(database);
    verifyAudit(database);
  } finally {
    database.close();
  }
}

function refused(code: string): string {
  const before = readFileSync(join(store, 'ax.db'));
  let message = '';
  const opening = () => {
    try {
      openDatabase(store, UID).close();
    } catch (error) {
      message = String(error);
      throw error;
    }
  };
  expect(codeOf(opening)).toBe(code);
  expect(readFileSync(join(store, 'ax.db')).equals(before)).toBe(true);
  return message;
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}
