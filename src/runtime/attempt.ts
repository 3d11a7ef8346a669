import { isAxError } from '../errors.ts';
import { checkDependencies, type DependencyFinding } from '../manifest/dependencies.ts';
import { appendAudit } from '../store/audit.ts';
import type { NewRun } from '../store/runs.ts';
import { type Child, type ChildEnd, startChild } from './child.ts';
import { type ReadyCommand, readyCommand } from './command.ts';
import { dispatch, type LiveRun } from './dispatcher.ts';
import type { EventSource } from './events.ts';
import { dependencyRecord, finishAttempt, manifestRecord } from './finish.ts';
import type { Attempt, AttemptResult, CancelOrder, Invocation } from './invocation.ts';
import type { MachineContext, MachineEvent, Outcome } from './machine.ts';
import { openRun } from './new-run.ts';
import { type End, type Failure, failureOf, timedOut } from './outcome.ts';
import type { Plan } from './plan.ts';
import { digestArtifacts } from './products.ts';
import { inRollbackQueue } from './rollback.ts';
import type { ReceiptFacts } from './statement.ts';

const CLEAR: MachineContext = {
  dependenciesReady: true,
  guardVerdict: 'Allowed',
  telemetryPending: false,
  cancellationRequested: false,
};

type Facts = {
  -readonly [K in
    | 'before'
    | 'after'
    | 'materials'
    | 'products'
    | 'exit'
    | 'output'
    | 'rollback']: ReceiptFacts[K];
};

/**
 * Starts one attempt at a task and drives its machine to an end. Each event is committed before what follows
 * from it is done, and the receipt is on disk before the result is given.
 *
 * @throws STORE_FULL, STORE_UNUSABLE, STORE_BUSY before anything was started
 */
export function startAttempt(
  invocation: Invocation,
  plan: Plan,
  checked: readonly DependencyFinding[],
): Attempt {
  const { context, report } = invocation;
  const startedAt = context.monotonic();
  const row = recordStart(invocation, plan, checked);
  const run: LiveRun = {
    id: row.id,
    traceId: row.traceId,
    spanId: row.spanId,
    task: plan.taskId,
    sessionKey: row.sessionKey ?? new Uint8Array(),
    state: 'BOOTSTRAPPING',
    seq: 0,
  };
  const facts: Facts = {
    before: checked,
    after: [],
    materials: [],
    products: [],
    exit: null,
    output: null,
    rollback: null,
  };
  let child: Child | undefined;
  let canceled: CancelOrder | undefined;
  let forced = false;

  return {
    run,
    confirmWithinMs: row.cancelPolicy.confirmWithinMs,
    result: drive(),
    cancel,
    force() {
      forced = true;
      child?.kill();
    },
  };

  async function drive(): Promise<AttemptResult> {
    send({ type: 'DependenciesReady' }, 'dispatcher');
    const manifestVersion = String(invocation.verified.manifest.version);
    send({ type: 'TaskSubmitted', taskId: plan.taskId, manifestVersion }, 'dispatcher');
    void report({ type: 'started', runId: run.id, task: plan.taskId, title: plan.task.title ?? '' });
    // A signal or a cancel request that is already waiting comes first: nothing has started yet.
    await new Promise((resolve) => setImmediate(resolve));
    if (run.state !== 'PREPARING') return settle(canceledEnd());

    let command: ReadyCommand;
    try {
      facts.materials = digestArtifacts(plan.task.inputs ?? [], invocation.roots.root);
      command = readyCommand(plan, plan.argv, invocation.roots);
      facts.before = command.findings;
    } catch (error) {
      if (!isAxError(error)) throw error;
      facts.before = checkDependencies(plan.pinned, invocation.roots);
      recordDependencies(facts.before, 'before spawn');
      return settle({ outcome: 'refused', exitCode: error.exitCode, error });
    }
    recordDependencies(facts.before, 'before spawn');
    send({ type: 'DependenciesReady' }, 'dispatcher');
    const { exit, output } = await runChild(command, () => {
      if (run.state === 'EXECUTING') send({ type: 'Timeout', ms: plan.timeoutMs }, 'dispatcher');
    });
    facts.exit = exit;
    facts.output = output;
    return settleExecution();
  }

  async function settleExecution(): Promise<AttemptResult> {
    facts.after = checkDependencies(plan.pinned, invocation.roots);
    recordDependencies(facts.after, 'after run');
    const failure = run.state === 'EXECUTING' ? findFailure() : null;
    if (failure !== null) send({ type: 'RuleViolation', rule: failure.rule }, 'executor');
    switch (run.state) {
      case 'EXECUTING':
        send({ type: 'TelemetryFlushed' }, 'telemetry');
        return settle({ outcome: 'completed', exitCode: 0, error: null });
      case 'CANCELED':
        await rollBack();
        return settle(canceledEnd());
      default:
        await rollBack();
        return settle(failure?.end ?? timedOut(plan));
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
    if (plan.rollback === null || forced) return;
    try {
      const { rollback } = plan;
      const end = await inRollbackQueue(invocation, run.id, () =>
        runChild(readyCommand(plan, rollback, invocation.roots), () => {}),
      );
      facts.rollback = { argv: rollback, ...end };
    } catch (error) {
      if (!isAxError(error)) throw error;
      facts.rollback = {
        argv: plan.rollback,
        exit: { kind: 'not-started', reason: error.message },
        output: null,
      };
    }
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
    const wasExecuting = run.state === 'EXECUTING';
    const event: MachineEvent = { type: 'CancelRequest', requestedBy: order.requestedBy };
    if (send(event, order.source, { cancellationRequested: true }).toState !== 'CANCELED') return false;
    canceled = order;
    if (wasExecuting) child?.stop();
    return true;
  }

  function canceledEnd(): End {
    return { outcome: 'canceled', exitCode: canceled?.exitCode ?? 130, error: null };
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
    invocation.database.write(() =>
      appendAudit(invocation.database, context.now(), {
        type: 'dependency.validation',
        runId: run.id,
        actor: context.actor,
        data: dependencyRecord(findings, when),
      }),
    );
  }

  function settle(end: End): AttemptResult {
    const { verified } = invocation;
    const durationMs = Math.round(context.monotonic() - startedAt);
    const receiptId = finishAttempt(invocation, {
      row,
      end,
      facts: { ...facts, plan, verified, durationMs },
    });
    const result = { runId: run.id, task: plan.taskId, receiptId, durationMs, ...end };
    void report({ type: 'finished', result });
    return result;
  }
}

/** The run, and what its start was based on, in one commit. */
function recordStart(invocation: Invocation, plan: Plan, checked: readonly DependencyFinding[]): NewRun {
  const { context, database, verified } = invocation;
  return database.write(() => {
    const row = openRun(invocation, {
      project: verified.manifest.project,
      task: plan.taskId,
      manifestDigest: verified.digest,
      manifestVersion: verified.manifest.version,
      lockSha256: verified.lockSha256,
      manifest: verified.manifest,
    });
    const record = { runId: row.id, actor: context.actor };
    appendAudit(database, row.startedAt, {
      type: 'manifest.load',
      ...record,
      data: manifestRecord(verified),
    });
    if (checked.length > 0) {
      const data = dependencyRecord(checked, 'before start');
      appendAudit(database, row.startedAt, { type: 'dependency.validation', ...record, data });
    }
    return row;
  });
}
