import { statfsSync } from 'node:fs';
import { AxError } from '../errors.ts';
import { throwIo } from './files.ts';

/** More than the largest receipt with its events, twice over: once in the journal, once in the database. */
const NEEDED_BYTES = 8 * 1024 * 1024;

/**
 * Refuses to start what could not be recorded to its end.
 *
 * @throws STORE_FULL, IO
 */
export function requireSpace(directory: string): void {
  let free: number;
  try {
    const { bavail, bsize } = statfsSync(directory);
    free = bavail * bsize;
  } catch (error) {
    throwIo(`see how much space ${directory} has`, error);
  }
  if (free < NEEDED_BYTES) {
    throw new AxError(
      'STORE_FULL',
      `${directory}: expected ${NEEDED_BYTES} bytes of free space for evidence, found ${free}`,
      { hint: 'free some space, or choose another place with --store; nothing was started' },
    );
  }
}
