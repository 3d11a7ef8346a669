import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { guardsOf } from '../manifest/guards/guard.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import { visible } from '../output/escape.ts';
import { describeError } from '../output/output.ts';
import { prewarmFor } from '../runtime/guards/gate.ts';
import type { Isolate } from '../runtime/isolate/isolate.ts';
import type { Plan } from '../runtime/plan.ts';
import { RUN_MARK } from '../runtime/process-tree.ts';
import { type EvidenceKeys, kidsOf } from '../runtime/receipt.ts';
import { recordRefusal } from '../runtime/refusal.ts';
import { type RunResult, superviseRun } from '../runtime/supervisor.ts';
import { ownIdentity } from '../runtime/supervisor-identity.ts';
import { beginTrace, joinTrace, type Trace } from '../runtime/trace.ts';
import { TRACEPARENT } from '../runtime/traceparent.ts';
import { sha256Hex } from '../security/digest.ts';
import { createTextScrubber } from '../security/scrub/text.ts';
import type { Database } from '../store/database.ts';
import { type Keyring, provePassphrase } from '../store/keyring.ts';
import { findRun, type Run } from '../store/runs.ts';
import { guardSources } from './guard-sources.ts';
import { evidenceKeys, readKeyring, requireEvidenceKeys, unlockKeyring } from './keys-access.ts';
import { DRIFT, hasDrifted, type Lock, readLock, requireVerified, verifyLock } from './lock.ts';
import { type Prepared, prepare, type Unprepared } from './prepare.ts';
import { createRunReporter, resultDocument } from './run-report.ts';
import { parseRequest, type Request, type RunOptions } from './run-request.ts';
import { openSession, type Session, withStore } from './session.ts';
import { withIsolate } from './with-isolate.ts';

/** `ax run`: verify, check, run, leave a receipt. `args` is what stands after `--`. */
export async function run(
  context: Context,
  { tasks, args }: { tasks: readonly string[]; args: readonly string[] },
  options: RunOptions,
): Promise<number> {
  const session = await openSession(context, options);
  const request = parseRequest(tasks, args, options);
  await unlockKeyring(session);
  return withIsolate((isolate) =>
    options.dryRun === true
      ? preview(session, isolate, request)
      : launch({ session, isolate, options }, () => ({ request, retryOf: null })),
  );
}

/** `ax retry`: another attempt of a run that failed or was canceled, with what it was given at first. */
export async function retry(
  context: Context,
  { id, args }: { id: string; args: readonly string[] },
  options: RunOptions,
): Promise<number> {
  const session = await openSession(context, options);
  await unlockKeyring(session);
  return withIsolate((isolate) =>
    launch({ session, isolate, options }, (database) => {
      const found = findRun(database, id.toUpperCase());
      requireRetryable(found);
      return { request: parseRequest([found.task], args, options), retryOf: found };
    }),
  );
}

/** How often one run may be attempted, by itself and by hand: what retries could multiply has an end. */
const MAX_ATTEMPTS = 20;
const RETRYABLE = ['FAILED', 'CANCELED', 'WAITING_ON_DEP'];

function requireRetryable(run: Run): void {
  if (run.outcome === null || run.outcome === 'skipped' || !RETRYABLE.includes(run.state)) {
    const is = run.outcome ?? 'still running';
    throw new AxError(
      'RUN_NOT_RETRYABLE',
      `run ${run.id} of ${run.task}: expected one that failed or was canceled, it is ${is}`,
      {
        hint: `ax run ${run.task}`,
      },
    );
  }
  if (run.attempt >= MAX_ATTEMPTS) {
    throw new AxError(
      'RUN_NOT_RETRYABLE',
      `run ${run.id} of ${run.task}: ${run.attempt} attempts were made, that is enough`,
      {
        hint: `find out why it fails, then: ax run ${run.task}`,
      },
    );
  }
}

/** `--dry-run`: the same verification; starts nothing, and leaves nothing in the store. */
async function preview(session: Session, isolate: Isolate, request: Request): Promise<number> {
  const lock = readLock(session);
  requireEvidenceKeys(session, readKeyring(session));
  const verified = await requireVerified(session, lock);
  if (hasDrifted(lock, verified.manifest)) session.output.warn(DRIFT);
  const { context } = session;
  const prepared = await prepare({ context, isolate, root: lock.root, request, retryOf: null }, verified);
  if ('error' in prepared) throw prepared.error;
  return describePlans(session, prepared.plans);
}

interface Launch {
  readonly session: Session;
  readonly isolate: Isolate;
  readonly options: RunOptions;
}

