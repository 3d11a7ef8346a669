import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

/**
 * Where a command name leads on this machine: the first executable file of that name in a folder of the search
 * path. Relative and empty entries are passed over: they would look a command up in whatever folder the task
 * happens to run in.
 *
 * @returns null when there is none
 */
export function findExecutable(name: string, searchPath: string): string | null {
  for (const folder of absoluteEntries(searchPath)) {
    const candidate = join(folder, name);
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return null;
}

/** The same with every link resolved: the file that is hashed and the file that is executed. */
export function findRealExecutable(name: string, searchPath: string): string | null {
  const found = findExecutable(name, searchPath);
  return found === null ? null : realpathSync(found);
}

export function absoluteEntries(searchPath: string): string[] {
  return searchPath.split(':').filter((entry) => isAbsolute(entry));
}
