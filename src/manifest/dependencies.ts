import { lstatSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { AxError } from '../errors.ts';
import { digestDirectory } from './digest-directory.ts';
import { digestFile, NotAFileError } from './digest-file.ts';
import { findRealExecutable } from './executable.ts';
import type { Dependency, DependencyDigest } from './schema.ts';

/** Where dependencies are looked for: paths below the project's root, executables along the search path. */
export interface DependencyRoots {
  /** The project's folder, all links resolved. */
  readonly root: string;
  readonly searchPath: string;
}

/** What was found of one pinned dependency. */
export interface DependencyFinding {
  readonly pinned: DependencyDigest;
  readonly found: DependencyDigest | null;
  /** Tells the very file that was hashed from one put in its place meanwhile; empty when nothing was found. */
  readonly identity: string;
  /** Why it does not hold; null when it does. */
  readonly problem: string | null;
}

interface Digested {
  readonly digest: DependencyDigest;
  readonly identity: string;
}

/**
 * Digests a dependency as it is now.
 *
 * @throws DEPENDENCY_CHANGED when it is missing, a symbolic link, or something that no digest can pin
 */
export function digestDependency(dependency: Dependency, roots: DependencyRoots): Digested {
  return 'executable' in dependency
    ? digestExecutable(dependency.executable, roots.searchPath)
    : digestPath(dependency.path, roots.root);
}

function digestExecutable(name: string, searchPath: string): Digested {
  const file = findRealExecutable(name, searchPath);
  if (file === null) {
    throw problem(
      `executable ${name}: missing (no such command on PATH)`,
      `install ${name}, or put it on PATH`,
    );
  }
  try {
    const { identity, ...digest } = digestFile(file);
    return { digest: { kind: 'executable', path: name, ...digest }, identity };
  } catch (error) {
    throw problem(`executable ${name}: ${file} cannot be read (${String(error)})`, `check ${file}`, error);
  }
}

function digestPath(path: string, root: string): Digested {
  const absolute = join(root, path);
  try {
    if (lstatSync(absolute).isSymbolicLink()) {
      throw problem(`${path}: found a symbolic link`, 'replace the link by what it points to, then: ax sign');
    }
    if (realpathSync(absolute) !== absolute) {
      throw problem(
        `${path}: found behind a symbolic link (${realpathSync(absolute)})`,
        'name the real path in ax.yaml, then: ax sign',
      );
    }
    if (lstatSync(absolute).isDirectory()) {
      const { identity, ...digest } = digestDirectory(absolute);
      return { digest: { kind: 'directory', path, ...digest, mode: '040000' }, identity };
    }
    const { identity, ...digest } = digestFile(absolute);
    return { digest: { kind: 'file', path, ...digest }, identity };
  } catch (error) {
    if (error instanceof AxError) throw error;
    if (error instanceof NotAFileError) {
      throw problem(`${path}: ${error.message}`, `take it out of ${path}, or pin something narrower`, error);
    }
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      throw problem(`${path}: missing`, `restore ${path}, or take it out of ax.yaml and: ax sign`, error);
    }
    throw problem(`${path}: cannot be read (${String(error)})`, `check the permissions of ${path}`, error);
  }
}

function problem(message: string, hint: string, cause?: unknown): AxError {
  return new AxError('DEPENDENCY_CHANGED', message, { hint, cause });
}

/** Holds every pinned dependency against what is there now; reports all, throws nothing. */
export function checkDependencies(
  pinned: readonly DependencyDigest[],
  roots: DependencyRoots,
): DependencyFinding[] {
  return pinned.map((expected) => {
    const dependency =
      expected.kind === 'executable' ? { executable: expected.path } : { path: expected.path };
    try {
      const { digest, identity } = digestDependency(dependency, roots);
      return { pinned: expected, found: digest, identity, problem: difference(expected, digest) };
    } catch (error) {
      if (!(error instanceof AxError)) throw error;
      return {
        pinned: expected,
        found: null,
        identity: '',
        problem: `${error.message}; signed sha256:${expected.sha256}`,
      };
    }
  });
}

function difference(expected: DependencyDigest, found: DependencyDigest): string | null {
  const name = expected.kind === 'executable' ? `executable ${expected.path}` : expected.path;
  const digests = `signed sha256:${expected.sha256}, found sha256:${found.sha256}`;
  if (found.kind !== expected.kind) {
    return `${name}: signed as a ${expected.kind}, found a ${found.kind}; ${digests}`;
  }
  if (found.sha256 !== expected.sha256) return `${name}: changed; ${digests}`;
  if (found.mode !== expected.mode) return `${name}: signed with mode ${expected.mode}, found ${found.mode}`;
  return null;
}

/**
 * The refusal for findings that do not hold, naming each.
 *
 * @throws DEPENDENCY_CHANGED
 */
export function requireDependencies(findings: readonly DependencyFinding[]): void {
  const problems = findings.flatMap((finding) => finding.problem ?? []);
  if (problems.length > 0) {
    throw new AxError('DEPENDENCY_CHANGED', `not what was signed: ${problems.join('\n')}`, {
      hint: 'look at what changed; if it is meant to be so: ax sign',
    });
  }
}
