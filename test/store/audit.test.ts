import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { appendAudit, auditHead, listAudit, verifyAudit } from '../../src/store/audit.ts';
import type { Database } from '../../src/store/database.ts';
import { codeOf } from '../support/code-of.ts';
import { testContext } from '../support/context.ts';
import { temporaryStore } from '../support/store.ts';
import { runWorkers } from '../support/workers.ts';

const RECORDS = 5;
const COLUMNS = ['seq', 'at', 'type', 'run_id', 'actor', 'data', 'prev', 'hash'];

type Row = Record<string, SQLInputValue>;

/** A store with some records, and a second connection to change them by. */
function setUp(): { database: Database; sqlite: DatabaseSync } {
  const context = testContext('audit');
  const database = temporaryStore(context);
  for (let count = 1; count <= RECORDS; count++) {
    database.write(() =>
      appendAudit(database, context.now() + count, {
        type: count % 2 === 0 ? 'run.transition' : 'key.change',
        runId: count % 2 === 0 ? '01JDZ8ZZZZZZZZZZZZZZZZZZZZ' : null,
        actor: context.actor,
        data: { count, list: [1, 'two', null], text: 'ä"\\ <b>\u2028' },
      }),
    );
  }
  const sqlite = new DatabaseSync(join(database.directory, 'ax.db'));
  onTestFinished(() => sqlite.close());
  return { database, sqlite };
}

function rowsOf(sqlite: DatabaseSync): Row[] {
  return sqlite.prepare('SELECT * FROM audit ORDER BY seq').all() as Row[];
}

function restore(sqlite: DatabaseSync, rows: readonly Row[]): void {
  sqlite.exec('DELETE FROM audit');
  const insert = sqlite.prepare(`INSERT INTO audit (${COLUMNS}) VALUES (${COLUMNS.map(() => '?')})`);
  for (const row of rows) insert.run(...COLUMNS.map((column) => row[column] ?? null));
}

/** What someone could write into a column in place of what stands there. */
function changesOf(column: string, value: SQLInputValue | undefined): SQLInputValue[] {
  switch (column) {
    case 'seq':
      return [0, -1, RECORDS + 7, 2n ** 60n];
    case 'at':
      return [Number(value) + 1, Number(value) - 1, 0, -1, 2n ** 53n + 1n, 2n ** 62n];
    case 'run_id':
      return value === null
        ? ['', '01JDZ8ZZZZZZZZZZZZZZZZZZZZ', 'null']
        : [null, '', '01JDZ9ZZZZZZZZZZZZZZZZZZZZ'];
    case 'actor':
    case 'data': {
      const text = String(value);
      const other = text.replace(/"(count|uid)":(\d+)/, '"$1":9$2');
      return [
        other,
        ` ${text}`,
        `${text}\n`,
        text.replace(':', ': '),
        // The last of two names counts to a JSON parser, the first to a reader.
        text.replace('{', '{"count":0,"uid":0,'),
        JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text)).reverse())),
        text.replace(/"(count|uid)":(\d+)/, '"$1":$2.0'),
        text.replace(/"(count|uid)":(\d+)/, '"$1":$2e0'),
        text.replace('"t', '"\\u0074'),
        text.replace(/"(count|uid)":(\d+)/, '"$1":1e999'),
        text.replace(/"(count|uid)":(\d+)/, '"$1":"\\ud800"'),
        text.slice(0, -1),
        `${text}}`,
        `${text}\0`,
        '{}',
        '[]',
        'null',
        '',
        '{"__proto__":{}}',
      ];
    }
    default:
      return [
        '',
        `${value}x`,
        `x${value}`,
        String(value).slice(1),
        `${value}\0`,
        String(value).toUpperCase(),
        `${value} `,
      ];
  }
}

