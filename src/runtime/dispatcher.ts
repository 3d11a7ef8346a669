import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { appendAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import { insertEvent } from '../store/events.ts';
import { advanceRun } from '../store/runs.ts';
import { createEvent, type EventSource } from './events.ts';
import { type MachineContext, type MachineEvent, type Outcome, type State, transition } from './machine.ts';

/** A run as its supervisor holds it. Only `dispatch` moves `state` and `seq`. */
export interface LiveRun {
  readonly id: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly task: string;
  readonly sessionKey: Uint8Array;
  state: State;
  seq: number;
}

export interface Dispatch {
  readonly event: MachineEvent;
  readonly context: MachineContext;
  readonly source: EventSource;
}

/**
 * Feeds one event to a run: the event, the transition and its audit record are committed in one transaction,
 * and only then does the caller get the effects to carry out. Taking a sequence number is a compare-and-swap
 * on the stored run, so of two events that race, one moves it and the other is refused.
 *
 * @throws EVENT_REJECTED when the run is not where this process believes it to be
 * @throws STORE_FULL, STORE_UNUSABLE, STORE_BUSY; the run has then not moved
 */
export function dispatch(
  edge: { context: Context; database: Database },
  run: LiveRun,
  { event, context, source }: Dispatch,
): Outcome {
  const outcome = transition(run.state, event, context);
  const now = edge.context.now();
  const seq = run.seq + 1;
  edge.database.write(() => {
    const record = createEvent(event, {
      runId: run.id,
      traceId: run.traceId,
      parentSpanId: run.spanId,
      sessionKey: run.sessionKey,
      source,
      seq,
      now,
      randomBytes: edge.context.randomBytes,
    });
    const moved = advanceRun(edge.database, {
      id: run.id,
      seq,
      fromState: outcome.fromState,
      toState: outcome.toState,
    });
    if (!moved) {
      throw new AxError('EVENT_REJECTED', `run ${run.id}: event ${seq} (${event.type}) came second`, {
        hint: `ax status ${run.id}`,
      });
    }
    insertEvent(edge.database, {
      ...record,
      payload: JSON.stringify(record.payload),
      status: outcome.status,
      fromState: outcome.fromState,
      toState: outcome.toState,
      reason: outcome.reason,
    });
    appendAudit(edge.database, now, {
      type: 'run.transition',
      runId: run.id,
      actor: edge.context.actor,
      data: {
        task: run.task,
        event: event.type,
        eventId: record.id,
        seq,
        source,
        status: outcome.status,
        from: outcome.fromState,
        to: outcome.toState,
        reason: outcome.reason,
      },
    });
  });
  run.state = outcome.toState;
  run.seq = seq;
  return outcome;
}
