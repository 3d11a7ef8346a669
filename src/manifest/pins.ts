import { AxError } from '../errors.ts';
import { guardsOf, scriptsOf } from './guards/guard.ts';
import type { Dependency, DependencyDigest, Manifest, Task } from './schema.ts';

/** One name for a dependency wherever it is mentioned. */
export function dependencyKey(dependency: Dependency): string {
  return 'executable' in dependency ? `executable:${dependency.executable}` : `path:${dependency.path}`;
}

/** Everything that has to be as it was signed for a task to start: what it lists, and the scripts that guard it. */
export function dependenciesOf(manifest: Pick<Manifest, 'policy'>, task: Task): Dependency[] {
  const scripts = scriptsOf(guardsOf(manifest, task)).map((path) => ({ path }));
  const all = [...(task.dependencies ?? []), ...scripts];
  return [...new Map(all.map((dependency) => [dependencyKey(dependency), dependency])).values()];
}

/** The digests that a task depends on. @throws MANIFEST_INVALID where one of them was not signed */
export function pinnedFor(manifest: Manifest, task: Task): DependencyDigest[] {
  const byKey = new Map(
    manifest.dependencies.map((digest) => [
      dependencyKey(digest.kind === 'executable' ? { executable: digest.path } : { path: digest.path }),
      digest,
    ]),
  );
  return dependenciesOf(manifest, task).map((dependency) => {
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
