import type { Context } from '../context.ts';
import { AxError, isAxError } from '../errors.ts';
import { checkDependencies, type DependencyFinding, requireDependencies } from '../manifest/dependencies.ts';
import { orderTasks } from '../manifest/graph.ts';
import { taskName } from '../manifest/schema.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import { visible } from '../output/escape.ts';
import { describeError } from '../output/output.ts';
import { createTraceId } from '../runtime/events.ts';
import { hydratePlan, type Plan } from '../runtime/plan.ts';
import type { EvidenceKeys } from '../runtime/receipt.ts';
import { recordRefusal } from '../runtime/refusal.ts';
import { type RunResult, superviseRun } from '../runtime/supervisor.ts';
import { ownIdentity } from '../runtime/supervisor-identity.ts';
import { sha256Hex } from '../security/digest.ts';
import { parseDuration } from '../security/duration.ts';
import type { Database } from '../store/database.ts';
import { sealingRecipients } from '../store/receipt-keys.ts';
import { evidenceKeys, readKeyring } from './keys-access.ts';
import { DRIFT, hasDrifted, type Lock, readLock, verifyLock } from './lock.ts';
import { createRunReporter, resultDocument } from './run-report.ts';
import { type GlobalOptions, openSession, type Session, withStore } from './session.ts';

export interface RunOptions extends GlobalOptions {
  readonly input?: readonly string[];
  readonly jobs?: number;
  readonly keepGoing?: boolean;
  readonly dryRun?: boolean;
  readonly timeout?: string;
  readonly quiet?: boolean;
}

export interface RunArguments {
  readonly tasks: readonly string[];
  /** What stands after `--`. */
  readonly args: readonly string[];
}

/** `ax run`: verify, check, run, leave a receipt. */
export async function run(
  context: Context,
  { tasks, args }: RunArguments,
  options: RunOptions,
): Promise<number> {
  const session = await openSession(context, options);
  const request = parseRequest(tasks, args, options);
  const lock = readLock(session);
  const keyring = readKeyring(session);
  // Before anything is written: with a malformed key or trust, ax leaves no trace and starts nothing.
  sealingRecipients(context, keyring);
  loadTrust(context, session.home);
  return withStore(session, async (database) => {
    const keys = evidenceKeys(session, database, keyring);
    const attempt = { session, database, keys, lock, request, options };
    const verification = await verifyLock(session, lock);
    if (!verification.ok) return refuse(attempt, { error: verification.error, verified: null, findings: [] });
    const { verified } = verification;
    if (hasDrifted(lock, verified.manifest)) session.output.warn(DRIFT);
    const prepared = prepare(attempt, verified);
    if ('error' in prepared) return refuse(attempt, { ...prepared, verified });
    if (options.dryRun === true) return describePlans(session, prepared.plans);
    return execute(attempt, verified, prepared);
  });
}

interface Request {
  readonly tasks: readonly string[];
  readonly args: readonly string[];
  readonly inputs: ReadonlyMap<string, string>;
  readonly timeoutMs: number | undefined;
}

interface Attempted {
  readonly session: Session;
  readonly database: Database;
  readonly keys: EvidenceKeys;
  readonly lock: Lock;
  readonly request: Request;
  readonly options: RunOptions;
}

interface Prepared {
  readonly plans: readonly Plan[];
  readonly checked: ReadonlyMap<string, readonly DependencyFinding[]>;
}

interface Refused {
  readonly error: AxError;
  readonly verified: VerifiedManifest | null;
  readonly findings: readonly DependencyFinding[];
}

function parseRequest(tasks: readonly string[], args: readonly string[], options: RunOptions): Request {
  for (const name of tasks) {
    if (!taskName.safeParse(name).success) {
      throw new AxError('USAGE', `expected a task name, found "${name.slice(0, 80)}"`, { hint: 'ax tasks' });
    }
  }
  const inputs = new Map<string, string>();
  for (const input of options.input ?? []) {
    const separator = input.indexOf('=');
    if (separator < 1) {
      throw new AxError('USAGE', `--input: expected name=value, found "${input.slice(0, 80)}"`, {
        hint: 'ax run <task> --input target=web',
      });
    }
    inputs.set(input.slice(0, separator), input.slice(separator + 1));
  }
  const timeoutMs = options.timeout === undefined ? undefined : parseDuration(options.timeout);
  if (options.timeout !== undefined && timeoutMs === undefined) {
    throw new AxError('USAGE', `--timeout: expected a duration, found "${options.timeout}"`, {
      hint: '--timeout 30s, 10m or 2h',
    });
  }
  return { tasks: [...new Set(tasks)], args, inputs, timeoutMs };
}

