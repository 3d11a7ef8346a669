import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { countTowardsAlert } from '../store/alerts.ts';
import { appendAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import { insertEvent } from '../store/events.ts';
import { advanceRun, loadRun } from '../store/runs.ts';
import { rejectionOf } from './acceptance.ts';
import { type AuthenticatedEvent, createEvent, type EventSource } from './events.ts';
import { type MachineContext, type MachineEvent, type Outcome, type State, transition } from './machine.ts';

/** A run as its supervisor holds it. Only this file moves `state` and `seq`. */
export interface LiveRun {
  readonly id: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly task: string;
  readonly sessionKey: Uint8Array;
  state: State;
  seq: number;
}

export interface DispatchEdge {
  readonly context: Context;
  readonly database: Database;
}

export interface Dispatch {
  readonly event: MachineEvent;
  readonly context: MachineContext;
  readonly source: EventSource;
  /** What has to be stored with the transition, in its transaction, if there is one. */
  readonly alongside?: (outcome: Outcome) => void;
}

/**
 * Makes the run's next event and submits it.
 *
 * @throws as `submitEvent`
 */
export function dispatch(
  edge: DispatchEdge,
  run: LiveRun,
  { event, context, source, alongside }: Dispatch,
): Outcome {
  const record = createEvent(event, {
    runId: run.id,
    traceId: run.traceId,
    parentSpanId: run.spanId,
    sessionKey: run.sessionKey,
    source,
    seq: run.seq + 1,
    now: edge.context.now(),
    randomBytes: edge.context.randomBytes,
  });
  return submitEvent(edge, run, { record, context, ...(alongside && { alongside }) });
}

/**
 * Feeds an authenticated event to a run: event, transition and audit record are committed in one transaction,
 * and only then does the caller get the effects to carry out. The event is held against the stored run under
 * the store's write lock, so of two processes that submit the same sequence one moves it and the other is
 * refused. A refusal is recorded, and counts towards the replay alert.
 *
 * @throws EVENT_REJECTED for an event that is not authentic, not next, not timely or not its source's to send
 * @throws STORE_FULL, STORE_UNUSABLE, STORE_BUSY; the run has then not moved
 */
export function submitEvent(
  edge: DispatchEdge,
  run: LiveRun,
  {
    record,
    context,
    alongside,
  }: { record: AuthenticatedEvent; context: MachineContext; alongside?: (outcome: Outcome) => void },
): Outcome {
  const { database } = edge;
  const now = edge.context.now();
  const result = database.write(() => {
    const stored = loadRun(database, run.id);
    const rejection = stored === null ? 'there is no such run' : rejectionOf(record, stored, now);
    if (stored === null || rejection !== null) {
      recordRejection(edge, run, record, rejection);
      return { rejection };
    }
    const outcome = transition(stored.state as State, eventOf(record), context);
    const { fromState, toState } = outcome;
    if (!advanceRun(database, { id: run.id, seq: record.seq, fromState, toState })) {
      throw new AxError('INTERNAL', `run ${run.id} moved under the write lock`);
    }
    insertEvent(database, {
      ...record,
      payload: JSON.stringify(record.payload),
      status: outcome.status,
      fromState,
      toState,
      reason: outcome.reason,
    });
    recordTransition(edge, run, record, outcome);
    alongside?.(outcome);
    return { outcome };
  });
  if (result.outcome === undefined) {
    throw new AxError('EVENT_REJECTED', `run ${run.id}: ${record.type} was rejected: ${result.rejection}`, {
      hint: `ax status ${run.id}`,
    });
  }
  run.state = result.outcome.toState;
  run.seq = record.seq;
  return result.outcome;
}

function eventOf({ type, payload }: AuthenticatedEvent): MachineEvent {
  return { type, ...payload } as MachineEvent;
}

function recordTransition(
  { context, database }: DispatchEdge,
  run: LiveRun,
  record: AuthenticatedEvent,
  outcome: Outcome,
): void {
  appendAudit(database, context.now(), {
    type: 'run.transition',
    runId: run.id,
    actor: context.actor,
    data: {
      task: run.task,
      event: record.type,
      eventId: record.id,
      seq: record.seq,
      source: record.source,
      status: outcome.status,
      from: outcome.fromState,
      to: outcome.toState,
      reason: outcome.reason,
    },
  });
}

function recordRejection(
  { context, database }: DispatchEdge,
  run: LiveRun,
  record: AuthenticatedEvent,
  reason: string | null,
): void {
  const now = context.now();
  const { actor } = context;
  appendAudit(database, now, {
    type: 'event.rejected',
    runId: run.id,
    actor,
    data: { event: record.type, seq: record.seq, source: record.source, reason },
  });
  countTowardsAlert(database, 'event-replays', { now, actor, runId: run.id });
}