async function launch(
  { session, isolate, options }: Launch,
  ask: (database: Database) => { request: Request; retryOf: Run | null },
): Promise<number> {
  const { context } = session;
  const lock = readLock(session);
  const keyring = readKeyring(session);
  // Before anything is written: with a malformed key or trust, ax leaves no trace and starts nothing.
  requireEvidenceKeys(session, keyring);
  provePassphrase(keyring);
  loadTrust(context, session.home);
  return withStore(session, async (database) => {
    const asked = ask(database);
    const keys = evidenceKeys(session, database);
    const attempt = { session, isolate, keyring, database, keys, lock, options, ...asked };
    const verification = await verifyLock(session, lock);
    if (!verification.ok) return refuse(attempt, { error: verification.error, verified: null, findings: [] });
    const { verified } = verification;
    if (hasDrifted(lock, verified.manifest)) session.output.warn(DRIFT);
    const prepared = await prepare({ context, isolate, root: lock.root, ...asked }, verified);
    if ('error' in prepared) return refuse(attempt, { ...prepared, verified });
    return execute(attempt, verified, prepared);
  });
}

interface Attempted extends Launch {
  readonly keyring: Keyring;
  readonly database: Database;
  readonly keys: EvidenceKeys;
  readonly lock: Lock;
  readonly request: Request;
  readonly retryOf: Run | null;
}

interface Refused extends Unprepared {
  readonly verified: VerifiedManifest | null;
}

async function execute(
  { session, isolate, keyring, database, keys, lock, request, options, retryOf }: Attempted,
  verified: VerifiedManifest,
  { plans, checked }: Prepared,
): Promise<number> {
  const { context, output, settings } = session;
  const guards = plans.flatMap(({ task }) => guardsOf(verified.manifest, task));
  if (guards.length > 0) prewarmFor(isolate, guards);
  // Tasks may go on for hours, and nothing more will be asked.
  else void isolate.close();
  const guarding = guardSources(session, {
    isolate,
    keyring,
    verified,
    host: keys.host,
    recipients: kidsOf(keys),
    approvals: options.approval ?? [],
  });
  const reporter = await createRunReporter(context, output, {
    quiet: options.quiet === true,
    several: plans.length > 1,
  });
  const result = await superviseRun(
    {
      ...invocationOf(session, database, keys),
      verified,
      roots: { root: lock.root, searchPath: context.env.PATH ?? '' },
      guarding,
      report: reporter.report,
    },
    {
      plans,
      checked,
      ...(retryOf === null ? {} : { retryOf }),
      jobs: options.jobs ?? Number(settings.jobs),
      keepGoing: options.keepGoing === true,
      waitMs: request.waitMs,
    },
  );
  reporter.end(result);
  if (result.error !== null && !output.json) {
    context.stderr.write(`${describeError(result.error, output.errorStyle)}\n`);
  }
  return result.exitCode;
}

function invocationOf(session: Session, database: Database, keys: EvidenceKeys) {
  const { context } = session;
  return { context, database, keys, trace: traceOf(session), supervisor: ownIdentity(context) };
}

/** Who started ax may have a trace that these runs are part of. */
function traceOf({ context, output }: Session): Trace {
  const inbound = context.env[TRACEPARENT] ?? '';
  const joined = joinTrace(inbound);
  if (joined === null && inbound !== '' && output.verbose) {
    const found = visible(JSON.stringify(inbound.slice(0, 64)));
    output.note(`ax: ${TRACEPARENT} is ignored: expected a W3C traceparent, found ${found}`);
  }
  return joined ?? beginTrace(context.randomBytes);
}

/** Records the refusal of each task that was asked for, and says why. */
function refuse({ session, database, keys, lock, request }: Attempted, refused: Refused): number {
  const { error } = refused;
  const { output, context } = session;
  const invocation = invocationOf(session, database, keys);
  const lockSha256 = sha256Hex(lock.bytes);
  const runs = request.tasks.map((task) => ({
    ...recordRefusal({ ...invocation, channel: null }, { ...refused, task, lockSha256 }),
    task,
    attempt: 1,
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

function environmentNames(plan: Pick<Plan, 'env'>): string[] {
  return [...Object.keys(plan.env), RUN_MARK].sort();
}

/** `--dry-run`: everything was verified; this is what would run. */
function describePlans({ output }: Session, plans: readonly Plan[]): number {
  const shown = plans.map(({ secrets, ...plan }) => {
    const scrub = createTextScrubber({ secrets, credentials: true, personal: false });
    return { ...plan, argv: plan.argv.map(scrub) };
  });
  for (const plan of shown) {
    output.line(
      `${output.style.bold(visible(plan.taskId))}: ${plan.argv.map((word) => visible(JSON.stringify(word))).join(' ')}`,
    );
    output.line(`  in ${visible(plan.task.cwd ?? '.')}, with ${environmentNames(plan).join(' ')}`);
  }
  output.document({
    schema: 'ax.run.plan/1',
    tasks: shown.map((plan) => ({
      task: plan.taskId,
      argv: plan.argv,
      cwd: plan.task.cwd ?? '.',
      environment: environmentNames(plan),
      dependencies: plan.pinned,
      timeoutMs: plan.timeoutMs,
    })),
  });
  return 0;
}
