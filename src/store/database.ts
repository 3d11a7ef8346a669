import { chmodSync, closeSync, lstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { AxError } from '../errors.ts';
import { ensurePrivateDirectory, isErrno, throwIo } from './files.ts';
import { MIGRATIONS } from './migrations.ts';

/** 'ax' and the format's number: a file of another program is refused before anything is written to it. */
const APPLICATION_ID = 0x61780001;
/** The database's name in the store's folder. */
export const STORE_FILE = 'ax.db';
const BUSY_TIMEOUT_MS = 15_000;
/** At most, between two looks whether a lock is free. */
const MAX_PAUSE_MS = 20;

/** One open store. Every write happens inside `write`, which is one durable transaction. */
export interface Database {
  readonly directory: string;
  /** A prepared statement, made once for each text. */
  prepare(sql: string): StatementSync;
  /**
   * Runs `body` in one transaction that holds the write lock from its start, so what it reads cannot change
   * before it writes. When this returns, the change is on disk (`synchronous=FULL`).
   */
  write<T>(body: () => T): T;
  /** Runs `body` on one consistent snapshot. */
  read<T>(body: () => T): T;
  /**
   * Moves what the journal file holds into the database and cuts it to nothing, so that what was deleted is in
   * neither. Outside any transaction.
   *
   * @throws STORE_BUSY when other processes have been using it for all of 15 seconds
   */
  emptyJournal(): void;
  close(): void;
}

/**
 * Opens the store in `directory`, making it (0700, files 0600) when there is none.
 *
 * @throws STORE_UNUSABLE not ours, corrupt, from a newer ax, or not writable
 * @throws STORE_FULL, STORE_BUSY, KEY_PERMISSIONS
 */
export function openDatabase(directory: string, uid: number): Database {
  ensurePrivateDirectory(directory, uid);
  const path = join(directory, STORE_FILE);
  createPrivately(path);
  return translate(directory, () => {
    const sqlite = new DatabaseSync(path, {
      timeout: BUSY_TIMEOUT_MS,
      enableForeignKeyConstraints: true,
      allowExtension: false,
    });
    try {
      // A store may come out of a hostile checkout: no function of ours runs from its schema, and its pages
      // are checked as they are read.
      sqlite.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA secure_delete = ON');
      migrate(sqlite, directory);
      return handle(sqlite, directory);
    } catch (error) {
      sqlite.close();
      throw error;
    }
  });
}

/** SQLite gives its journal files the mode of the database file, so this decides for all of them. */
function createPrivately(path: string): void {
  try {
    closeSync(openSync(path, 'ax', 0o600));
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throwIo(`make the store ${path}`, error);
    const stat = lstatSync(path);
    if (!stat.isFile()) {
      throw new AxError('STORE_UNUSABLE', `${path}: expected a regular file`, { hint: `move ${path} away` });
    }
    if ((stat.mode & 0o077) !== 0) chmodSync(path, 0o600);
  }
}

function migrate(sqlite: DatabaseSync, directory: string): void {
  if (
    pragma(sqlite, 'application_id') === APPLICATION_ID &&
    pragma(sqlite, 'user_version') === MIGRATIONS.length
  ) {
    sqlite.exec('PRAGMA synchronous = FULL');
    return;
  }
  const { applicationId, version, tables } = inspect(sqlite);
  if (applicationId !== APPLICATION_ID && (applicationId !== 0 || tables !== 0)) {
    throw new AxError('STORE_UNUSABLE', `${directory}: ${STORE_FILE} is not an ax store`, {
      hint: `move ${join(directory, STORE_FILE)} away`,
    });
  }
  if (version > MIGRATIONS.length) {
    throw new AxError(
      'STORE_UNUSABLE',
      `${directory}: made by a newer ax (schema ${version}, this ax knows ${MIGRATIONS.length})`,
      { hint: 'use that ax, or another store with --store' },
    );
  }
  // Takes effect on a new file alone, before anything is in it: space is given back in small steps (reclaim.ts).
  sqlite.exec('PRAGMA auto_vacuum = INCREMENTAL');
  whenFree(sqlite, () => sqlite.exec('PRAGMA journal_mode = WAL'));
  sqlite.exec('PRAGMA synchronous = FULL');
  whenFree(sqlite, () => sqlite.exec('BEGIN IMMEDIATE'));
  try {
    // Read again under the lock: another process may have migrated meanwhile.
    for (const step of MIGRATIONS.slice(pragma(sqlite, 'user_version'))) sqlite.exec(step);
    sqlite.exec(
      `PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`,
    );
  } catch (error) {
    sqlite.exec('ROLLBACK');
    throw error;
  }
}

/** What kind of file it is; of one moment, for another process may be about to make its tables. */
function inspect(sqlite: DatabaseSync): { applicationId: number; version: number; tables: number } {
  sqlite.exec('BEGIN');
  try {
    return {
      applicationId: pragma(sqlite, 'application_id'),
      version: pragma(sqlite, 'user_version'),
      tables: Number(sqlite.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n),
    };
  } finally {
    if (sqlite.isTransaction) sqlite.exec('COMMIT');
  }
}

/**
 * Does what takes a lock, once the lock is free. SQLite would wait for some locks and not for others, and up to 100 ms
 * between one look and the next: of many processes the one that had waited longest would look least often, and might
 * wait in vain. At 20 ms, which all come to soon, they have the same chance.
 */
function whenFree(sqlite: DatabaseSync, act: () => void): void {
  sqlite.exec('PRAGMA busy_timeout = 0');
  try {
    for (let waited = 0, pause = 1; ; waited += pause, pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      try {
        act();
        return;
      } catch (error) {
        if (waited >= BUSY_TIMEOUT_MS || primaryCode(error) !== SQLITE.BUSY) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause);
      }
    }
  } finally {
    sqlite.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  }
}

