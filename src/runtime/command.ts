import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { AxError } from '../errors.ts';
import {
  checkDependencies,
  type DependencyFinding,
  type DependencyRoots,
  requireDependencies,
} from '../manifest/dependencies.ts';
import { findExecutable, findRealExecutable } from '../manifest/executable.ts';
import type { Plan } from './plan.ts';

declare const ready: unique symbol;

/** A command whose dependencies were checked a moment ago. Only `readyCommand` makes one; only it is executed. */
export interface ReadyCommand {
  /** The absolute path of what is executed. */
  readonly file: string;
  /** What the program sees as its own name. */
  readonly argv0: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly findings: readonly DependencyFinding[];
  readonly [ready]: true;
}

/**
 * Checks every dependency of the plan and finds the file to execute.
 *
 * A command that is pinned as an executable is executed by the resolved path that was hashed, not looked up a
 * second time. Between the hash and the start there is a moment that only a sandbox can close; a swap in it is
 * found by the check after the run (spec: security, T6).
 *
 * @throws DEPENDENCY_CHANGED, EXECUTABLE_MISSING
 */
export function readyCommand(plan: Plan, argv: readonly string[], roots: DependencyRoots): ReadyCommand {
  const findings = checkDependencies(plan.pinned, roots);
  requireDependencies(findings);
  const [name = '', ...args] = argv;
  const command = {
    file: locate(name, plan, roots),
    argv0: name,
    args,
    cwd: plan.cwd,
    env: plan.env,
    findings,
  };
  return command as unknown as ReadyCommand;
}

function locate(name: string, plan: Plan, { searchPath }: DependencyRoots): string {
  if (name.includes('/')) {
    const file = isAbsolute(name) ? name : resolve(plan.cwd, name);
    if (isExecutable(file)) return file;
    throw missing(plan, `expected ${name} to be an executable file`, `chmod +x ${name}, then: ax sign`);
  }
  const pinned = plan.pinned.some((entry) => entry.kind === 'executable' && entry.path === name);
  // The digest is of what the search path leads to; a PATH of the task's own may lead elsewhere.
  const found = pinned ? findRealExecutable(name, searchPath) : findExecutable(name, plan.env.PATH ?? '');
  if (found !== null) return found;
  throw missing(plan, `no command "${name}" on PATH`, `install ${name}, or put it on PATH`);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function missing(plan: Plan, message: string, hint: string): AxError {
  return new AxError('EXECUTABLE_MISSING', `task ${plan.taskId}: ${message}`, { hint });
}