describe('a log that was changed', () => {
  test('any one column of any one record', () => {
    const { database, sqlite } = setUp();
    const rows = rowsOf(sqlite);
    const unnoticed: string[] = [];
    let tried = 0;
    for (const row of rows) {
      for (const column of COLUMNS) {
        for (const changed of changesOf(column, row[column])) {
          if (changed === row[column]) continue;
          sqlite.prepare(`UPDATE audit SET ${column} = ? WHERE seq = ?`).run(changed, row.seq ?? null);
          tried++;
          if (codeOf(() => verifyAudit(database)) !== 'AUDIT_TAMPERED') {
            unnoticed.push(`${row.seq}.${column}: ${String(row[column])} -> ${String(changed)}`);
          }
          restore(sqlite, rows);
        }
      }
    }
    expect(unnoticed).toEqual([]);
    expect(tried).toBeGreaterThan(200);
    expect(verifyAudit(database).records).toBe(RECORDS);
  });

  test('a record removed, from anywhere but the end', () => {
    const { database, sqlite } = setUp();
    const rows = rowsOf(sqlite);
    for (let seq = 1; seq < RECORDS; seq++) {
      sqlite.prepare('DELETE FROM audit WHERE seq = ?').run(seq);
      expect([seq, codeOf(() => verifyAudit(database))]).toEqual([seq, 'AUDIT_TAMPERED']);
      // Nor does it help to close the ranks.
      sqlite.prepare('UPDATE audit SET seq = -seq WHERE seq > ?').run(seq);
      sqlite.exec('UPDATE audit SET seq = -seq - 1 WHERE seq < 0');
      expect([seq, codeOf(() => verifyAudit(database))]).toEqual([seq, 'AUDIT_TAMPERED']);
      restore(sqlite, rows);
    }
  });

  test('a record inserted', () => {
    const { database, sqlite } = setUp();
    const rows = rowsOf(sqlite);
    for (let place = 0; place <= RECORDS; place++) {
      const copy = { ...(rows[Math.max(place - 1, 0)] ?? {}) };
      const longer = [...rows.slice(0, place), copy, ...rows.slice(place)];
      restore(
        sqlite,
        longer.map((row, index) => ({ ...row, seq: index + 1 })),
      );
      expect([place, codeOf(() => verifyAudit(database))]).toEqual([place, 'AUDIT_TAMPERED']);
    }
  });

  test('any two records exchanged', () => {
    const { database, sqlite } = setUp();
    const rows = rowsOf(sqlite);
    for (let one = 0; one < RECORDS; one++) {
      for (let other = one + 1; other < RECORDS; other++) {
        const swapped = [...rows];
        swapped[one] = { ...(rows[other] ?? {}), seq: one + 1 };
        swapped[other] = { ...(rows[one] ?? {}), seq: other + 1 };
        restore(sqlite, swapped);
        expect([one, other, codeOf(() => verifyAudit(database))]).toEqual([one, other, 'AUDIT_TAMPERED']);
      }
    }
  });

  test('a beginning cut off', () => {
    const { database, sqlite } = setUp();
    sqlite.exec('DELETE FROM audit WHERE seq <= 2');
    expect(codeOf(() => verifyAudit(database))).toBe('AUDIT_TAMPERED');
  });

  test('an end cut off is what no chain shows: the head that was noted elsewhere does', () => {
    const { database, sqlite } = setUp();
    const noted = verifyAudit(database);
    sqlite.prepare('DELETE FROM audit WHERE seq = ?').run(RECORDS);
    const verdict = verifyAudit(database);
    expect(verdict.records).toBe(RECORDS - 1);
    expect(verdict.head).not.toBe(noted.head);
  });
});

describe('a log', () => {
  test('names the record at which it breaks', () => {
    const { database, sqlite } = setUp();
    sqlite.exec("UPDATE audit SET type = 'key.list' WHERE seq = 3");
    expect(() => verifyAudit(database)).toThrow(/broken at record 3/);
  });

  test('that is empty holds', () => {
    const database = temporaryStore(testContext('empty'));
    expect(verifyAudit(database)).toEqual({ records: 0, head: '0'.repeat(64) });
    expect(auditHead(database)).toEqual({ seq: 0, hash: '0'.repeat(64) });
  });

  test('is listed oldest first, the newest of them, by type and run', () => {
    const { database } = setUp();
    expect(listAudit(database).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect(listAudit(database, { limit: 2 }).map(({ seq }) => seq)).toEqual([4, 5]);
    expect(listAudit(database, { type: 'run.transition' }).map(({ seq }) => seq)).toEqual([2, 4]);
    expect(listAudit(database, { runId: '01JDZ8ZZZZZZZZZZZZZZZZZZZZ', limit: 1 })).toMatchObject([
      { seq: 4, data: { count: 4 } },
    ]);
  });

  test('that eight processes append to is one chain, and nothing is missing', async () => {
    const database = temporaryStore(testContext('eight'));
    const jobs = Array.from({ length: 8 }, () => ['append', database.directory, '40']);
    expect(await runWorkers(jobs)).toEqual(Array(8).fill('appended'));
    expect(verifyAudit(database).records).toBe(320);
    const counts = new Map<unknown, number[]>();
    for (const { data } of listAudit(database)) {
      const { pid, count } = data as { pid: number; count: number };
      counts.set(pid, [...(counts.get(pid) ?? []), count]);
    }
    expect([...counts.values()]).toEqual(Array(8).fill(Array.from({ length: 40 }, (_, index) => index)));
  });
});
