import { resolve } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { readFileIfPresent } from '../store/files.ts';

/** The content of a file that the command line names. @throws IO */
export function readNamedFile(context: Context, file: string): Buffer {
  const bytes = readFileIfPresent(resolve(context.cwd, file));
  if (bytes !== null) return bytes;
  throw new AxError('IO', `cannot read ${file}: no such file`, { hint: 'check the path' });
}
