import { isObject, kindOf } from '../../security/json-shape.ts';
import type { Verdict } from './verdict.ts';

/** In UTF-16 units. A reason is one line of a report, not a channel. */
export const MAX_REASON = 500;

/** Well-formed Unicode of at most `MAX_REASON` units. Control characters stay: whoever prints it escapes it. */
export function boundReason(reason: string): string {
  const text = reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON - 1)}…` : reason;
  // The text may hold half a surrogate pair, and the cut may have made one.
  return text.toWellFormed();
}

/**
 * Reads an answer from outside. It counts if it has exactly the members of a verdict, each of its own type:
 * nothing is coerced, and nothing more may stand beside them.
 *
 * @returns the verdict, or in words what is wrong with it.
 */
export function parseAnswer(value: unknown): Verdict | string {
  if (!isObject(value)) return `expected an object with verdict and reason, found ${kindOf(value)}`;
  const { verdict, reason, retryAfterMs, ...rest } = value;
  if (Object.keys(rest).length > 0)
    return 'expected verdict, reason and retryAfterMs, found other members too';
  if (typeof reason !== 'string') return `expected reason to be a string, found ${kindOf(reason)}`;
  if (!reason.isWellFormed()) return 'expected reason to be well-formed Unicode';
  if (reason.length > MAX_REASON) return `expected a reason of at most ${MAX_REASON} characters`;
  if (verdict === 'pass' || verdict === 'fail') {
    return 'retryAfterMs' in value ? `expected no retryAfterMs with "${verdict}"` : { verdict, reason };
  }
  if (verdict !== 'defer') return 'expected verdict to be "pass", "fail" or "defer"';
  if (!isWait(retryAfterMs)) return 'expected retryAfterMs to be a whole number, at least 1';
  return { verdict, reason, retryAfterMs };
}

function isWait(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}
