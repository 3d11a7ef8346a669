import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { generateReceiptKey, parseReceiptKey } from '../../src/security/encryption-keys.ts';
import { generateEd25519, parseSigningKey } from '../../src/security/signing-keys.ts';
import { listAudit, verifyAudit } from '../../src/store/audit.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { prunable, pruneReceipts } from '../../src/store/prune.ts';
import { countByKey, findReceipt, listReceipts } from '../../src/store/receipts.ts';
import { reclaimSpace } from '../../src/store/reclaim.ts';
import { codeOf } from '../support/code-of.ts';
import { testContext } from '../support/context.ts';
import { addReceipts } from '../support/many-receipts.ts';
import { reopenStore, temporaryStore } from '../support/store.ts';

const FROM = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60 * 1000;

/** A store with receipts, one a minute; `prune` removes the first of them. */
function filled(count: number, open: (context: ReturnType<typeof testContext>) => Database = temporaryStore) {
  const context = testContext('prune');
  const { randomBytes, actor, now } = context;
  const database = open(context);
  const keys = {
    host: parseSigningKey(generateEd25519(randomBytes), 'host'),
    recipients: [parseReceiptKey(generateReceiptKey(randomBytes), 'receipt')],
  };
  const ids = addReceipts(database, keys, { count, from: FROM, every: MINUTE_MS });
  const prune = (first: number) => pruneReceipts(database, { before: FROM + first * MINUTE_MS, actor, now });
  return { database, context, ids, prune };
}

function storedIds(database: Database): string[] {
  return listReceipts(database, { limit: -1 })
    .map(({ id }) => id)
    .reverse();
}

