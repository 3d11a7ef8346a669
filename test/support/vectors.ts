import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Third-party test data that sits beside the checkout where the project is developed, and is absent from a
 * user's clone. Tests that need it are declared with `describe.skipIf(!haveVectors)`, so their absence shows.
 */
const root = fileURLToPath(new URL('../../../shared/vectors/', import.meta.url));

export const haveVectors = existsSync(root);

/** Where a file or folder of it is. */
export function vectorPath(name: string): string {
  return root + name;
}

export function vectorText(name: string): string {
  return readFileSync(root + name, 'utf8');
}

export function vectorJson<T>(name: string): T {
  return JSON.parse(vectorText(name)) as T;
}

export function vectorLines<T>(name: string): T[] {
  return vectorText(name)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
