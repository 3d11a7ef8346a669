import type { Actor } from '../context.ts';
import { appendAudit } from './audit.ts';
import type { Database } from './database.ts';

/** What is worth an alert: more than `over` of a kind within a window (spec: security, "Alerts"). */
const ALERTS = {
  'guard-blocks': { over: 5, windowMs: 10 * 60_000, severity: 'critical' },
  'event-replays': { over: 10, windowMs: 5 * 60_000, severity: 'high' },
  'cancel-limit': { over: 50, windowMs: 60 * 60_000, severity: 'medium' },
  'signature-failures': { over: 1, windowMs: 24 * 60 * 60_000, severity: 'high' },
} as const;

export type AlertKind = keyof typeof ALERTS;

/**
 * Counts one occurrence, and raises the alert when there are too many: as a record of the audit log, once a
 * window. The counts live in the store, so they add up over processes and restarts. Only as many are kept as tell
 * that there are too many: a flood makes neither the store nor the counting grow. Inside `database.write`, in the
 * transaction that records the occurrence itself.
 */
export function countTowardsAlert(
  database: Database,
  kind: AlertKind,
  { now, actor, runId }: { now: number; actor: Actor; runId: string | null },
): void {
  const { over, windowMs, severity } = ALERTS[kind];
  const seen = `alert:${kind}`;
  const raised = `alert-raised:${kind}`;
  for (const bucket of [seen, raised]) {
    database.prepare('DELETE FROM limit_uses WHERE bucket = ? AND at <= ?').run(bucket, now - windowMs);
  }
  const add = database.prepare('INSERT INTO limit_uses (bucket, at) VALUES (?, ?)');
  const count = database.prepare('SELECT count(*) AS n FROM limit_uses WHERE bucket = ?');
  add.run(seen, now);
  database
    .prepare(
      `DELETE FROM limit_uses WHERE rowid IN
         (SELECT rowid FROM limit_uses WHERE bucket = ? ORDER BY at DESC LIMIT -1 OFFSET ?)`,
    )
    .run(seen, over + 1);
  const occurrences = Number(count.get(seen)?.n);
  if (occurrences <= over || Number(count.get(raised)?.n) > 0) return;
  add.run(raised, now);
  appendAudit(database, now, {
    type: 'alert',
    runId,
    actor,
    data: { alert: kind, severity, occurrences, windowSeconds: windowMs / 1000 },
  });
}
