import { setTimeout as delay } from 'node:timers/promises';
import { AxError, isAxError } from '../errors.ts';
import { checkDependencies, type DependencyFinding } from '../manifest/dependencies.ts';
import { appendAudit } from '../store/audit.ts';
import { nextAttempt, type Run } from '../store/runs.ts';
import { withdrawStart } from '../store/starts.ts';
import { checkGuards, recordAdmission } from './attempt-guards.ts';
import { backoffDelay } from './backoff.ts';
import { type Child, type ChildEnd, startChild } from './child.ts';
import { type ReadyCommand, readyCommand } from './command.ts';
import { dispatch } from './dispatcher.ts';
import type { EventSource } from './events.ts';
import { closeRun, dependencyRecord, finishAttempt } from './finish.ts';
import type { Decision } from './guards/gate.ts';
import type { GuardSnapshot } from './guards/snapshot.ts';
import type { Verdict } from './guards/verdict.ts';
import { hold } from './hold.ts';
import type { Attempt, AttemptResult, CancelOrder, Invocation } from './invocation.ts';
import { openLiveRun } from './live-run.ts';
import type { MachineContext, MachineEvent, Outcome, State } from './machine.ts';
import {
  blocked,
  deferred,
  type End,
  type Failure,
  failureOf,
  mayRetry,
  skipped,
  timedOut,
  waitedTooLong,
} from './outcome.ts';
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
  readonly turns: Turns;
  /** How long guards that defer are waited for, in milliseconds; null for not at all. */
  readonly waitMs: number | null;
}

/** A task's place among those that its invocation lets go on at once. */
export interface Turns {
  /** Resolves when it is this task's turn: false when it can not start any more. */
  take(): Promise<boolean>;
  /** Gives the place away while guards defer. Resolves when there is no point in waiting with the others. */
  release(): Promise<'alone' | 'never'>;
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
  /** Until when guards are waited for, on the monotonic clock; set by the first that defers. */
  let deadline: number | undefined;

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
    if (!(await awaitTurn())) return settle(canceled === undefined ? skip() : canceledEnd());
    for (;;) {
      const end = await attemptOnce();
      if (forced || canceled !== undefined || !mayRetry(end, facts.exit, attempt, plan)) return settle(end);
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
    const mine = await ownTurn();
    if (!mine || canceled !== undefined || forced) return false;
    if (waits) send({ type: 'DependenciesReady' }, 'dispatcher');
    startedAt = context.now();
    startedMonotonic = context.monotonic();
    return true;
  }

  function ownTurn(): Promise<boolean> {
    return Promise.race([request.turns.take(), stopped.promise.then(() => false)]);
  }

  async function attemptOnce(): Promise<End> {
    void report({ type: 'started', runId: run.id, task: plan.taskId, title: plan.task.title ?? '' });
    // A signal or a cancel request that is already waiting comes first: nothing has started yet.
    await new Promise((resolve) => setImmediate(resolve));
    const admitted = await admit();
    if ('outcome' in admitted) return admitted;
    const command = await confirm(admitted);
    if ('outcome' in command) return command;
    const { exit, output } = await runChild(command, () => {
      if (run.state === 'EXECUTING') send({ type: 'Timeout', ms: plan.timeoutMs }, 'dispatcher');
    });
    facts.exit = exit;
    facts.output = output;
    return endExecution();
  }

  /** PREPARING, until dependencies and guards agree and the run is EXECUTING; or why it does not come to that. */
  async function admit(): Promise<ReadyCommand | End> {
    for (;;) {
      if (run.state !== 'PREPARING') return canceledEnd();
      const command = digestAll();
      if ('outcome' in command) return command;
      const { verdict, records } = await askGuards('check');
      facts.guards = records;
      // A cancel request may have come while the guards were asked.
      if (run.state !== 'PREPARING') return canceledEnd();
      if (verdict.verdict === 'pass') {
        begin();
        return command;
      }
      const end = verdict.verdict === 'fail' ? refuse(verdict) : await waitForGuards(verdict);
      if (end !== null) return end;
    }
  }

