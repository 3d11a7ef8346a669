/** The variable in which ax is told of a trace, and tells tasks. */
export const TRACEPARENT = 'TRACEPARENT';

/** W3C trace context, levels 1 and 2: what a process is told about the trace that it is part of. */
export interface Traceparent {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero: the span of whoever says this. */
  readonly spanId: string;
  /** The bits that both levels know: 1, what is traced is recorded; 2, the trace id is random. */
  readonly flags: number;
}

const SHAPE = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const KNOWN_FLAGS = 0b11;

/**
 * Reads a `traceparent`. A version that is not known yet may have more fields after the four of version 00, and is
 * read as far as those go (trace context, "Versioning of traceparent").
 *
 * @returns null for what is none: ids in upper case or all zero, version ff, more fields in version 00
 */
export function parseTraceparent(text: string): Traceparent | null {
  const [, version, traceId = '', spanId = '', flags = '', more] = SHAPE.exec(text) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (/^0*$/.test(traceId) || /^0*$/.test(spanId)) return null;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) & KNOWN_FLAGS };
}

/** Writes one, as version 00. */
export function formatTraceparent({ traceId, spanId, flags }: Traceparent): string {
  return `00-${traceId}-${spanId}-${(flags & KNOWN_FLAGS).toString(16).padStart(2, '0')}`;
}
