import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from '../context.ts';

/** Why a task that its guards deferred is not held any longer. */
export type Released =
  /** It is time to ask the guards again. */
  | 'again'
  /** Nobody waits for the guards, and no other task is going on. */
  | 'alone'
  /** It cannot start any more, whatever its guards say. */
  | 'never'
  /** It was canceled. */
  | 'stopped';

export interface HoldRequest {
  /** When the guards are worth asking again: wall clock, milliseconds. */
  readonly until: number;
  /** Until when the user is willing to wait, on the monotonic clock; then, too, they are asked once more. */
  readonly deadline: number;
  /** What the other tasks of the invocation come to. */
  readonly others: Promise<'alone' | 'never'>;
  readonly stopped: Promise<unknown>;
}

/** A timer stands still while the machine sleeps and the wall clock does not, so that is looked at this often. */
const LOOK_MS = 15_000;

/** Waits until a deferral is over, or there is no point in waiting any longer. */
export async function hold(
  context: Context,
  { until, deadline, others, stopped }: HoldRequest,
): Promise<Released> {
  const timer = new AbortController();
  const time = async (): Promise<Released> => {
    while (!timer.signal.aborted) {
      const left = Math.min(until - context.now(), deadline - context.monotonic());
      if (left <= 0) break;
      await delay(Math.min(left, LOOK_MS), undefined, { signal: timer.signal }).catch(() => {});
    }
    return 'again';
  };
  try {
    return await Promise.race([stopped.then((): Released => 'stopped'), others, time()]);
  } finally {
    timer.abort();
  }
}
