import type { Context } from '../context.ts';
import { AxError, isAxError } from '../errors.ts';
import { checkDependencies, type DependencyFinding, requireDependencies } from '../manifest/dependencies.ts';
import { orderTasks } from '../manifest/graph.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import type { Isolate } from '../runtime/isolate/isolate.ts';
import { completePlan, type Plan } from '../runtime/plan.ts';
import type { Run } from '../store/runs.ts';
import type { Request } from './run-request.ts';

export interface PrepareInput {
  readonly context: Context;
  readonly isolate: Isolate;
  readonly root: string;
  readonly request: Request;
  readonly retryOf: Run | null;
}

export interface Prepared {
  /** Each after the ones it needs. */
  readonly plans: readonly Plan[];
  readonly checked: ReadonlyMap<string, readonly DependencyFinding[]>;
}

/** Why there is nothing to run, and what had been found of the dependencies by then. */
export interface Unprepared {
  readonly error: AxError;
  readonly findings: readonly DependencyFinding[];
}

/** Plans for the tasks and all they need, every dependency checked; or why there can be none. */
export async function prepare(
  { context, isolate, root, request, retryOf }: PrepareInput,
  verified: VerifiedManifest,
): Promise<Prepared | Unprepared> {
  const { tasks } = verified.manifest;
  // What a retried task needs has run before it, and is not run again.
  const order = retryOf === null ? orderTasks(tasks, request.tasks) : request.tasks;
  checkInputNames(request, order, verified);
  const roots = { root, searchPath: context.env.PATH ?? '' };
  const checked = new Map<string, readonly DependencyFinding[]>();
  try {
    const asked = order.map((taskId) => ({
      taskId,
      args: request.tasks.includes(taskId) ? request.args : [],
    }));
    const { inputs, timeoutMs } = request;
    const drafts = await isolate.hydrate({ payload: verified.payload, tasks: asked, inputs, timeoutMs });
    const plans = drafts.map((draft, at) =>
      completePlan(verified, { draft, args: asked[at]?.args ?? [] }, { root, environment: context.env }),
    );
    if (retryOf !== null) requireSameInputs(plans, retryOf);
    for (const plan of plans) checked.set(plan.taskId, checkDependencies(plan.pinned, roots));
    requireDependencies([...checked.values()].flat());
    return { plans, checked };
  } catch (error) {
    if (isAxError(error)) return { error, findings: [...checked.values()].flat() };
    throw error;
  }
}

/** A retry does again what was asked for; anything else is a new run. */
function requireSameInputs([plan]: readonly Plan[], run: Run): void {
  if (plan?.inputsSha256 === run.inputsSha256) return;
  throw new AxError(
    'INPUT_INVALID',
    `run ${run.id}: expected the inputs and arguments that it had at first`,
    {
      hint: `give them again with --input and --, or start anew: ax run ${run.task}`,
    },
  );
}

function checkInputNames(request: Request, order: readonly string[], { manifest }: VerifiedManifest): void {
  for (const name of request.inputs.keys()) {
    if (order.some((taskId) => Object.hasOwn(manifest.tasks[taskId]?.params ?? {}, name))) continue;
    throw new AxError('USAGE', `--input ${name}: none of these tasks has a parameter of that name`, {
      hint: 'ax tasks',
    });
  }
}