/** Plans for the tasks and all they need, every dependency checked; or why there can be none. */
function prepare(
  { session, lock, request }: Attempted,
  verified: VerifiedManifest,
): Prepared | Omit<Refused, 'verified'> {
  const { tasks } = verified.manifest;
  const order = orderTasks(tasks, request.tasks);
  checkInputNames(request, order, verified);
  const roots = { root: lock.root, searchPath: session.context.env.PATH ?? '' };
  const checked = new Map<string, readonly DependencyFinding[]>();
  try {
    const plans = order.map((taskId) =>
      hydratePlan(
        verified,
        {
          taskId,
          inputs: request.inputs,
          args: request.tasks.includes(taskId) ? request.args : [],
          timeoutMs: request.timeoutMs,
        },
        { root: lock.root, environment: session.context.env },
      ),
    );
    for (const plan of plans) checked.set(plan.taskId, checkDependencies(plan.pinned, roots));
    requireDependencies([...checked.values()].flat());
    return { plans, checked };
  } catch (error) {
    if (isAxError(error)) return { error, findings: [...checked.values()].flat() };
    throw error;
  }
}

function checkInputNames(request: Request, order: readonly string[], { manifest }: VerifiedManifest): void {
  for (const name of request.inputs.keys()) {
    if (order.some((taskId) => Object.hasOwn(manifest.tasks[taskId]?.params ?? {}, name))) continue;
    throw new AxError('USAGE', `--input ${name}: none of these tasks has a parameter of that name`, {
      hint: 'ax tasks',
    });
  }
}

async function execute(
  { session, database, keys, lock, options }: Attempted,
  verified: VerifiedManifest,
  { plans, checked }: Prepared,
): Promise<number> {
  const { context, output, settings } = session;
  const reporter = await createRunReporter(context, output, {
    quiet: options.quiet === true,
    several: plans.length > 1,
  });
  const result = await superviseRun(
    {
      ...invocationOf(session, database, keys),
      verified,
      roots: { root: lock.root, searchPath: context.env.PATH ?? '' },
      report: reporter.report,
    },
    {
      plans,
      checked,
      jobs: options.jobs ?? Number(settings.jobs),
      keepGoing: options.keepGoing === true,
    },
  );
  reporter.end(result);
  if (result.error !== null && !output.json) {
    context.stderr.write(`${describeError(result.error, output.errorStyle)}\n`);
  }
  return result.exitCode;
}

function invocationOf({ context }: Session, database: Database, keys: EvidenceKeys) {
  const supervisor = ownIdentity(context);
  return { context, database, keys, traceId: createTraceId(context.randomBytes), supervisor };
}

/** Records the refusal of each task that was asked for, and says why. */
function refuse({ session, database, keys, lock, request, options }: Attempted, refused: Refused): number {
  const { error } = refused;
  const { output, context } = session;
  const invocation = invocationOf(session, database, keys);
  const lockSha256 = sha256Hex(lock.bytes);
  const runs =
    options.dryRun === true
      ? []
      : request.tasks.map((task) => ({
          ...recordRefusal({ ...invocation, channel: null }, { ...refused, task, lockSha256 }),
          task,
          outcome: 'refused' as const,
          exitCode: error.exitCode,
          durationMs: 0,
          error,
        }));
  const result: RunResult = { outcome: 'refused', exitCode: error.exitCode, runs, error };
  output.document(resultDocument(result));
  if (!output.json) {
    context.stderr.write(`${describeError(error, output.errorStyle)}\n`);
    for (const { task, receiptId } of runs) output.note(`ax: ${visible(task)} refused, receipt ${receiptId}`);
  }
  return error.exitCode;
}

/** `--dry-run`: everything was verified; this is what would run. */
function describePlans({ output }: Session, plans: readonly Plan[]): number {
  for (const plan of plans) {
    output.line(
      `${output.style.bold(visible(plan.taskId))}: ${plan.argv.map((word) => visible(JSON.stringify(word))).join(' ')}`,
    );
    output.line(`  in ${visible(plan.task.cwd ?? '.')}, with ${Object.keys(plan.env).sort().join(' ')}`);
  }
  output.document({
    schema: 'ax.run.plan/1',
    tasks: plans.map((plan) => ({
      task: plan.taskId,
      argv: plan.argv,
      cwd: plan.task.cwd ?? '.',
      environment: Object.keys(plan.env).sort(),
      dependencies: plan.pinned,
      timeoutMs: plan.timeoutMs,
    })),
  });
  return 0;
}
