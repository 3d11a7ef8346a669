import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { generateReceiptKey, parseReceiptKey } from '../../src/security/encryption-keys.ts';
import { generateEd25519, parseSigningKey } from '../../src/security/signing-keys.ts';
import { openDatabase } from '../../src/store/database.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { listQuery, listReceipts, type ReceiptPage } from '../../src/store/receipts.ts';
import { testContext } from '../support/context.ts';
import { addReceipts } from '../support/many-receipts.ts';
import { temporaryStore } from '../support/store.ts';

const FROM = Date.UTC(2026, 0, 15);
const HOUR_MS = 60 * 60 * 1000;
const TASKS = ['build', 'test', 'deploy'];

/** Sixty receipts, one an hour: a third for each task, every fifth failed, half by each user. */
function filled() {
  const context = testContext('receipt-list');
  const { randomBytes } = context;
  const database = temporaryStore(context);
  const keys = {
    host: parseSigningKey(generateEd25519(randomBytes), 'host'),
    recipients: [parseReceiptKey(generateReceiptKey(randomBytes), 'receipt')],
  };
  const ids = addReceipts(database, keys, {
    count: 60,
    from: FROM,
    every: HOUR_MS,
    each: (index) => ({
      task: TASKS[index % 3] ?? '',
      outcome: index % 5 === 0 ? 'failed' : 'completed',
      actor: index % 2 === 0 ? { uid: 1000, name: 'ana' } : { uid: 1001, name: 'bo' },
    }),
  });
  return { database, ids };
}

const FILTERS: [string, Omit<ReceiptPage, 'limit'>, (index: number) => boolean][] = [
  ['nothing', {}, () => true],
  ['a task', { task: 'test' }, (index) => index % 3 === 1],
  ['an outcome', { outcome: 'failed' }, (index) => index % 5 === 0],
  ['a user by name', { actor: 'bo' }, (index) => index % 2 === 1],
  ['a user by number', { actor: 'uid:1000' }, (index) => index % 2 === 0],
  ['a first moment', { since: FROM + 50 * HOUR_MS }, (index) => index >= 50],
  ['a last moment', { until: FROM + 10 * HOUR_MS }, (index) => index < 10],
  [
    'several of these at once',
    { task: 'build', outcome: 'failed', actor: 'ana', since: FROM + 1, until: FROM + 40 * HOUR_MS },
    (index) => index === 30,
  ],
  ['a task that there is not', { task: "build' OR 1" }, () => false],
  ['a number that nobody has', { actor: 'uid:0' }, () => false],
];

test.each(FILTERS)('filtered by %s, pages show each receipt once, the newest first', (_, filter, matches) => {
  const { database, ids } = filled();
  const found: string[] = [];
  for (;;) {
    const page = listReceipts(database, { ...filter, limit: 7, before: found.at(-1) });
    found.push(...page.map(({ id }) => id));
    if (page.length < 7) break;
  }
  expect(found).toEqual(ids.filter((_id, index) => matches(index)).reverse());
});

test.each(FILTERS)('filtered by %s, a page is read from an index in the order of ids', (_, filter) => {
  const { database } = filled();
  const { sql, values } = listQuery({ ...filter, limit: 50, before: '01JZZZZZZZZZZZZZZZZZZZZZZZ' });
  const plan = database
    .prepare(`EXPLAIN QUERY PLAN ${sql}`)
    .all(...values)
    .map(({ detail }) => String(detail));
  expect(plan[0]).toMatch(/^SEARCH receipts USING INDEX \S+ \(.*id<\?.*\)$/);
  expect(plan.join('\n')).not.toMatch(/SCAN|TEMP B-TREE/);
});

test('the receipts of one run are found by the run, whatever the size of the store', () => {
  const { database, ids } = filled();
  const [newest] = listReceipts(database, { limit: 1 });
  const filter = { runId: newest?.runId, limit: 50 };
  expect(listReceipts(database, filter).map(({ id }) => id)).toEqual([ids.at(-1)]);
  const { sql, values } = listQuery(filter);
  const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values);
  expect(String(plan[0]?.detail)).toMatch(/^SEARCH receipts USING INDEX \S+ \(run_id=\?\)$/);
});

test('a store from before receipts had a user beside them gets it from the runs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ax-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const store = join(folder, '.ax');
  mkdirSync(store, { mode: 0o700 });
  const before = new DatabaseSync(join(store, 'ax.db'));
  const steps = MIGRATIONS.slice(
    0,
    MIGRATIONS.findIndex((step) => step.includes('receipts_actor_name')),
  );
  before.exec(`PRAGMA application_id = ${0x61780001}; PRAGMA user_version = ${steps.length}`);
  for (const step of steps) before.exec(step);
  before.exec(`
    INSERT INTO runs (id, trace_id, span_id, project, task, attempt, manifest_digest, manifest_version, lock_sha256,
      inputs_sha256, actor, state, started_at, supervisor_host, supervisor_pid, supervisor_start, cancel_policy)
    VALUES ('R', 't', 's', 'acme/web', 'build', 1, '', 0, '', '', '{"uid":7,"name":"ana \\" b"}', 'COMPLETED', 0, '', 0,
      '', '{}');
    INSERT INTO receipts VALUES ('E', 'R', 1, 'acme/web', 'build', 'completed', 0, 0, '', '', x'00', '');
  `);
  before.close();
  const database = openDatabase(store, process.getuid?.() ?? -1);
  expect(listReceipts(database, { actor: 'ana " b', limit: 1 })).toMatchObject([
    { id: 'E', actor: { uid: 7, name: 'ana " b' } },
  ]);
  database.close();
});
