import { realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import { AxError } from '../errors.ts';
import { absoluteEntries } from '../manifest/executable.ts';
import { taskNamed } from '../manifest/graph.ts';
import { pinnedFor } from '../manifest/pins.ts';
import { parameterVariable } from '../manifest/rules.ts';
import type { DependencyDigest, Task } from '../manifest/schema.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import { sha256Canonical } from '../security/canonical.ts';
import type { Secret } from '../security/mask.ts';
import type { Draft } from './draft.ts';
import type { Isolate } from './isolate/isolate.ts';
import type { HydrateJob } from './isolate/job.ts';
import { TRACEPARENT } from './traceparent.ts';

/** Everything that is needed to run one task, worked out from verified bytes. */
export interface Plan {
  readonly taskId: string;
  readonly task: Task;
  readonly argv: readonly string[];
  readonly rollback: readonly string[] | null;
  /** Every parameter of the task, with the value that was given or its default. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Absolute; inside the project with all links resolved. */
  readonly cwd: string;
  /** The whole environment of the child: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: readonly Secret[];
  /** IP addresses are removed from what is kept. */
  readonly scrubsAddresses: boolean;
  readonly pinned: readonly DependencyDigest[];
  readonly timeoutMs: number;
  readonly graceMs: number;
  readonly retries: { readonly max: number; readonly backoffMs: number; readonly maxBackoffMs: number };
  /** SHA-256, hex, over the canonical JSON of inputs and arguments: what this plan was given. */
  readonly inputsSha256: string;
}

export interface PlanRoots {
  /** The project's folder, all links resolved. */
  readonly root: string;
  /** ax's own environment, from which the task gets what it may have. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** As much of a plan as guards are asked about and people approve: nothing of this machine, and no secret. */
export type GuardedTask = Pick<
  Plan,
  'taskId' | 'task' | 'argv' | 'inputs' | 'inputsSha256' | 'pinned' | 'secrets' | 'scrubsAddresses'
>;

/** A draft with what the manifest says of its task. @throws MANIFEST_INVALID */
export function guardedTask(
  { manifest }: VerifiedManifest,
  { draft, args }: { readonly draft: Draft; readonly args: readonly string[] },
): GuardedTask {
  const task = taskNamed(manifest.tasks, draft.taskId);
  return {
    ...draft,
    task,
    secrets: [],
    scrubsAddresses: manifest.policy.scrub?.ipAddresses ?? false,
    pinned: pinnedFor(manifest, task),
    inputsSha256: sha256Canonical({ inputs: draft.inputs, args }),
  };
}

/** Fills in one task in the isolate, as far as guards and people look. @throws TASK_UNKNOWN, INPUT_INVALID, ISOLATE_FAILED */
export async function hydrateOne(
  isolate: Isolate,
  verified: VerifiedManifest,
  { taskId, inputs, args }: Pick<HydrateJob, 'inputs'> & HydrateJob['tasks'][number],
): Promise<GuardedTask> {
  const tasks = [{ taskId, args }];
  const [draft] = await isolate.hydrate({ payload: verified.payload, tasks, inputs, timeoutMs: undefined });
  if (draft === undefined) throw new AxError('INTERNAL', `task ${taskId}: expected a draft, found none`);
  return guardedTask(verified, { draft, args });
}

/**
 * Makes a plan of a draft: what the isolate worked out from the verified bytes, with the folder, the environment and
 * the secrets of this machine, which the isolate never gets to see.
 *
 * @param args what stands after `--` for this task, as it is in the draft's argv.
 * @throws SECRET_MISSING, MANIFEST_INVALID
 */
export function completePlan(
  verified: VerifiedManifest,
  { draft, args }: { readonly draft: Draft; readonly args: readonly string[] },
  roots: PlanRoots,
): Plan {
  const guarded = guardedTask(verified, { draft, args });
  const { task } = guarded;
  const secrets = (task.secrets ?? []).map((name) => ({ name, value: requiredSecret(name, draft, roots) }));
  return {
    ...draft,
    ...guarded,
    cwd: resolveCwd(task.cwd ?? '.', roots.root),
    env: environmentOf(task, { inputs: draft.inputs, secrets, roots }),
    secrets,
  };
}

function requiredSecret(name: string, draft: Draft, roots: PlanRoots): string {
  const value = roots.environment[name];
  if (value === undefined || value === '') {
    throw new AxError(
      'SECRET_MISSING',
      `task ${draft.taskId}: expected the secret ${name} in the environment`,
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
  from: { inputs: Draft['inputs']; secrets: readonly Secret[]; roots: PlanRoots },
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
  for (const [name, value] of Object.entries(from.inputs)) env[parameterVariable(name)] = value;
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
