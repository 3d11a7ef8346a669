import { globSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { AxError } from '../errors.ts';
import { digestFile } from '../manifest/digest-file.ts';
import { throwIo } from '../store/files.ts';

/** A file and its digest, as in-toto names them (ResourceDescriptor). */
export interface Artifact {
  readonly name: string;
  readonly digest: { readonly sha256: string };
}

const MAX_ARTIFACTS = 10_000;

/**
 * Digests the files that match a task's `inputs` (materials) or `outputs` (products), sorted by name. Links
 * and special files are passed over: their content is not theirs.
 *
 * @throws INPUT_INVALID when more than 10,000 files match, IO when one cannot be read
 */
export function digestArtifacts(patterns: readonly string[], root: string): Artifact[] {
  const names = new Set<string>();
  for (const name of globSync([...patterns], { cwd: root })) {
    if (lstatSync(join(root, name)).isFile()) names.add(name);
    if (names.size > MAX_ARTIFACTS) {
      throw new AxError(
        'INPUT_INVALID',
        `expected at most ${MAX_ARTIFACTS} files, found more for ${patterns.join(' ')}`,
        {
          hint: 'narrow `inputs` or `outputs` in ax.yaml, then: ax sign',
        },
      );
    }
  }
  return [...names].sort().map((name) => ({ name, digest: { sha256: digestArtifact(join(root, name)) } }));
}

function digestArtifact(path: string): string {
  try {
    return digestFile(path).sha256;
  } catch (error) {
    throwIo(`read ${path}`, error);
  }
}
