import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Hex } from '../security/digest.ts';
import { ensurePrivateDirectory, isErrno, syncDirectory, throwIo } from './files.ts';

/**
 * The highest manifest version this machine has accepted for each project, so that an older one is refused
 * even though its signature still holds (spec: formats, "version only rises").
 *
 * One empty file per version under a folder per project; the mark is the highest name. Two processes that
 * raise it at once both leave their file, so the mark cannot fall.
 */

const NAME = /^[1-9][0-9]{0,15}$/;

/** @returns 0 when no version of the project has been seen. @throws IO */
export function highestVersionSeen(versionsDir: string, project: string): number {
  return Math.max(0, ...versionsIn(folderOf(versionsDir, project)));
}

/**
 * Remembers a version; durable on return. Lower ones are forgotten.
 *
 * @throws STORE_FULL, IO, KEY_PERMISSIONS
 */
export function rememberVersion(
  versionsDir: string,
  seen: { project: string; version: number; uid: number },
): void {
  const folder = folderOf(versionsDir, seen.project);
  const known = versionsIn(folder);
  if (known.some((version) => version >= seen.version)) return;
  ensurePrivateDirectory(versionsDir, seen.uid);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, String(seen.version)), '', { mode: 0o600 });
    syncDirectory(folder);
    syncDirectory(versionsDir);
    for (const version of known) rmSync(join(folder, String(version)), { force: true });
  } catch (error) {
    throwIo(`remember version ${seen.version} of ${seen.project} in ${folder}`, error);
  }
}

/** Project names hold slashes; a digest is a safe folder name for any of them. */
function folderOf(versionsDir: string, project: string): string {
  return join(versionsDir, sha256Hex(project));
}

function versionsIn(folder: string): number[] {
  try {
    return readdirSync(folder)
      .filter((name) => NAME.test(name))
      .map(Number);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throwIo(`read the versions seen in ${folder}`, error);
  }
}
