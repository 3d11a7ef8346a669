import { realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import { AxError } from '../errors.ts';
import { absoluteEntries } from '../manifest/executable.ts';
import { taskNamed } from '../manifest/graph.ts';
import { pinnedFor } from '../manifest/pins.ts';
import { PLACEHOLDER, parameterVariable, wholeMatch } from '../manifest/rules.ts';
import type { DependencyDigest, Task } from '../manifest/schema.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import { sha256Canonical } from '../security/canonical.ts';
import { parseDuration } from '../security/duration.ts';
import type { Secret } from '../security/mask.ts';
import { TRACEPARENT } from './traceparent.ts';

/** Everything that is needed to run one task, worked out from verified bytes. */
export interface Plan {
  readonly taskId: string;
  readonly task: Task;
  readonly argv: readonly string[];
  readonly rollback: readonly string[] | null;
  /** Absolute; inside the project with all links resolved. */
  readonly cwd: string;
  /** The whole environment of the child: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: readonly Secret[];
  readonly pinned: readonly DependencyDigest[];
  readonly timeoutMs: number;
  readonly graceMs: number;
  readonly retries: { readonly max: number; readonly backoffMs: number; readonly maxBackoffMs: number };
  /** SHA-256, hex, over the canonical JSON of inputs and arguments: what this plan was given. */
  readonly inputsSha256: string;
}

export interface PlanRequest {
  readonly taskId: string;
  /** `--input name=value`, for every task that has a parameter of that name. */
  readonly inputs: ReadonlyMap<string, string>;
  /** What stands after `--`. */
  readonly args: readonly string[];
  /** `--timeout`, which may shorten what was signed. */
  readonly timeoutMs: number | undefined;
}

export interface PlanRoots {
  /** The project's folder, all links resolved. */
  readonly root: string;
  /** ax's own environment, from which the task gets what it may have. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const DEFAULT_TIMEOUT_MS = 60 * 60 * 1000;
const DEFAULT_GRACE_MS = 10_000;
const DEFAULT_BACKOFF_MS = 1000;
const DEFAULT_MAX_BACKOFF_MS = 30_000;
const MAX_INPUT_CHARACTERS = 4000;

/**
 * Hydrates a task: parameters filled in, environment chosen, times resolved.
 *
 * A parameter's value takes the place of `{{name}}` inside one argument, which stays one argument; it also
 * reaches the task as AX_INPUT_<NAME>. What the signed task did not foresee is refused.
 *
 * @throws TASK_UNKNOWN, INPUT_INVALID, SECRET_MISSING, MANIFEST_INVALID
 */
export function hydratePlan(verified: VerifiedManifest, request: PlanRequest, roots: PlanRoots): Plan {
  const task = taskNamed(verified.manifest.tasks, request.taskId);
  const inputs = resolveInputs(request, task);
  const fill = (word: string): string =>
    word.replace(PLACEHOLDER, (_, name: string) => inputs.get(name) ?? '');
  const signed = task.shell === undefined ? (task.run ?? []).map(fill) : ['/bin/sh', '-c', task.shell];
  const secrets = (task.secrets ?? []).map((name) => ({ name, value: requiredSecret(name, request, roots) }));
  return {
    taskId: request.taskId,
    task,
    argv: [...signed, ...checkArgs(request, task)],
    rollback: task.rollback?.map(fill) ?? null,
    cwd: resolveCwd(task.cwd ?? '.', roots.root),
    env: environmentOf(task, { inputs, secrets, roots }),
    secrets,
    pinned: pinnedFor(verified.manifest, task),
    timeoutMs: resolveTimeout(request, task),
    graceMs: parseDuration(task.grace ?? '') ?? DEFAULT_GRACE_MS,
    retries: {
      max: task.retries?.max ?? 0,
      backoffMs: parseDuration(task.retries?.backoff ?? '') ?? DEFAULT_BACKOFF_MS,
      maxBackoffMs: parseDuration(task.retries?.maxBackoff ?? '') ?? DEFAULT_MAX_BACKOFF_MS,
    },
    inputsSha256: sha256Canonical({ inputs: Object.fromEntries(inputs), args: request.args }),
  };
}

function resolveInputs(request: PlanRequest, task: Task): Map<string, string> {
  return new Map(
    Object.entries(task.params ?? {}).map(([name, { pattern, default: fallback }]) => {
      const value = request.inputs.get(name) ?? fallback;
      const where = `task ${request.taskId}, input ${name}`;
      if (value === undefined) throw invalidInput(`${where}: expected a value, found none`, name);
      if (value.length > MAX_INPUT_CHARACTERS) {
        throw invalidInput(`${where}: expected at most ${MAX_INPUT_CHARACTERS} characters`, name);
      }
      if (/\p{Cc}/u.test(value)) throw invalidInput(`${where}: expected no control characters`, name);
      if (pattern !== undefined && !wholeMatch(pattern, value)) {
        throw invalidInput(`${where}: expected a match of ${pattern}, found ${JSON.stringify(value)}`, name);
      }
      return [name, value];
    }),
  );
}

function invalidInput(message: string, name: string): AxError {
  return new AxError('INPUT_INVALID', message, { hint: `--input ${name}=VALUE; ax tasks shows what fits` });
}

function checkArgs(request: PlanRequest, task: Task): readonly string[] {
  if (request.args.length === 0) return [];
  if (task.args === undefined) {
    throw new AxError('INPUT_INVALID', `task ${request.taskId}: expected no arguments after --, found some`, {
      hint: 'what runs is what was signed; let the task take them with `args: { pattern: … }`, then: ax sign',
    });
  }
  for (const arg of request.args) {
    if (arg.length > MAX_INPUT_CHARACTERS || /\p{Cc}/u.test(arg) || !wholeMatch(task.args.pattern, arg)) {
      throw new AxError(
        'INPUT_INVALID',
        `task ${request.taskId}: expected arguments that match ${task.args.pattern}, found ${JSON.stringify(arg.slice(0, 80))}`,
        { hint: 'change the argument, or the signed pattern' },
      );
    }
  }
  return request.args;
}

function requiredSecret(name: string, request: PlanRequest, roots: PlanRoots): string {
  const value = roots.environment[name];
  if (value === undefined || value === '') {
    throw new AxError(
      'SECRET_MISSING',
      `task ${request.taskId}: expected the secret ${name} in the environment`,
      {
        hint: `export ${name}=…`,
      },
    );
  }
  return value;
}

/**
 * Built from nothing: a search path without relative entries, what the task names, and its inputs. A null
 * prototype keeps a polluted Object.prototype from reaching the child.
 */
function environmentOf(
  task: Task,
  from: { inputs: ReadonlyMap<string, string>; secrets: readonly Secret[]; roots: PlanRoots },
): Record<string, string> {
  const env: Record<string, string> = Object.create(null);
  env.PATH = absoluteEntries(from.roots.environment.PATH ?? '').join(':');
  for (const name of task.passEnv ?? []) {
    // Of this one the task gets the run's own, which there is none of yet.
    const value = name === TRACEPARENT ? '' : from.roots.environment[name];
    if (value !== undefined) env[name] = value;
  }
  for (const [name, value] of Object.entries(task.env ?? {})) env[name] = value;
  for (const { name, value } of from.secrets) env[name] = value;
  for (const [name, value] of from.inputs) env[parameterVariable(name)] = value;
  return env;
}

function resolveCwd(cwd: string, root: string): string {
  let real: string;
  try {
    real = realpathSync(join(root, cwd));
  } catch (error) {
    throw new AxError('MANIFEST_INVALID', `cwd ${cwd}: expected a folder of the project, found none`, {
      hint: `make ${cwd}, or correct cwd in ax.yaml and: ax sign`,
      cause: error,
    });
  }
  if (real !== root && !real.startsWith(root + sep)) {
    throw new AxError('MANIFEST_INVALID', `cwd ${cwd}: expected a folder inside the project, found ${real}`, {
      hint: 'replace the link that leads out of the project',
    });
  }
  return real;
}

function resolveTimeout(request: PlanRequest, task: Task): number {
  const signed = parseDuration(task.timeout ?? '') ?? DEFAULT_TIMEOUT_MS;
  if (request.timeoutMs === undefined) return signed;
  if (request.timeoutMs > signed) {
    throw new AxError(
      'INPUT_INVALID',
      `task ${request.taskId}: --timeout may shorten the signed ${signed} ms only`,
      {
        hint: 'raise `timeout:` in ax.yaml, then: ax sign',
      },
    );
  }
  return request.timeoutMs;
}
