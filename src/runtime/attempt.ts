import { setTimeout as delay } from 'node:timers/promises';
import { AxError, isAxError } from '../errors.ts';
import { checkDependencies, type DependencyFinding } from '../manifest/dependencies.ts';
import { appendAudit } from '../store/audit.ts';
import { nextAttempt, type Run } from '../store/runs.ts';
import { backoffDelay } from './backoff.ts';
import { type Child, type ChildEnd, startChild } from './child.ts';
import { type ReadyCommand, readyCommand } from './command.ts';
import { dispatch } from './dispatcher.ts';
import type { EventSource } from './events.ts';
import { closeRun, dependencyRecord, finishAttempt } from './finish.ts';
import { decide } from './guards/verdict.ts';
import type { Attempt, AttemptResult, CancelOrder, Invocation } from './invocation.ts';
import { openLiveRun } from './live-run.ts';
import type { MachineContext, MachineEvent, Outcome, State } from './machine.ts';
import { type End, type Failure, failureOf, mayRetry, timedOut } from './outcome.ts';
import type { Plan } from './plan.ts';
import { digestArtifacts } from './products.ts';
import { inRollbackQueue } from './rollback.ts';
import { type ExecutionFacts, NOTHING_EXECUTED } from './statement.ts';
import { tellTrace } from './trace.ts';

const CLEAR: MachineContext = {
  dependenciesReady: true,
  guardVerdict: 'Allowed',
  telemetryPending: false,
  cancellationRequested: false,
};

/** What is found out in the course of one attempt, for its receipt. */
type Facts = { -readonly [K in keyof ExecutionFacts]: ExecutionFacts[K] };

