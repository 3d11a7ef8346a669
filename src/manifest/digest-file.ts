import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

export interface FileDigest {
  readonly sha256: string;
  readonly size: number;
  readonly mode: '100644' | '100755';
  /**
   * Which file this was and when it last changed (device, inode, mtime, ctime). Only the kernel sets a ctime,
   * so a file that was swapped and put back has the same digest and another identity.
   */
  readonly identity: string;
}

const BLOCK = 1024 * 1024;

/**
 * Hashes a regular file through one descriptor, so that type, mode, size and content are of the same file.
 *
 * The mode is git's: executable by its owner or not. The other bits differ between honest checkouts.
 *
 * @throws the operating system's error; ELOOP for a symbolic link; Error for a special file
 */
export function digestFile(path: string): FileDigest {
  // O_NONBLOCK: opening a FIFO that nobody writes to must not hang.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (!stat.isFile()) throw new NotAFileError('a special file');
    if ((stat.mode & 0o7000n) !== 0n) throw new NotAFileError('a file with setuid, setgid or sticky bit');
    const hash = createHash('sha256');
    const block = Buffer.allocUnsafe(Math.min(BLOCK, Math.max(1, Number(stat.size))));
    let size = 0;
    for (let read = readSync(fd, block); read > 0; read = readSync(fd, block)) {
      hash.update(block.subarray(0, read));
      size += read;
    }
    return {
      sha256: hash.digest('hex'),
      size,
      mode: (stat.mode & 0o100n) === 0n ? '100644' : '100755',
      identity: `${stat.dev}:${stat.ino}:${stat.mtimeNs}:${stat.ctimeNs}`,
    };
  } finally {
    closeSync(fd);
  }
}

/** Something that cannot be pinned by a digest; the message says what was found. */
export class NotAFileError extends Error {}
