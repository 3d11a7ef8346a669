import { AxError } from '../../errors.ts';
import { type JsonValue, parseJson } from '../../security/json.ts';
import { isObject } from '../../security/json-shape.ts';
import { deepFreeze } from './snapshot.ts';

/** The last instant that a `Date` can hold. */
const MAX_INSTANT = 8_640_000_000_000_000;

/** A snapshot as it comes to the isolate, with the one time that there is for a guard. */
export interface ParsedSnapshot {
  readonly value: { readonly [name: string]: JsonValue };
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Reads a snapshot, strictly, and freezes it at every depth.
 *
 * @throws JSON_MALFORMED for text that is not strict JSON; INTERNAL unless it is an object with a whole `now`.
 */
export function parseSnapshotText(text: string): ParsedSnapshot {
  const value = deepFreeze(parseJson(text, 'snapshot'));
  const now = isObject(value) ? value.now : undefined;
  if (!isObject(value) || !Number.isInteger(now) || Math.abs(Number(now)) > MAX_INSTANT) {
    throw new AxError('INTERNAL', 'snapshot: expected an object with `now` in milliseconds', {
      hint: 'this is a defect in ax; please report it',
    });
  }
  return { value: value as ParsedSnapshot['value'], now: Number(now) };
}
