import { AxError } from '../errors.ts';

/**
 * The task state machine: what each of 7 events means in each of 8 states. No clock, no I/O, no randomness;
 * effects are returned as data, for the dispatcher to perform once the transition is committed.
 */

export const STATES = [
  'BOOTSTRAPPING',
  'IDLE',
  'PREPARING',
  'WAITING_ON_DEP',
  'EXECUTING',
  'COMPLETED',
  'FAILED',
  'CANCELED',
] as const;

export type State = (typeof STATES)[number];

export type Event =
  | { readonly type: 'TaskSubmitted'; readonly taskId: string; readonly manifestVersion: string }
  | { readonly type: 'DependenciesReady' }
  | { readonly type: 'RuleViolation'; readonly rule: string }
  | { readonly type: 'Timeout'; readonly ms: number }
  | { readonly type: 'CancelRequest'; readonly requestedBy: string }
  | { readonly type: 'RetryTrigger' }
  | { readonly type: 'TelemetryFlushed' };

/** The same union, for modules where the bare word would be taken for the DOM's. */
export type MachineEvent = Event;

export type EventType = Event['type'];

export const EVENT_TYPES = [
  'TaskSubmitted',
  'DependenciesReady',
  'RuleViolation',
  'Timeout',
  'CancelRequest',
  'RetryTrigger',
  'TelemetryFlushed',
] as const satisfies readonly EventType[];

export interface MachineContext {
  readonly dependenciesReady: boolean;
  readonly guardVerdict: 'Allowed' | { readonly blocked: string };
  readonly telemetryPending: boolean;
  readonly cancellationRequested: boolean;
}

export type Effect =
  | { readonly type: 'HydratePlan'; readonly taskId: string }
  | { readonly type: 'EvaluateGuards' }
  | { readonly type: 'StartExecution' }
  | { readonly type: 'EnterWaitState' }
  | { readonly type: 'ScheduleRetry' }
  | { readonly type: 'FlushTelemetryBuffer' }
  | { readonly type: 'EmitTelemetry'; readonly name: string }
  | { readonly type: 'RecordCancellation'; readonly requestedBy: string }
  | { readonly type: 'PerformRollback'; readonly reason: string };

/** What the event did. A rejection leaves the state as it was and has no effects; a deferral may move it. */
export interface Outcome {
  readonly status: 'transitioned' | 'rejected' | 'deferred';
  readonly fromState: State;
  readonly toState: State;
  readonly event: Event;
  readonly effects: readonly Effect[];
  /** Why the event was rejected or deferred; null when it was neither. */
  readonly reason: string | null;
}

type Step = Pick<Outcome, 'status' | 'toState' | 'effects' | 'reason'>;

/** The answer to every event that a state has no rule for. */
const REJECTIONS: Readonly<Record<State, string>> = {
  BOOTSTRAPPING: 'Runtime must finish bootstrapping before processing events.',
  IDLE: 'Idle state only accepts task submissions.',
  PREPARING: 'Preparing state only responds to deps/cancel/timeouts.',
  WAITING_ON_DEP: 'Waiting state expects dependency updates, retries, or cancellation.',
  EXECUTING: 'Executing state ignores unrelated events.',
  COMPLETED: 'Completed tasks await telemetry flush only.',
  FAILED: 'Failed state only responds to retry triggers.',
  CANCELED: 'Canceled state only allows retries into idle.',
};

/**
 * Total and pure: the same three arguments give the same outcome, and none of them is changed.
 *
 * @throws AxError INTERNAL for a state outside the union; an unknown event is rejected like any other that the
 * state has no rule for.
 */
export function transition(state: State, event: Event, context: MachineContext): Outcome {
  return { ...step(state, event, context), fromState: state, event };
}

/** True when the task's outcome is settled: only a flush or a retry can still follow. */
export function isTerminal(state: State): state is 'COMPLETED' | 'FAILED' | 'CANCELED' {
  return state === 'COMPLETED' || state === 'FAILED' || state === 'CANCELED';
}

/** An effect as it is written in logs and audit records: `PerformRollback(timeout:5000)`. */
export function effectName(effect: Effect): string {
  switch (effect.type) {
    case 'HydratePlan':
      return `HydratePlan(${effect.taskId})`;
    case 'StartExecution':
      return 'StartExecution(plan)';
    case 'EmitTelemetry':
      return `EmitTelemetry(${effect.name})`;
    case 'RecordCancellation':
      return `RecordCancellation(${effect.requestedBy})`;
    case 'PerformRollback':
      return `PerformRollback(${effect.reason})`;
    case 'EvaluateGuards':
    case 'EnterWaitState':
    case 'ScheduleRetry':
    case 'FlushTelemetryBuffer':
      return effect.type;
    default:
      return unreachable(effect);
  }
}

