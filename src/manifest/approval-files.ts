import { resolve } from 'node:path';
import { AxError, isAxError } from '../errors.ts';
import { readFileIfPresent } from '../store/files.ts';
import { MAX_APPROVAL_BYTES } from './approval.ts';

const MAX_FILES = 64;
const HINT = 'give the path of a file that `ax approve` made';

export interface ApprovalFile {
  /** The path as it was given: what the approval is called in a refusal. */
  readonly source: string;
  readonly bytes: Buffer;
}

/**
 * Reads the approvals that a command line names. What is in them is not looked at.
 *
 * @throws USAGE for more than 64 files
 * @throws IO for a file that is missing, cannot be read, is no regular file, or has more than 64 KiB
 */
export function readApprovalFiles(cwd: string, paths: readonly string[]): ApprovalFile[] {
  if (paths.length > MAX_FILES) {
    throw new AxError('USAGE', `expected at most ${MAX_FILES} approvals, found ${paths.length}`, {
      hint: 'give those that are for this run',
    });
  }
  return paths.map((source) => ({ source, bytes: readNamed(resolve(cwd, source), source) }));
}

function readNamed(path: string, source: string): Buffer {
  let bytes: Buffer | null;
  try {
    bytes = readFileIfPresent(path, MAX_APPROVAL_BYTES);
  } catch (error) {
    // The general hint of the edge below is about folders that are to be written to.
    if (isAxError(error, 'IO')) throw new AxError('IO', error.message, { hint: HINT, cause: error });
    throw error;
  }
  if (bytes === null) throw new AxError('IO', `cannot read ${source}: no such file`, { hint: HINT });
  return bytes;
}
