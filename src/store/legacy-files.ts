import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readFileIfPresent, throwIo } from './files.ts';

/** More than any receipt of that store has; its output was cut. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Why a file is not looked at. */
export type PassedOver = 'not-a-file' | 'too-large';

/**
 * The names of a folder that may be receipts: `.json`, hidden ones left out, sorted. What is in folders below it is
 * another store's.
 *
 * @throws IO
 */
export function legacyFileNames(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
      .sort();
  } catch (error) {
    throwIo(`read ${folder}`, error);
  }
}

/**
 * The bytes of one of them. Links are not followed: what they lead to is not of that store.
 *
 * @throws IO
 */
export function readLegacyFile(folder: string, name: string): Buffer | PassedOver {
  const path = join(folder, name);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() !== true) return 'not-a-file';
  if (stat.size > MAX_BYTES) return 'too-large';
  return readFileIfPresent(path, MAX_BYTES) ?? 'not-a-file';
}
