import {
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AxError } from '../errors.ts';
import { isErrno, syncDirectory, throwIo } from './files.ts';

/** A file for a user, of any size, that comes into being whole or not at all. */
export interface OutputFile {
  /** @throws STORE_FULL, IO */
  write(bytes: Uint8Array): void;
  /**
   * Makes all that was written durable, and gives it its name.
   *
   * @throws STORE_FULL, IO, also when something has got that name meanwhile and is not to be replaced
   */
  commit(): void;
  /** Leaves nothing behind; after `commit` it does nothing. */
  abandon(): void;
}

/**
 * Begins a file, readable by its owner alone, beside the place where it will stand. What is there is replaced in one
 * step, if `replace` says so; else it is refused, now rather than after the work.
 *
 * @throws IO
 */
export function createOutputFile(path: string, { replace }: { replace: boolean }): OutputFile {
  if (!replace && lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw alreadyThere(path);
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  const fd = attempt(path, () => openSync(temporary, flags, 0o600));
  let open = true;
  const close = () => {
    if (open) closeSync(fd);
    open = false;
  };
  return {
    write: (bytes) =>
      attempt(path, () => {
        for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
      }),
    commit: () =>
      attempt(path, () => {
        fsyncSync(fd);
        close();
        if (replace) renameSync(temporary, path);
        else putInPlace(temporary, path);
        syncDirectory(dirname(path));
      }),
    abandon() {
      close();
      rmSync(temporary, { force: true });
    },
  };
}

/** Unlike a rename, a link does not replace what was put there meanwhile. */
function putInPlace(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    throw isErrno(error, 'EEXIST') ? alreadyThere(path) : error;
  }
  rmSync(temporary);
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof AxError) throw error;
    throwIo(`write ${path}`, error);
  }
}

function alreadyThere(path: string): AxError {
  return new AxError('IO', `cannot write ${path}: expected no file of that name, found one`, {
    hint: 'choose another name, or replace it with --force',
  });
}
