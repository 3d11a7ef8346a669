import type { Database } from './database.ts';
import { HORIZON_MS } from './horizon.ts';

export interface Limit {
  readonly bucket: string;
  readonly max: number;
  readonly windowMs: number;
}

export type LimitVerdict =
  | { readonly allowed: true; readonly remaining: number }
  | { readonly allowed: false; readonly retryAfterSeconds: number };

/**
 * Counts one use against a sliding window, if there is room. The count lives in the store, so it holds across
 * processes and restarts; inside `database.write`, so two processes cannot both take the last place. A refused
 * use is not counted: trying again too early does not push the end of the wait away.
 *
 * A clock that was set back would leave uses in the future; they count as made now, never as unlimited.
 */
export function countUse(database: Database, limit: Limit, now: number): LimitVerdict {
  database.prepare('UPDATE limit_uses SET at = ?2 WHERE bucket = ?1 AND at > ?2').run(limit.bucket, now);
  // Older than any window: one caller's short window must not take uses from another's count.
  database.prepare('DELETE FROM limit_uses WHERE bucket = ? AND at <= ?').run(limit.bucket, now - HORIZON_MS);
  const uses = database
    .prepare('SELECT at FROM limit_uses WHERE bucket = ? AND at > ? ORDER BY at')
    .all(limit.bucket, now - limit.windowMs);
  if (uses.length >= limit.max) {
    const blocking = Number(uses[uses.length - limit.max]?.at);
    return {
      allowed: false,
      retryAfterSeconds: Math.max(1, Math.ceil((blocking + limit.windowMs - now) / 1000)),
    };
  }
  database.prepare('INSERT INTO limit_uses (bucket, at) VALUES (?, ?)').run(limit.bucket, now);
  return { allowed: true, remaining: limit.max - uses.length - 1 };
}