function step(state: State, event: Event, context: MachineContext): Step {
  switch (state) {
    case 'BOOTSTRAPPING':
      if (event.type === 'DependenciesReady') return go('IDLE', emit('runtime.bootstrapped'));
      return reject(state);

    case 'IDLE':
      if (event.type === 'TaskSubmitted')
        return go('PREPARING', { type: 'HydratePlan', taskId: event.taskId }, emit('task.accepted'));
      return reject(state);

    case 'PREPARING':
      return whilePreparing(event, context);

    case 'WAITING_ON_DEP':
      return whileWaiting(event, context);

    case 'EXECUTING':
      return whileExecuting(event, context);

    case 'COMPLETED':
      if (event.type === 'TelemetryFlushed') return go('IDLE', emit('task.completed'));
      return reject(state);

    case 'FAILED':
      if (event.type === 'RetryTrigger') return go('PREPARING', { type: 'ScheduleRetry' });
      return reject(state);

    case 'CANCELED':
      if (event.type === 'RetryTrigger') return go('IDLE', emit('task.canceled.retry'));
      return reject(state);

    default:
      return unreachable(state);
  }
}

function whilePreparing(event: Event, context: MachineContext): Step {
  switch (event.type) {
    case 'DependenciesReady': {
      const { dependenciesReady, guardVerdict } = context;
      if (!dependenciesReady) {
        const reason = 'Dependencies not confirmed by controller.';
        return defer('WAITING_ON_DEP', reason, { type: 'EnterWaitState' }, emit('transition.deferred'));
      }
      // Asked the safe way round: anything that is not exactly the word Allowed blocks.
      if (guardVerdict !== 'Allowed')
        return reject('PREPARING', `Guard blocked transition: ${guardVerdict.blocked}`);
      return go('EXECUTING', { type: 'EvaluateGuards' }, { type: 'StartExecution' });
    }
    case 'CancelRequest':
      if (!context.cancellationRequested)
        return reject('PREPARING', 'Cancellation request not acknowledged.');
      return go('CANCELED', recordCancellation(event));
    case 'Timeout':
      return go('FAILED', rollback(`timeout:${event.ms}`));
    default:
      return reject('PREPARING');
  }
}

function whileWaiting(event: Event, context: MachineContext): Step {
  switch (event.type) {
    case 'DependenciesReady': {
      if (context.dependenciesReady) return go('PREPARING', emit('dependencies.ready'));
      const reason = 'Dependency graph not ready; remaining in wait state.';
      return defer('WAITING_ON_DEP', reason, emit('transition.deferred'));
    }
    case 'RetryTrigger':
      return go('PREPARING', { type: 'ScheduleRetry' });
    case 'CancelRequest':
      return go('CANCELED', recordCancellation(event));
    case 'Timeout':
      return go('FAILED', rollback(`wait-timeout:${event.ms}`));
    default:
      return reject('WAITING_ON_DEP');
  }
}

function whileExecuting(event: Event, context: MachineContext): Step {
  switch (event.type) {
    case 'TelemetryFlushed':
      return go(context.telemetryPending ? 'EXECUTING' : 'COMPLETED', { type: 'FlushTelemetryBuffer' });
    case 'RuleViolation':
      return go('FAILED', rollback(event.rule));
    case 'Timeout':
      return go('FAILED', rollback(`execution-timeout:${event.ms}`));
    case 'CancelRequest':
      return go('CANCELED', recordCancellation(event), rollback('canceled'));
    default:
      return reject('EXECUTING');
  }
}

function go(toState: State, ...effects: Effect[]): Step {
  return { status: 'transitioned', toState, effects, reason: null };
}

function defer(toState: State, reason: string, ...effects: Effect[]): Step {
  return { status: 'deferred', toState, effects, reason };
}

function reject(state: State, reason: string = REJECTIONS[state]): Step {
  return { status: 'rejected', toState: state, effects: [], reason };
}

function emit(name: string): Effect {
  return { type: 'EmitTelemetry', name };
}

function rollback(reason: string): Effect {
  return { type: 'PerformRollback', reason };
}

function recordCancellation({ requestedBy }: { requestedBy: string }): Effect {
  return { type: 'RecordCancellation', requestedBy };
}

function unreachable(value: never): never {
  throw new AxError('INTERNAL', `the state machine has no rule for ${JSON.stringify(value)}`, {
    hint: 'this is a defect in ax; please report it',
  });
}
