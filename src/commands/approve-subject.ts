import { AxError } from '../errors.ts';
import type { ApprovalSubject } from '../manifest/approval.ts';
import { taskNamed } from '../manifest/graph.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import { hydrateOne } from '../runtime/plan.ts';
import { isUlidPrefix } from '../security/ulid.ts';
import { findRun, type Run } from '../store/runs.ts';
import type { Request } from './run-request.ts';
import { type Session, withExistingStore } from './session.ts';
import { withIsolate } from './with-isolate.ts';

/** What would be approved, and what an approver is shown of it. */
export interface Proposal {
  readonly subject: ApprovalSubject;
  readonly argv: readonly string[];
  readonly inputs: Readonly<Record<string, string>>;
  /** The run that is to be approved, where it was named by its id. */
  readonly runId: string | null;
}

/** Shorter text is more likely a mistyped task than the beginning of an id. */
const MIN_RUN_PREFIX = 10;

/**
 * The task of that name with these inputs, or else the run of that id with what it was given.
 *
 * @throws TASK_UNKNOWN, RUN_UNKNOWN, ID_AMBIGUOUS, INPUT_INVALID, USAGE
 * @throws APPROVAL_REFUSED for a run of another manifest, and for one that never had inputs
 */
export async function proposalFor(
  session: Session,
  verified: VerifiedManifest,
  { target, request }: { target: string; request: Request },
): Promise<Proposal> {
  const { tasks } = verified.manifest;
  const id = target.toUpperCase();
  if (Object.hasOwn(tasks, target) || target.length < MIN_RUN_PREFIX || !isUlidPrefix(id)) {
    return proposalOf(verified, target, await draft(verified, target, request));
  }
  const run = await withExistingStore(session, null, (database) => findRun(database, id));
  if (run === null) {
    throw new AxError('RUN_UNKNOWN', `no run "${id}": there is no store yet`, { hint: 'ax tasks' });
  }
  requireOfManifest(run, verified);
  return { ...(await proposalOfRun(verified, { run, request })), runId: run.id };
}

async function proposalOfRun(
  verified: VerifiedManifest,
  { run, request }: { run: Run; request: Request },
): Promise<Proposal> {
  const found = await draft(verified, run.task, request);
  if (found.inputsSha256 === run.inputsSha256) return proposalOf(verified, run.task, found);
  // The store has their digest alone, and nobody approves what they have not seen.
  throw new AxError('INPUT_INVALID', `run ${run.id}: expected the inputs and arguments that it had`, {
    hint: `give them with --input and --, or approve others: ax approve ${run.task}`,
  });
}

function requireOfManifest(run: Run, { digest, manifest }: VerifiedManifest): void {
  const hint = `approve what is signed now: ax approve ${run.task}`;
  if (run.inputsSha256 === '') {
    throw new AxError('APPROVAL_REFUSED', `run ${run.id} of ${run.task} was refused before it had inputs`, {
      hint,
    });
  }
  if (run.manifestDigest !== digest || run.project !== manifest.project) {
    const expected = `expected version ${manifest.version} of ${manifest.project}, which is signed here`;
    throw new AxError(
      'APPROVAL_REFUSED',
      `run ${run.id} of ${run.task}: ${expected}, found version ${run.manifestVersion} of ${run.project}`,
      { hint },
    );
  }
}

interface Draft {
  readonly argv: readonly string[];
  readonly inputs: Readonly<Record<string, string>>;
  readonly inputsSha256: string;
}

function proposalOf(
  verified: VerifiedManifest,
  task: string,
  { argv, inputs, inputsSha256 }: Draft,
): Proposal {
  const { project } = verified.manifest;
  return {
    subject: { project, manifestDigest: verified.digest, task, inputsSha256 },
    argv,
    inputs,
    runId: null,
  };
}

/** What a run of the task would be given, its signed defaults included. @throws TASK_UNKNOWN, INPUT_INVALID */
async function draft(verified: VerifiedManifest, taskId: string, { inputs, args }: Request): Promise<Draft> {
  const task = taskNamed(verified.manifest.tasks, taskId);
  const names = Object.keys(task.params ?? {});
  requireParameters(taskId, names, inputs);
  return withIsolate((isolate) => hydrateOne(isolate, verified, { taskId, inputs, args }));
}

/** An input that only another task takes would not be part of what is approved, and so is not passed over. */
function requireParameters(
  taskId: string,
  names: readonly string[],
  inputs: ReadonlyMap<string, string>,
): void {
  for (const name of inputs.keys()) {
    if (names.includes(name)) continue;
    throw new AxError('USAGE', `--input ${name}: task ${taskId} has no parameter of that name`, {
      hint: 'ax tasks',
    });
  }
}
