import { posix } from 'node:path';
import { AxError } from '../errors.ts';
import { sha256Hex } from '../security/digest.ts';
import { parseDuration } from '../security/duration.ts';
import { type DependencyRoots, digestDependency } from './dependencies.ts';
import { type Guard, guardsOf, MAX_SCRIPT_BYTES, scriptsOf } from './guards/guard.ts';
import { dependenciesOf, dependencyKey } from './pins.ts';
import { checkTasks } from './rules.ts';
import {
  type Dependency,
  type DependencyDigest,
  MANIFEST_SCHEMA,
  type Manifest,
  manifestSchema,
  type Source,
  type Task,
} from './schema.ts';

export interface CompileInput {
  readonly source: Source;
  readonly sourceBytes: Uint8Array;
  readonly roots: DependencyRoots;
  readonly version: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

const DEFAULT_VALIDITY = '90d';
/** Files that ax itself rewrites: a digest of a folder that holds them would never hold. */
const OWN_FILES = ['ax.lock', '.ax'];

/**
 * Turns `ax.yaml` into the payload to sign: paths normalised, every dependency digested. A command or rollback
 * that is a file of the project is pinned whether or not it is listed: what runs is what was signed.
 *
 * @throws MANIFEST_INVALID, DEPENDENCY_CHANGED
 */
export function compile(input: CompileInput): Manifest {
  const tasks = Object.fromEntries(
    Object.entries(input.source.tasks).map(([name, task]) => [name, normalise(task)]),
  );
  checkTasks(tasks);
  const policy = withNormalScripts(input.source.policy ?? {});
  const digests = new Map<string, DependencyDigest>();
  for (const dependency of Object.values(tasks).flatMap((task) => dependenciesOf({ policy }, task))) {
    const key = dependencyKey(dependency);
    if (!digests.has(key)) digests.set(key, digestDependency(dependency, input.roots).digest);
  }
  for (const task of Object.values(tasks)) requireScripts(scriptsOf(guardsOf({ policy }, task)), digests);
  return manifestSchema.parse({
    schema: MANIFEST_SCHEMA,
    project: input.source.project,
    version: input.version,
    issuedAt: new Date(input.now).toISOString(),
    expiresAt: new Date(
      input.now + (parseDuration(input.source.expires ?? DEFAULT_VALIDITY) ?? 0),
    ).toISOString(),
    source: { path: 'ax.yaml', sha256: sha256Hex(input.sourceBytes) },
    tasks,
    policy,
    dependencies: [...digests.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, digest]) => digest),
  });
}

function normalise(task: Task): Task {
  const cwd = normalPath(task.cwd ?? '.');
  const listed = (task.dependencies ?? []).map((dependency) =>
    'path' in dependency ? { path: normalPath(dependency.path) } : dependency,
  );
  const implied = [task.run, task.rollback].flatMap((argv) => {
    const command = argv?.[0];
    if (command === undefined || !command.includes('/') || command.startsWith('/')) return [];
    return [{ path: normalPath(posix.join(cwd, command)) }];
  });
  const unique = new Map(
    [...listed, ...implied].map((dependency) => [dependencyKey(dependency), dependency]),
  );
  for (const dependency of unique.values()) refuseOwnFiles(dependency);
  const guarded = withNormalScripts(task);
  return unique.size === 0 ? guarded : { ...guarded, dependencies: [...unique.values()] };
}

/** One name for each script, so that it is pinned and read under the same. */
function withNormalScripts<T extends { guards?: Guard[] | undefined }>(guarded: T): T {
  if (guarded.guards === undefined) return guarded;
  const guards = guarded.guards.map((guard) =>
    'script' in guard ? { script: normalPath(guard.script) } : guard,
  );
  for (const path of scriptsOf(guards)) refuseOwnFiles({ path });
  return { ...guarded, guards };
}

function requireScripts(paths: readonly string[], digests: ReadonlyMap<string, DependencyDigest>): void {
  for (const path of paths) {
    const found = digests.get(dependencyKey({ path }));
    if (found?.kind === 'file' && found.size <= MAX_SCRIPT_BYTES) continue;
    throw new AxError(
      'MANIFEST_INVALID',
      `guard script ${path}: expected a file of at most ${MAX_SCRIPT_BYTES} bytes, found ${found?.kind === 'file' ? `${found.size} bytes` : 'a folder'}`,
      { hint: 'name the file that has the guard, then: ax sign' },
    );
  }
}

function normalPath(path: string): string {
  return posix.normalize(path).replace(/(?<=.)\/+$/, '');
}

function refuseOwnFiles(dependency: Dependency): void {
  if (!('path' in dependency)) return;
  const { path } = dependency;
  if (
    path === '.' ||
    path.startsWith('..') ||
    OWN_FILES.some((own) => path === own || path.startsWith(`${own}/`))
  ) {
    throw new AxError(
      'MANIFEST_INVALID',
      `dependency ${path}: expected a file or folder inside the project that does not hold ${OWN_FILES.join(' or ')}`,
      { hint: 'name the folders it needs one by one, then: ax sign' },
    );
  }
}
