import { equalBytes } from '../security/digest.ts';
import { isUlid } from '../security/ulid.ts';
import { type AuthenticatedEvent, type EventSource, eventMac } from './events.ts';
import type { EventType } from './machine.ts';

/** What is stored of a run that an event claims to be of. */
export interface AcceptingRun {
  readonly id: string;
  readonly traceId: string;
  /** The sequence of the last committed event. */
  readonly seq: number;
  /** Null once the run has ended: nothing can be said about it any more. */
  readonly sessionKey: Uint8Array | null;
}

/** How far an event's time may be from now, either way; 30.000 s is within. */
export const EVENT_WINDOW_MS = 30_000;

/** Who may say what. */
const MAY_SEND: Readonly<Record<EventSource, readonly EventType[]>> = {
  // The dispatcher cancels what can no longer start: a task whose needs did not complete.
  dispatcher: ['TaskSubmitted', 'DependenciesReady', 'Timeout', 'RetryTrigger', 'CancelRequest'],
  executor: ['RuleViolation'],
  'guard-host': ['RuleViolation'],
  telemetry: ['TelemetryFlushed'],
  'cancel-channel': ['CancelRequest'],
};

/**
 * Why an event is not accepted; null when it is (spec: formats, "Events"). The MAC comes first: of what is not
 * authentic nothing else is looked at.
 */
export function rejectionOf(event: AuthenticatedEvent, run: AcceptingRun, now: number): string | null {
  if (run.sessionKey === null) return 'the run has ended';
  const { mac, ...content } = event;
  const expected = Buffer.from(eventMac(content, run.sessionKey));
  if (!equalBytes(Buffer.from(mac), expected)) return 'the MAC does not hold';
  if (event.runId !== run.id) return 'it is of another run';
  if (event.traceId !== run.traceId) return 'it is of another trace';
  if (!isUlid(event.id)) return 'its id is not a ULID';
  if (event.seq !== run.seq + 1) return `expected sequence ${run.seq + 1}, found ${event.seq}`;
  if (Math.abs(now - event.at) > EVENT_WINDOW_MS) return `it is ${Math.abs(now - event.at)} ms away from now`;
  if (!MAY_SEND[event.source].includes(event.type)) return `${event.source} may not send ${event.type}`;
  return null;
}