export interface AttemptRequest {
  readonly plan: Plan;
  /** What the check of its dependencies found before anything was started. */
  readonly checked: readonly DependencyFinding[];
  /** The ended run to go on with; null for a new one. */
  readonly retryOf: Run | null;
  /** Whether what the task needs has completed; asked once, at the start. */
  readonly needsMet: () => boolean;
  /** Resolves when it is this task's turn: false when what it needs will never complete. */
  readonly turn: Promise<boolean>;
}

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
  let { attempt } = row;
  let startedAt = context.now();
  let startedMonotonic = context.monotonic();
  let facts: Facts = { ...NOTHING_EXECUTED, before: request.checked };
  let child: Child | undefined;
  let canceled: CancelOrder | undefined;
  let forced = false;

  return {
    run,
    cancelPolicy: row.cancelPolicy,
    result: drive().catch((error: unknown) => {
      throw unrecorded(error, run.state, plan);
    }),
    cancel,
    force() {
      forced = true;
      stopped.resolve();
      child?.kill();
    },
  };

  async function drive(): Promise<AttemptResult> {
    enter();
    if (!(await awaitTurn())) return settle(canceled === undefined ? skipped() : canceledEnd());
    for (;;) {
      const end = await attemptOnce();
      if (forced || canceled !== undefined || !mayRetry(end, run.state, attempt, plan)) return settle(end);
      const failed = settle(end, true);
      await pause(backoffDelay(plan.retries, attempt, context.randomBytes));
      if (canceled !== undefined || forced) {
        closeRun(invocation, row, end);
        return failed;
      }
      beginAnother();
    }
  }

  /** To PREPARING: from the beginning, or from where the run that is retried had ended. */
  function enter(): void {
    if (run.state === 'BOOTSTRAPPING') send({ type: 'DependenciesReady' }, 'dispatcher');
    else send({ type: 'RetryTrigger' }, 'dispatcher');
    if (run.state !== 'IDLE') return;
    const manifestVersion = String(invocation.verified.manifest.version);
    send({ type: 'TaskSubmitted', taskId: plan.taskId, manifestVersion }, 'dispatcher');
  }

  /** Waits for what the task needs, and for a free place. False when there is no going on. */
  async function awaitTurn(): Promise<boolean> {
    const waits = !request.needsMet();
    if (waits) send({ type: 'DependenciesReady' }, 'dispatcher', { dependenciesReady: false });
    const mine = await Promise.race([request.turn, stopped.promise.then(() => false)]);
    if (canceled !== undefined || forced) return false;
    if (!mine) {
      const requestedBy = `ax: what ${plan.taskId} needs did not complete`;
      send({ type: 'CancelRequest', requestedBy }, 'dispatcher', { cancellationRequested: true });
      return false;
    }
    if (waits) send({ type: 'DependenciesReady' }, 'dispatcher');
    startedAt = context.now();
    startedMonotonic = context.monotonic();
    return true;
  }

  async function attemptOnce(): Promise<End> {
    void report({ type: 'started', runId: run.id, task: plan.taskId, title: plan.task.title ?? '' });
    // A signal or a cancel request that is already waiting comes first: nothing has started yet.
    await new Promise((resolve) => setImmediate(resolve));
    if (run.state !== 'PREPARING') return canceledEnd();
    let command: ReadyCommand;
    try {
      facts.materials = digestArtifacts(plan.task.inputs ?? [], invocation.roots.root);
      command = readyCommand(plan, plan.argv, invocation.roots);
      facts.before = command.findings;
    } catch (error) {
      if (!isAxError(error)) throw error;
      facts.before = checkDependencies(plan.pinned, invocation.roots);
      recordDependencies(facts.before, 'before spawn');
      return { outcome: 'refused', exitCode: error.exitCode, error };
    }
    recordDependencies(facts.before, 'before spawn');
    evaluateGuards();
    send({ type: 'DependenciesReady' }, 'dispatcher');
    const { exit, output } = await runChild(command, () => {
      if (run.state === 'EXECUTING') send({ type: 'Timeout', ms: plan.timeoutMs }, 'dispatcher');
    });
    facts.exit = exit;
    facts.output = output;
    return endExecution();
  }

  /** A manifest has no guards yet that could say no; that none did is on record. */
  function evaluateGuards(): void {
    const { verdict, reason } = decide([]);
    database.write(() =>
      appendAudit(database, context.now(), {
        type: 'guard.evaluation',
        runId: run.id,
        actor: context.actor,
        data: { guards: 0, verdict, reason, phase: 'check' },
      }),
    );
  }

  async function endExecution(): Promise<End> {
    facts.after = checkDependencies(plan.pinned, invocation.roots);
    recordDependencies(facts.after, 'after run');
    const failure = run.state === 'EXECUTING' ? findFailure() : null;
    if (failure !== null) send({ type: 'RuleViolation', rule: failure.rule }, 'executor');
    switch (run.state) {
      case 'EXECUTING':
        send({ type: 'TelemetryFlushed' }, 'telemetry');
        return { outcome: 'completed', exitCode: 0, error: null };
      case 'CANCELED':
        await rollBack();
        return canceledEnd();
      default:
        await rollBack();
        return failure?.end ?? timedOut(plan);
    }
  }

  function findFailure(): Failure | null {
    const failure = facts.exit === null ? null : failureOf(facts.exit, plan, facts.after);
    if (failure !== null) return failure;
    try {
      facts.products = digestArtifacts(plan.task.outputs ?? [], invocation.roots.root);
      return null;
    } catch (error) {
      if (!isAxError(error)) throw error;
      return { rule: 'outputs', end: { outcome: 'failed', exitCode: error.exitCode, error } };
    }
  }

  /** The task's own undo: the same verification, the same environment, the same deadline. */
  async function rollBack(): Promise<void> {
    const argv = plan.rollback;
    if (argv === null) return;
    facts.rollback = await inRollbackQueue(invocation, run.id, async () => {
      if (forced) return null;
      try {
        return { argv, ...(await runChild(readyCommand(plan, argv, invocation.roots), () => {})) };
      } catch (error) {
        if (!isAxError(error)) throw error;
        return { argv, exit: { kind: 'not-started', reason: error.message }, output: null };
      }
    });
  }

  function runChild(command: ReadyCommand, onTimeout: () => void): Promise<ChildEnd> {
    child = startChild(command, {
      runId: run.id,
      plan,
      onTimeout,
      onOutput: (stream, chunk) =>
        report({ type: 'output', runId: run.id, task: plan.taskId, stream, chunk }),
    });
    return child.ended;
  }

  function cancel(order: CancelOrder): boolean {
    if (canceled !== undefined) return false;
    const { state } = run;
    const event: MachineEvent = { type: 'CancelRequest', requestedBy: order.requestedBy };
    const { toState } = send(event, order.source, { cancellationRequested: true });
    // Between two attempts the machine has nothing to cancel; there the order ends the retries.
    if (toState !== 'CANCELED' && !(state === 'FAILED' && child === undefined)) return false;
    canceled = order;
    stopped.resolve();
    if (state === 'EXECUTING') child?.stop();
    return true;
  }

  function canceledEnd(): End {
    return { outcome: 'canceled', exitCode: canceled?.exitCode ?? 130, error: null };
  }

  function skipped(): End {
    return { outcome: 'skipped', exitCode: 0, error: null };
  }

  /** Waits, or until the run is told to end. */
  async function pause(ms: number): Promise<void> {
    child = undefined;
    const timer = new AbortController();
    await Promise.race([delay(ms, undefined, { signal: timer.signal }).catch(() => {}), stopped.promise]);
    timer.abort();
  }

  function beginAnother(): void {
    database.write(() => nextAttempt(database, run.id));
    attempt += 1;
    facts = { ...NOTHING_EXECUTED, before: request.checked };
    startedAt = context.now();
    startedMonotonic = context.monotonic();
    send({ type: 'RetryTrigger' }, 'dispatcher');
  }

  function send(event: MachineEvent, source: EventSource, changes: Partial<MachineContext> = {}): Outcome {
    const outcome = dispatch(invocation, run, { event, source, context: { ...CLEAR, ...changes } });
    const { fromState, toState } = outcome;
    const at = context.now();
    void report({
      type: 'event',
      runId: run.id,
      task: plan.taskId,
      event: event.type,
      fromState,
      toState,
      at,
    });
    return outcome;
  }

  function recordDependencies(
    findings: readonly DependencyFinding[],
    when: 'before spawn' | 'after run',
  ): void {
    if (findings.length === 0) return;
    const data = dependencyRecord(findings, when);
    const { actor } = context;
    database.write(() =>
      appendAudit(database, context.now(), { type: 'dependency.validation', runId: run.id, actor, data }),
    );
  }

  function settle(end: End, goesOn = false): AttemptResult {
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
