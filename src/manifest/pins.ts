import { AxError } from '../errors.ts';
import type { Dependency, DependencyDigest, Manifest, Task } from './schema.ts';

/** One name for a dependency wherever it is mentioned. */
export function dependencyKey(dependency: Dependency): string {
  return 'executable' in dependency ? `executable:${dependency.executable}` : `path:${dependency.path}`;
}

/** The digests that a task depends on. */
export function pinnedFor(manifest: Manifest, task: Task): DependencyDigest[] {
  const byKey = new Map(
    manifest.dependencies.map((digest) => [
      dependencyKey(digest.kind === 'executable' ? { executable: digest.path } : { path: digest.path }),
      digest,
    ]),
  );
  return (task.dependencies ?? []).map((dependency) => {
    const digest = byKey.get(dependencyKey(dependency));
    if (digest === undefined) {
      throw new AxError(
        'MANIFEST_INVALID',
        `expected a digest for ${dependencyKey(dependency)}, found none in ax.lock`,
        { hint: 'ax sign' },
      );
    }
    return digest;
  });
}
