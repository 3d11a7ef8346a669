import { setTimeout as delay } from 'node:timers/promises';
import { AxError, isAxError } from '../errors.ts';
import { nextAttempt } from '../store/runs.ts';
import { admit, isStopped, ownTurn, skip } from './admission.ts';
import { backoffDelay } from './backoff.ts';
import { execute } from './execution.ts';
import { closeRun, finishAttempt } from './finish.ts';
import { type AttemptRequest, canceledEnd, type Facts, type Going, send } from './going.ts';
import type { Attempt, AttemptResult, CancelOrder, Invocation } from './invocation.ts';
import { openLiveRun } from './live-run.ts';
import type { MachineEvent, State } from './machine.ts';
import { type End, mayRetry } from './outcome.ts';
import type { Plan } from './plan.ts';
import { NOTHING_EXECUTED } from './statement.ts';
import { tellTrace } from './trace.ts';

/**
 * Starts a run of a task, or goes on with one, and drives its machine to an end, through as many attempts as
 * its signed `retries` allow. Each event is committed before what follows from it is done, and the receipt of
 * each attempt is on disk before the next begins or the result is given.
 *
 * @throws STORE_FULL, STORE_UNUSABLE, STORE_BUSY, EVENT_REJECTED before anything was started
 */
export function startAttempt(invocation: Invocation, request: AttemptRequest): Attempt {
  const { context, report, database } = invocation;
  const { row, live: run } = openLiveRun(invocation, request);
  const plan = tellTrace(request.plan, { ...run, flags: invocation.trace.flags });
  const stopped = Promise.withResolvers<void>();
  const nothingYet = (): Facts => ({ ...NOTHING_EXECUTED, before: request.checked });
  let startedAt = context.now();
  let startedMonotonic = context.monotonic();
  const going: Going = {
    invocation,
    request,
    plan,
    run,
    stopped,
    attempt: row.attempt,
    facts: nothingYet(),
    deadline: undefined,
    child: undefined,
    canceled: undefined,
    forced: false,
  };

  return {
    run,
    cancelPolicy: row.cancelPolicy,
    result: drive().catch((error: unknown) => {
      throw unrecorded(error, run.state, plan);
    }),
    cancel,
    force() {
      going.forced = true;
      stopped.resolve();
      going.child?.kill();
    },
  };

  async function drive(): Promise<AttemptResult> {
    enter();
    if (!(await awaitTurn())) return settle(going.canceled === undefined ? skip(going) : canceledEnd(going));
    for (;;) {
      const end = await attemptOnce();
      const { facts, attempt } = going;
      if (isStopped(going) || !mayRetry(end, facts.exit, attempt, plan)) return settle(end);
      const failed = settle(end, true);
      await pause(backoffDelay(plan.retries, attempt, context.randomBytes));
      if (isStopped(going)) {
        closeRun(invocation, row, end);
        return failed;
      }
      beginAnother();
    }
  }

  /** To PREPARING: from the beginning, or from where the run that is retried had ended. */
  function enter(): void {
    if (run.state === 'BOOTSTRAPPING') send(going, { type: 'DependenciesReady' }, 'dispatcher');
    else send(going, { type: 'RetryTrigger' }, 'dispatcher');
    if (run.state !== 'IDLE') return;
    const manifestVersion = String(invocation.verified.manifest.version);
    send(going, { type: 'TaskSubmitted', taskId: plan.taskId, manifestVersion }, 'dispatcher');
  }

  /** Waits for what the task needs, and for a free place. False when there is no going on. */
  async function awaitTurn(): Promise<boolean> {
    const waits = !request.needsMet();
    if (waits) send(going, { type: 'DependenciesReady' }, 'dispatcher', { dependenciesReady: false });
    const mine = await ownTurn(going);
    if (!mine || isStopped(going)) return false;
    if (waits) send(going, { type: 'DependenciesReady' }, 'dispatcher');
    startedAt = context.now();
    startedMonotonic = context.monotonic();
    return true;
  }

  async function attemptOnce(): Promise<End> {
    void report({ type: 'started', runId: run.id, task: plan.taskId, title: plan.task.title ?? '' });
    // A signal or a cancel request that is already waiting comes first: nothing has started yet.
    await new Promise((resolve) => setImmediate(resolve));
    const admitted = await admit(going);
    return 'outcome' in admitted ? admitted : execute(going, admitted);
  }

  function cancel(order: CancelOrder): boolean {
    if (going.canceled !== undefined) return false;
    const { state } = run;
    const event: MachineEvent = { type: 'CancelRequest', requestedBy: order.requestedBy };
    const { toState } = send(going, event, order.source, { cancellationRequested: true });
    // Between two attempts the machine has nothing to cancel; there the order ends the retries.
    if (toState !== 'CANCELED' && !(state === 'FAILED' && going.child === undefined)) return false;
    going.canceled = order;
    stopped.resolve();
    if (state === 'EXECUTING') going.child?.stop();
    return true;
  }

  /** Waits, or until the run is told to end. */
  async function pause(ms: number): Promise<void> {
    going.child = undefined;
    const timer = new AbortController();
    await Promise.race([delay(ms, undefined, { signal: timer.signal }).catch(() => {}), stopped.promise]);
    timer.abort();
  }

  function beginAnother(): void {
    database.write(() => nextAttempt(database, run.id));
    going.attempt += 1;
    going.facts = nothingYet();
    startedAt = context.now();
    startedMonotonic = context.monotonic();
    send(going, { type: 'RetryTrigger' }, 'dispatcher');
  }

  function settle(end: End, goesOn = false): AttemptResult {
    const { attempt, facts } = going;
    const durationMs = Math.round(context.monotonic() - startedMonotonic);
    const receiptId = finishAttempt(invocation, {
      row: { ...row, attempt },
      end,
      startedAt,
      goesOn,
      facts: { ...facts, plan, verified: invocation.verified, durationMs },
    });
    const result = { runId: run.id, task: plan.taskId, attempt, receiptId, durationMs, ...end };
    void report({ type: 'finished', result, goesOn });
    return result;
  }
}

/** What the store could not take any more, told with what had happened by then. */
function unrecorded(error: unknown, state: State, plan: Plan): unknown {
  if (!isAxError(error) || !STARTED.includes(state)) return error;
  const message = `${error.message}; task ${plan.taskId} was started, and this attempt has no receipt yet`;
  const hint = `${error.hint ?? 'make the store writable'}; the next ax command then writes its receipt`;
  return new AxError(error.code, message, { hint, cause: error });
}

const STARTED: readonly State[] = ['EXECUTING', 'COMPLETED', 'FAILED', 'CANCELED'];