  function digestAll(): ReadyCommand | End {
    try {
      facts.materials = digestArtifacts(plan.task.inputs ?? [], invocation.roots.root);
      const command = readyCommand(plan, plan.argv, invocation.roots);
      facts.before = command.findings;
      recordDependencies(facts.before, 'before spawn');
      return command;
    } catch (error) {
      if (!isAxError(error)) throw error;
      facts.before = checkDependencies(plan.pinned, invocation.roots);
      recordDependencies(facts.before, 'before spawn');
      return { outcome: 'refused', exitCode: error.exitCode, error };
    }
  }

  function askGuards(phase: GuardSnapshot['phase']): Promise<Decision> {
    return checkGuards(invocation, { plan, run, attempt, phase, findings: facts.before });
  }

  /** Into EXECUTING. That the task starts now is stored with it: it is what the next one's limits count. */
  function begin(): void {
    send({ type: 'DependenciesReady' }, 'dispatcher', {}, () =>
      recordAdmission(invocation, { plan, run, attempt }),
    );
  }

  function refuse({ reason }: Verdict): End {
    send({ type: 'DependenciesReady' }, 'dispatcher', { guardVerdict: { blocked: reason } });
    return blocked(plan, reason);
  }

  /**
   * The last look before the spawn: every guard is asked again, about a snapshot of now, and since that takes a
   * moment everything is digested again. Without guards nothing lies between the digests and the spawn.
   */
  async function confirm(admitted: ReadyCommand): Promise<ReadyCommand | End> {
    if (facts.guards.length === 0) return admitted;
    const { verdict, records } = await askGuards('spawn');
    facts.guards = [...facts.guards, ...records];
    if (run.state !== 'EXECUTING') {
      database.write(() => withdrawStart(database, { runId: run.id, attempt }));
      return canceledEnd();
    }
    if (forced) return turnBack('stopped', 'executor', canceledEnd());
    if (verdict.verdict !== 'pass') {
      return turnBack(
        `guard:${verdict.verdict}`,
        'guard-host',
        blocked(plan, `${verdict.reason} (asked again right before the start)`),
      );
    }
    const command = digestAll();
    return 'outcome' in command ? turnBack('dependency-changed', 'executor', command) : command;
  }

  /** Out of EXECUTING before anything was started: there is nothing to roll back, and no start to count. */
  function turnBack(rule: string, source: EventSource, end: End): End {
    send({ type: 'RuleViolation', rule }, source, {}, () =>
      withdrawStart(database, { runId: run.id, attempt }),
    );
    return end;
  }

  /** WAITING_ON_DEP, for as long as there is a point in it. Null when the guards are to be asked again. */
  async function waitForGuards(deferral: Verdict & { verdict: 'defer' }): Promise<End | null> {
    const { waitMs } = request;
    send({ type: 'DependenciesReady' }, 'dispatcher', { dependenciesReady: false });
    deadline ??= context.monotonic() + (waitMs ?? Number.POSITIVE_INFINITY);
    if (waitMs !== null && context.monotonic() >= deadline) {
      send({ type: 'Timeout', ms: Math.round(waitMs) }, 'dispatcher');
      return waitedTooLong(plan, deferral, waitMs);
    }
    const until = context.now() + deferral.retryAfterMs;
    void report({ type: 'waiting', runId: run.id, task: plan.taskId, reason: deferral.reason, until });
    const released = await hold(context, {
      until,
      deadline,
      others: request.turns.release(),
      stopped: stopped.promise,
    });
    if (released === 'alone') return deferred(plan, deferral);
    const goesOn = released === 'again' && (await ownTurn());
    if (canceled !== undefined || forced) return canceledEnd();
    if (!goesOn) return skip();
    send({ type: 'DependenciesReady' }, 'dispatcher');
    return null;
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

  /** What it needs did not complete, or another task failed: it will not start, and its machine is told. */
  function skip(): End {
    const requestedBy = `ax: what ${plan.taskId} needs did not complete`;
    send({ type: 'CancelRequest', requestedBy }, 'dispatcher', { cancellationRequested: true });
    return skipped();
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

  function send(
    event: MachineEvent,
    source: EventSource,
    changes: Partial<MachineContext> = {},
    alongside: (() => void) | null = null,
  ): Outcome {
    const outcome = dispatch(invocation, run, {
      event,
      source,
      context: { ...CLEAR, ...changes },
      ...(alongside && { alongside }),
    });
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
