import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AxError, isAxError } from '../errors.ts';

/** Files that hold keys, trust and state: private to their owner, replaced whole or not at all. */

/** What others may not do with a folder or file: anything, or write to it. */
const PRIVATE = 0o077;
const UNWRITABLE = 0o022;
const STICKY = 0o1000;

/** True for an error of the operating system with one of these codes. */
export function isErrno(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/**
 * Reports what the operating system refused in ax's own terms.
 *
 * @throws STORE_FULL when there is no room, IO for everything else
 */
export function throwIo(action: string, error: unknown): never {
  const reason = error instanceof Error ? error.message : String(error);
  if (isErrno(error, 'ENOSPC', 'EDQUOT')) {
    throw new AxError('STORE_FULL', `cannot ${action}: no space left`, {
      hint: 'free some space and run the command again; nothing was started',
      cause: error,
    });
  }
  throw new AxError('IO', `cannot ${action}: ${reason}`, {
    hint: 'check that the folder exists, is yours and can be written',
    cause: error,
  });
}

/**
 * Makes a folder that only its owner can enter, or checks the one that is there.
 *
 * @throws KEY_PERMISSIONS when it is a symlink, belongs to someone else, or others may enter it
 */
export function ensurePrivateDirectory(path: string, uid: number): void {
  ensureDirectory(path, uid, PRIVATE);
}

/**
 * The same for a folder that others may look into but not change: a person may have made it by hand.
 *
 * @throws KEY_PERMISSIONS
 */
export function ensureOwnDirectory(path: string, uid: number): void {
  ensureDirectory(path, uid, UNWRITABLE);
}

function ensureDirectory(path: string, uid: number, forbidden: number): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throwIo(`make the folder ${path}`, error);
  }
  const stat = lstatSync(path);
  if (!stat.isDirectory()) {
    throw new AxError('KEY_PERMISSIONS', `${path}: expected a folder, found a link or another kind of file`, {
      hint: `move ${path} away`,
    });
  }
  refuseForeign(path, stat, { uid, forbidden, mode: 0o700 });
}

function refuseForeign(
  path: string,
  stat: { uid: number; mode: number },
  wanted: { uid: number; forbidden: number; mode: number },
): void {
  if (stat.uid !== wanted.uid) {
    throw new AxError(
      'KEY_PERMISSIONS',
      `${path}: expected uid ${wanted.uid} as its owner, found ${stat.uid}`,
      {
        hint: `chown ${wanted.uid} ${path}, or choose another place with --home or --store`,
      },
    );
  }
  if ((stat.mode & wanted.forbidden) !== 0) {
    const found = (stat.mode & 0o777).toString(8);
    const expected =
      wanted.forbidden === PRIVATE ? 'to be private to its owner' : 'that nobody else can write to it';
    throw new AxError('KEY_PERMISSIONS', `${path}: expected ${expected}, found mode 0${found}`, {
      hint: `chmod ${wanted.mode.toString(8)} ${path}`,
    });
  }
}

/**
 * Refuses what stands in a folder where somebody else could put another thing in its place: however private it is
 * itself, whoever may write to that folder may rename it. A sticky folder (such as /tmp) does not let them.
 *
 * @throws KEY_PERMISSIONS with the chmod to run
 */
export function refuseLooseParent(path: string, uid: number): void {
  const parent = dirname(path);
  const stat = statSync(parent, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (stat.uid !== uid && stat.uid !== 0) {
    throw new AxError(
      'KEY_PERMISSIONS',
      `${parent}: expected uid ${uid} or root as its owner, found ${stat.uid}`,
      {
        hint: `chown ${uid} ${parent}, or choose another place with --home`,
      },
    );
  }
  if ((stat.mode & UNWRITABLE) !== 0 && (stat.mode & STICKY) === 0) {
    const found = (stat.mode & 0o777).toString(8);
    throw new AxError(
      'KEY_PERMISSIONS',
      `${parent}: expected that nobody else can write to it, found mode 0${found}`,
      { hint: `chmod go-w ${parent}` },
    );
  }
}

/**
 * Reads a file that must be private to its owner. The file that is checked is the file that is read: both go
 * through one descriptor, opened without following a link.
 *
 * @returns null when there is no such file
 * @throws KEY_PERMISSIONS, IO
 */
export function readPrivateFile(path: string, uid: number): Buffer | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    if (isErrno(error, 'ELOOP')) {
      throw new AxError('KEY_PERMISSIONS', `${path}: expected a file, found a symbolic link`, {
        hint: `replace the link with the file itself`,
        cause: error,
      });
    }
    throwIo(`read ${path}`, error);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) {
      throw new AxError('KEY_PERMISSIONS', `${path}: expected a regular file`, { hint: `move ${path} away` });
    }
    refuseForeign(path, stat, { uid, forbidden: PRIVATE, mode: 0o600 });
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** More than any file that ax reads whole may have; each has a limit of its own besides. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/**
 * Reads an ordinary file of at most `maxBytes`.
 *
 * @returns null when there is no such file
 * @throws IO, also for a larger file and for one that is no regular file
 */
export function readFileIfPresent(path: string, maxBytes = MAX_FILE_BYTES): Buffer | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return null;
    throwIo(`read ${path}`, error);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > maxBytes) {
      throwIo(`read ${path}`, new Error(`expected a regular file of at most ${maxBytes} bytes`));
    }
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Replaces a file in one step: after a crash at any moment there is the old content or the new, whole.
 *
 * @throws STORE_FULL, IO; the old file is then untouched
 */
export function writeFileAtomic(path: string, content: string | Uint8Array, mode: number): void {
  publish(path, { content, mode }, (temporary) => renameSync(temporary, path));
}

/**
 * Makes a file where there is none, in one step, and never replaces one: of two processes that make the same
 * file, one is refused. `record` is called when the content is on disk and only the name is missing: what it
 * commits may be left without the file by a crash, never the file without it.
 *
 * @throws STORE_FULL, IO (also when something has that name), and what `record` throws; no file is then made
 */
export function createFileAtomic(
  path: string,
  { content, mode }: { content: string | Uint8Array; mode: number },
  record: () => void,
): void {
  refuseExisting(path);
  publish(path, { content, mode }, (temporary) => {
    record();
    try {
      // Unlike a rename, a link does not replace what was put there meanwhile.
      linkSync(temporary, path);
    } catch (error) {
      throw isErrno(error, 'EEXIST') ? alreadyThere(path) : error;
    }
    rmSync(temporary);
  });
}

/** @throws IO when something has that name, a link that leads nowhere too */
export function refuseExisting(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw alreadyThere(path);
}

function alreadyThere(path: string): AxError {
  return new AxError('IO', `cannot make ${path}: expected no file of that name, found one`, {
    hint: 'choose another name, or move that file away',
  });
}

/** Writes the content to a temporary file beside `path` and hands it to `put`, which gives it its name. */
function publish(
  path: string,
  { content, mode }: { content: string | Uint8Array; mode: number },
  put: (temporary: string) => void,
): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    rmSync(temporary, { force: true });
    const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    put(temporary);
    syncDirectory(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    if (isAxError(error)) throw error;
    throwIo(`write ${path}`, error);
  }
}

/** A rename is durable only once its folder is. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
