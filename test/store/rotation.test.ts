import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { recordRemoved, requireNotRemoved } from '../../src/store/removed-keys.ts';
import { advanceRotation, currentRotation, endRotation, startRotation } from '../../src/store/rotation.ts';
import { codeOf } from '../support/code-of.ts';

const UID = process.getuid?.() ?? -1;
const ROTATION = { kind: 'reencrypt', kid: 'a', startedAt: 1, total: 3, leftOut: ['r'] } as const;

/** A store as it was before rotations had a journal. */
function olderStore(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ax-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const directory = join(folder, '.ax');
  mkdirSync(directory, { mode: 0o700 });
  const steps = MIGRATIONS.slice(
    0,
    MIGRATIONS.findIndex((step) => step.includes('CREATE TABLE rotation')),
  );
  const sqlite = new DatabaseSync(join(directory, 'ax.db'));
  sqlite.exec(`PRAGMA application_id = ${0x61780001}; PRAGMA user_version = ${steps.length};`);
  for (const step of steps) sqlite.exec(step);
  sqlite.close();
  return directory;
}

test('an older store gets the journal: one row from the start of a rotation to its end', () => {
  const database = openDatabase(olderStore(), UID);
  expect(currentRotation(database)).toBeNull();
  database.write(() => startRotation(database, ROTATION));
  database.write(() => advanceRotation(database, 2));
  expect(currentRotation(database)).toEqual({ ...ROTATION, done: 2 });
  database.write(() => startRotation(database, { ...ROTATION, kid: 'b' }));
  expect(currentRotation(database)).toEqual({ ...ROTATION, kid: 'b', done: 0 });
  database.write(() => endRotation(database));
  expect(currentRotation(database)).toBeNull();
  database.close();
});

test('a key that was shut out stays so, and no other is', () => {
  const directory = olderStore();
  const database = openDatabase(directory, UID);
  for (const at of [1, 2]) database.write(() => recordRemoved(database, 'gone', at));
  database.close();
  const again = openDatabase(directory, UID);
  expect(codeOf(() => again.write(() => requireNotRemoved(again, ['here', 'gone'])))).toBe('KEY_UNKNOWN');
  again.write(() => requireNotRemoved(again, ['here']));
  again.close();
});

test('emptying the journal file leaves nothing in it, and what it held in the store', () => {
  const directory = olderStore();
  const database = openDatabase(directory, UID);
  database.write(() => startRotation(database, ROTATION));
  expect(statSync(join(directory, 'ax.db-wal')).size).toBeGreaterThan(0);
  database.emptyJournal();
  expect(statSync(join(directory, 'ax.db-wal')).size).toBe(0);
  expect(currentRotation(database)).toMatchObject({ kid: 'a' });
  database.close();
});
