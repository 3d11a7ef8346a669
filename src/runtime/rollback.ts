import { setTimeout as delay } from 'node:timers/promises';
import { endRollback, queueRollback, rollbackMayStart } from '../store/rollback-slots.ts';
import type { Invocation } from './invocation.ts';
import { livenessOf } from './supervisor-identity.ts';

const POLL_MS = 50;

/**
 * Runs a rollback when one of the few places for it is free. Rollbacks are what a flood of cancels could
 * multiply, so over all processes of a store only so many go on at once; the rest wait in order of arrival.
 */
export async function inRollbackQueue<T>(
  { context, database, supervisor }: Pick<Invocation, 'context' | 'database' | 'supervisor'>,
  runId: string,
  body: () => Promise<T>,
): Promise<T> {
  queueRollback(database, { runId, supervisor, now: context.now() });
  try {
    while (!rollbackMayStart(database, runId, (other) => livenessOf(other, context) === 'lost')) {
      await delay(POLL_MS);
    }
    return await body();
  } finally {
    endRollback(database, runId);
  }
}