function pragma(sqlite: DatabaseSync, name: 'application_id' | 'user_version'): number {
  return Number(sqlite.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function handle(sqlite: DatabaseSync, directory: string): Database {
  const statements = new Map<string, StatementSync>();
  const transaction = <T>(begin: () => void, body: () => T): T =>
    translate(directory, () => {
      begin();
      try {
        const result = body();
        sqlite.exec('COMMIT');
        return result;
      } catch (error) {
        // After some failures (a full disk among them) SQLite has rolled back by itself.
        if (sqlite.isTransaction) sqlite.exec('ROLLBACK');
        throw error;
      }
    });
  return {
    directory,
    prepare(sql) {
      let statement = statements.get(sql);
      if (statement === undefined) {
        statement = translate(directory, () => sqlite.prepare(sql));
        statements.set(sql, statement);
      }
      return statement;
    },
    write: (body) => transaction(() => whenFree(sqlite, () => sqlite.exec('BEGIN IMMEDIATE')), body),
    read: (body) => transaction(() => sqlite.exec('BEGIN'), body),
    emptyJournal: () => translate(directory, () => whenFree(sqlite, () => emptyJournal(sqlite))),
    close: () => sqlite.close(),
  };
}

/** Somebody who reads or writes is an answer of SQLite's here, where it is an error elsewhere. */
function emptyJournal(sqlite: DatabaseSync): void {
  const { busy } = sqlite.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() ?? {};
  if (busy !== 0) throw Object.assign(new Error('the journal is in use'), { errcode: SQLITE.BUSY });
}

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const SQLITE = {
  BUSY: 5,
  LOCKED: 6,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  NOTADB: 26,
};

/** An extended code: the journal's index could not grow. SQLite calls that I/O, and it means a full disk. */
const IOERR_SHMSIZE = 4874;

/** Null for an error that is not SQLite's. */
function primaryCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error)) return null;
  return error.errcode === IOERR_SHMSIZE ? SQLITE.FULL : Number(error.errcode) & 0xff;
}

function storeBusy(directory: string, cause?: unknown): AxError {
  return new AxError('STORE_BUSY', `${directory}: the store is in use by another process`, {
    cause,
    hint: 'try again in a moment',
    retryAfterSeconds: 1,
  });
}

function translate<T>(directory: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    const code = primaryCode(error);
    if (code === null || !(error instanceof Error)) throw error;
    const options = { cause: error };
    switch (code) {
      case SQLITE.BUSY:
      case SQLITE.LOCKED:
        throw storeBusy(directory, error);
      case SQLITE.FULL:
        throw new AxError('STORE_FULL', `${directory}: no space left for the store`, {
          ...options,
          hint: 'free some space, or choose another place with --store',
        });
      case SQLITE.READONLY:
      case SQLITE.IOERR:
      case SQLITE.CANTOPEN:
        throw new AxError('STORE_UNUSABLE', `${directory}: the store cannot be written (${error.message})`, {
          ...options,
          hint: 'check the file system and its permissions, or choose another place with --store',
        });
      case SQLITE.CORRUPT:
      case SQLITE.NOTADB:
        throw new AxError('STORE_UNUSABLE', `${directory}: the store is damaged (${error.message})`, {
          ...options,
          hint: `keep a copy of ${directory} as evidence and start a new store with --store`,
        });
      default:
        throw error;
    }
  }
}
