import { firstUlid } from '../security/ulid.ts';
import type { OutcomeName } from './runs.ts';

/** Which receipts of a store are meant. What is left out does not count; times are milliseconds since the epoch. */
export interface ReceiptFilter {
  readonly task?: string | undefined;
  readonly outcome?: OutcomeName | undefined;
  /** An OS user by name, or as `uid:N`. A name that begins with `uid:` is never a name. */
  readonly actor?: string | undefined;
  readonly runId?: string | undefined;
  /** Made at this moment or later; the time is the one in the receipt's id. */
  readonly since?: number | undefined;
  /** Made before this moment. */
  readonly until?: number | undefined;
}

/** Of `receipts`: conditions for after WHERE, and the values of their question marks. */
export interface Conditions {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/**
 * Each condition stands only where it is asked for, so that one index answers it: with `? IS NULL OR …` SQLite would
 * look at every row. A receipt's time is a range of ids, which every index ends with.
 */
export function conditionsOf(filter: ReceiptFilter, before?: string): Conditions {
  const { task, outcome, actor, runId, since, until } = filter;
  const uid = actor?.startsWith('uid:') ? Number(actor.slice(4)) : undefined;
  const pairs: [string, string | number | undefined][] = [
    ['task = ?', task],
    ['outcome = ?', outcome],
    ['actor_uid = ?', uid],
    ['actor_name = ?', uid === undefined ? actor : undefined],
    ['run_id = ?', runId],
    ['id >= ?', since === undefined ? undefined : firstUlid(since)],
    ['id < ?', until === undefined ? undefined : firstUlid(until)],
    ['id < ?', before],
  ];
  const asked = pairs.flatMap(([sql, value]) => (value === undefined ? [] : [{ sql, value }]));
  return {
    sql: asked.length === 0 ? 'TRUE' : asked.map(({ sql }) => sql).join(' AND '),
    values: asked.map(({ value }) => value),
  };
}
