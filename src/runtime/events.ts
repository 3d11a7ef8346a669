import { createHmac } from 'node:crypto';
import { encodeBase64url } from '../security/base64.ts';
import { canonicalJson } from '../security/canonical.ts';
import type { JsonValue } from '../security/json.ts';
import { createUlid } from '../security/ulid.ts';
import type { MachineEvent } from './machine.ts';

/** Who may say something about a run. */
export type EventSource = 'dispatcher' | 'executor' | 'guard-host' | 'telemetry' | 'cancel-channel';

/** An event as it is recorded (spec: formats, "Events"). */
export interface AuthenticatedEvent {
  readonly id: string;
  readonly runId: string;
  readonly type: MachineEvent['type'];
  readonly payload: { readonly [name: string]: JsonValue };
  readonly source: EventSource;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** HMAC-SHA256, base64url, under the run's session key over the canonical JSON of the rest. */
  readonly mac: string;
}

export interface EventContext {
  readonly runId: string;
  readonly traceId: string;
  readonly parentSpanId: string;
  readonly sessionKey: Uint8Array;
  readonly source: EventSource;
  readonly seq: number;
  readonly now: number;
  readonly randomBytes: (count: number) => Uint8Array;
}

/** Makes the next event of a run. */
export function createEvent(event: MachineEvent, context: EventContext): AuthenticatedEvent {
  const { type, ...payload } = event;
  const content = {
    id: createUlid(context.now, context.randomBytes),
    runId: context.runId,
    type,
    payload,
    source: context.source,
    traceId: context.traceId,
    spanId: createSpanId(context.randomBytes),
    parentSpanId: context.parentSpanId,
    seq: context.seq,
    at: context.now,
  };
  return { ...content, mac: eventMac(content, context.sessionKey) };
}

export function eventMac(content: Omit<AuthenticatedEvent, 'mac'>, sessionKey: Uint8Array): string {
  return encodeBase64url(createHmac('sha256', sessionKey).update(canonicalJson(content)).digest());
}

/** W3C trace context: 16 bytes in hex, never all zero. */
export function createTraceId(randomBytes: (count: number) => Uint8Array): string {
  return nonZeroHex(randomBytes, 16);
}

/** W3C trace context: 8 bytes in hex, never all zero. */
export function createSpanId(randomBytes: (count: number) => Uint8Array): string {
  return nonZeroHex(randomBytes, 8);
}

function nonZeroHex(randomBytes: (count: number) => Uint8Array, count: number): string {
  for (;;) {
    const bytes = Buffer.from(randomBytes(count));
    if (bytes.some((byte) => byte !== 0)) return bytes.toString('hex');
  }
}