function tombstones(database: Database): Record<string, unknown>[] {
  return database
    .prepare('SELECT audit_seq, id, run_id, attempt, sha256 FROM pruned_receipts ORDER BY id')
    .all()
    .map((row) => ({ ...row }));
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

test('what was made before is gone, and its digests and those of the list are what anybody would compute', () => {
  const { database, ids, prune, context } = filled(5);
  const sealed = ids.map((id) => findReceipt(database, id));
  expect(prunable(database, FROM + 3 * MINUTE_MS)).toEqual({ count: 3, first: ids[0], last: ids[2] });
  const records = listAudit(database).length;

  expect(prune(3)).toEqual({ count: 3, first: ids[0], last: ids[2], records: [records + 1] });
  expect(storedIds(database)).toEqual(ids.slice(3));
  expect([...countByKey(database).values()]).toEqual([2]);
  // RFC 8785 of texts without escapes is JSON with its keys in order.
  const removed = sealed
    .slice(0, 3)
    .map(({ id, runId, jwe: { ciphertext, iv, protected: header, tag } }) => ({
      attempt: 1,
      id,
      runId,
      sha256: sha256(JSON.stringify({ ciphertext, iv, protected: header, tag })),
    }));
  expect(tombstones(database)).toEqual(
    removed.map((one) => ({
      audit_seq: records + 1,
      id: one.id,
      run_id: one.runId,
      attempt: 1,
      sha256: one.sha256,
    })),
  );
  expect(listAudit(database, { type: 'receipt.prune' })).toMatchObject([
    {
      seq: records + 1,
      runId: null,
      actor: { uid: context.actor.uid, name: 'tester' },
      data: {
        count: 3,
        first: ids[0],
        last: ids[2],
        sha256: sha256(JSON.stringify(removed)),
        before: '2026-01-01T00:03:00.000Z',
      },
    },
  ]);
  verifyAudit(database);

  expect(prune(3)).toEqual({ count: 0, first: null, last: null, records: [] });
  expect(listAudit(database)).toHaveLength(records + 1);
  expect(codeOf(() => findReceipt(database, ids[1] ?? ''))).toBe('RECEIPT_PRUNED');
});

test('a run that goes on keeps the receipts of its attempts until it has ended', () => {
  const { database, ids, prune } = filled(4);
  const { runId } = findReceipt(database, ids[1] ?? '');
  const end = (outcome: string | null) =>
    database.write(() => database.prepare('UPDATE runs SET outcome = ? WHERE id = ?').run(outcome, runId));
  end(null);
  expect(prunable(database, FROM + 4 * MINUTE_MS)).toEqual({ count: 3, first: ids[0], last: ids[3] });
  expect(prune(4).count).toBe(3);
  expect(storedIds(database)).toEqual([ids[1]]);
  end('failed');
  expect(prune(4)).toMatchObject({ count: 1, first: ids[1], last: ids[1] });
});

test('many go in batches, each with a record of its own; large ones in smaller batches', {
  timeout: 60_000,
}, () => {
  const { database, ids, prune } = filled(1_004);
  const resize = database.prepare('UPDATE receipts SET ciphertext = zeroblob(9 * 1024 * 1024) WHERE id = ?');
  database.write(() => {
    for (const id of ids.slice(1_001)) resize.run(id);
  });
  const done: number[] = [];
  const { count, records } = pruneReceipts(database, {
    before: FROM + 1_004 * MINUTE_MS,
    actor: { uid: 7, name: 'ana' },
    now: () => FROM,
    onProgress: (soFar) => done.push(soFar),
  });
  expect([count, records.length, done]).toEqual([1_004, 3, [1_000, 1_003, 1_004]]);
  expect(tombstones(database).map(({ id }) => id)).toEqual(ids);
  const counts = listAudit(database, { type: 'receipt.prune' }).map(({ data }) => data);
  expect(counts).toMatchObject([{ count: 1_000 }, { count: 3 }, { count: 1 }]);
  expect(prune(1_004).count).toBe(0);
});

/** Pieces of the ciphertexts of receipts: sixteen bytes from each hundred. */
function piecesOf(database: Database, ids: readonly string[]): Buffer[] {
  return ids.flatMap((id) => {
    const bytes = Buffer.from(findReceipt(database, id).jwe.ciphertext, 'base64url');
    return Array.from({ length: Math.floor(bytes.length / 100) }, (_, index) =>
      bytes.subarray(index * 100, index * 100 + 16),
    );
  });
}

function wrappedKeysOf(database: Database, ids: readonly string[]): Buffer[] {
  return ids.flatMap((id) =>
    findReceipt(database, id).jwe.recipients.map(({ encrypted_key }) => Buffer.from(encrypted_key)),
  );
}

/** How many of the pieces are in some file of the store. */
function countFound({ directory }: Database, pieces: readonly Buffer[]): number {
  const files = readdirSync(directory).map((name) => readFileSync(join(directory, name)));
  return pieces.filter((piece) => files.some((bytes) => bytes.includes(piece))).length;
}

function sizeOf({ directory }: Database): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

test('the bytes of what was pruned are in no file of the store, which has become smaller', {
  timeout: 60_000,
}, () => {
  const { database, ids, prune } = filled(150);
  const [gone, kept] = [ids.slice(0, 140), ids.slice(140)];
  const pieces = [...piecesOf(database, gone), ...wrappedKeysOf(database, gone)];
  const others = [...piecesOf(database, kept), ...wrappedKeysOf(database, kept)];
  expect(pieces.length).toBeGreaterThan(140 * 20);
  expect(countFound(database, pieces)).toBe(pieces.length);
  const before = sizeOf(database);
  prune(140);
  reclaimSpace(database);
  expect(countFound(database, pieces)).toBe(0);
  expect(countFound(database, others)).toBe(others.length);
  expect(sizeOf(database)).toBeLessThan(before / 2);
  expect(database.prepare('PRAGMA freelist_count').get()).toEqual({ freelist_count: 0 });
  expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
});

test('a store of the ax before is pruned too: it keeps its size, and none of the bytes', {
  timeout: 60_000,
}, () => {
  const { database, ids, prune, context } = filled(100, (made) => {
    const folder = mkdtempSync(join(tmpdir(), 'ax-store-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const before = new DatabaseSync(join(folder, 'ax.db'));
    const steps = MIGRATIONS.slice(
      0,
      MIGRATIONS.findIndex((step) => step.includes('TABLE pruned_receipts')),
    );
    before.exec(`PRAGMA application_id = ${0x61780001}; PRAGMA user_version = ${steps.length}`);
    for (const step of steps) before.exec(step);
    before.close();
    return openDatabase(folder, made.actor.uid);
  });
  expect(database.prepare('PRAGMA auto_vacuum').get()).toEqual({ auto_vacuum: 0 });
  const pieces = piecesOf(database, ids);
  prune(100);
  reclaimSpace(database);
  expect(countFound(database, pieces)).toBe(0);
  expect(Number(database.prepare('PRAGMA freelist_count').get()?.freelist_count)).toBeGreaterThan(50);
  expect(storedIds(reopenStore(context, database))).toEqual([]);
  database.close();
});

test('a row that no receipt was written with ends it, and nothing of its batch is removed', () => {
  const { database, ids, prune } = filled(3);
  database.write(() =>
    database.prepare('UPDATE receipts SET attempt = 9223372036854775807 WHERE id = ?').run(ids[1] ?? ''),
  );
  const records = listAudit(database).length;
  expect(codeOf(() => prune(3))).toBe('RECEIPT_TAMPERED');
  expect(database.prepare('SELECT count(*) AS n FROM receipts').get()).toEqual({ n: 3 });
  expect(tombstones(database)).toEqual([]);
  expect(listAudit(database)).toHaveLength(records);
});

test('a receipt that was pruned is known by its id, that of its run, and their beginnings', () => {
  const { database, ids, prune } = filled(3);
  const runs = ids.map((id) => findReceipt(database, id).runId);
  prune(2);
  const codes = (texts: readonly (string | undefined)[]) =>
    texts.map((text = '') => codeOf(() => findReceipt(database, text)));
  expect(codes([ids[0], runs[0], ids[1]?.slice(0, 24)])).toEqual(Array(3).fill('RECEIPT_PRUNED'));
  // What is stored is meant, where something is.
  expect(findReceipt(database, ids[2]?.slice(0, 6) ?? '').id).toBe(ids[2]);
  prune(3);
  expect(codes([ids[2]?.slice(0, 6), '7ZZ', ''])).toEqual([
    'ID_AMBIGUOUS',
    'RECEIPT_UNKNOWN',
    'RECEIPT_UNKNOWN',
  ]);
});

test('a tombstone whose record is none of a prune is not believed', () => {
  const { database, ids, prune } = filled(2);
  prune(1);
  database.write(() => database.prepare('UPDATE pruned_receipts SET audit_seq = 1').run());
  expect(codeOf(() => findReceipt(database, ids[0] ?? ''))).toBe('RECEIPT_TAMPERED');
});
