import type { DependencyFinding } from '../manifest/dependencies.ts';
import { appendAudit } from '../store/audit.ts';
import type { Run } from '../store/runs.ts';
import type { Child } from './child.ts';
import { dispatch, type LiveRun } from './dispatcher.ts';
import type { EventSource } from './events.ts';
import { dependencyRecord } from './finish.ts';
import type { CancelOrder, Invocation } from './invocation.ts';
import type { MachineContext, MachineEvent, Outcome } from './machine.ts';
import type { End } from './outcome.ts';
import type { Plan } from './plan.ts';
import type { ExecutionFacts } from './statement.ts';

/** What the parts of an attempt share: lifecycle (attempt.ts), admission and execution. */

/** A task's place among those that its invocation lets go on at once. */
export interface Turns {
  /** Resolves when it is this task's turn: false when it can not start any more. */
  take(): Promise<boolean>;
  /** Gives the place away while guards defer. Resolves when there is no point in waiting with the others. */
  release(): Promise<'alone' | 'never'>;
}

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

/** What is found out in the course of one attempt, for its receipt. */
export type Facts = { -readonly [K in keyof ExecutionFacts]: ExecutionFacts[K] };

/** A run that goes on. */
export interface Going {
  readonly invocation: Invocation;
  readonly request: AttemptRequest;
  /** The request's, with the trace that this run is part of. */
  readonly plan: Plan;
  readonly run: LiveRun;
  /** Resolves when the run is told to end. */
  readonly stopped: PromiseWithResolvers<void>;
  attempt: number;
  facts: Facts;
  /** Until when guards are waited for, on the monotonic clock; set by the first that defers. */
  deadline: number | undefined;
  /** The command that is running, or the one that ran last in this attempt. */
  child: Child | undefined;
  canceled: CancelOrder | undefined;
  /** It has to end at once, and is not rolled back. */
  forced: boolean;
}

/** What the machine is told beside an event; and what is stored with it. */
export interface Told extends Partial<MachineContext> {
  readonly alongside?: () => void;
}

const CLEAR: MachineContext = {
  dependenciesReady: true,
  guardVerdict: 'Allowed',
  telemetryPending: false,
  cancellationRequested: false,
};

/**
 * Gives an event to the run's machine, and tells whoever watches.
 *
 * @throws EVENT_REJECTED, STORE_FULL, STORE_UNUSABLE, STORE_BUSY; the run has then not moved
 */
export function send(
  { invocation, plan, run }: Going,
  event: MachineEvent,
  source: EventSource,
  { alongside, ...changes }: Told = {},
): Outcome {
  const context = { ...CLEAR, ...changes };
  const outcome = dispatch(invocation, run, { event, source, context, ...(alongside && { alongside }) });
  const { fromState, toState } = outcome;
  void invocation.report({
    type: 'event',
    runId: run.id,
    task: plan.taskId,
    event: event.type,
    fromState,
    toState,
    at: invocation.context.now(),
  });
  return outcome;
}

/** Puts on record what a check of dependencies found. */
export function recordDependencies(
  { invocation: { context, database }, run }: Going,
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

/** The end of a run that was told to end. */
export function canceledEnd({ canceled }: Going): End {
  return { outcome: 'canceled', exitCode: canceled?.exitCode ?? 130, error: null };
}
