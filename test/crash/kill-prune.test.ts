import { chmodSync, cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openReceipt, verifyReceipt } from '../../src/runtime/receipt.ts';
import { parseReceiptKey } from '../../src/security/encryption-keys.ts';
import { parseVerificationKey } from '../../src/security/signing-keys.ts';
import { verifyAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { findMissing } from '../../src/store/missing-receipts.ts';
import { findReceipt, listReceipts } from '../../src/store/receipts.ts';
import { type CrashRig, createRig, expectDone, seededNumbers, stepsToTry } from '../support/crash-rig.ts';
import { addReceipts, keysOf } from '../support/many-receipts.ts';

/** `AX_CRASH_ROUNDS=200` for the long version. */
const ROUNDS = Number(process.env.AX_CRASH_ROUNDS ?? 10);
/** A prune removes 1000 in one transaction: with these it takes two, and can be cut between them. */
const OLD = 1_010;
const YOUNG = 10;
const DAY_MS = 24 * 60 * 60 * 1000;
const PRUNE = ['receipts', 'prune', '--older-than', '30d', '--yes'];

let rig: CrashRig;

afterEach(() => rig.remove());

test('SIGKILL at each step of a prune: what is there verifies, what is not has evidence, and a rerun finishes', {
  timeout: 300_000,
}, async () => {
  rig = await rigWith(OLD);
  const steps = await rig.countSteps(PRUNE, copyOfStore('counting'));
  expect(steps).toBeGreaterThan(15);
  for (const at of stepsToTry(steps)) {
    const store = copyOfStore(`step-${at}`);
    const { signal } = await rig.ax(PRUNE, { ...store, atStep: { at, signal: 'SIGKILL' } });
    expect(signal, `step ${at} of ${steps}`).toBe('SIGKILL');
    expect([OLD + YOUNG, OLD - 1_000 + YOUNG, YOUNG]).toContain(countWithEvidence(store.env.AX_STORE));
    await expectDone(rig, PRUNE, store);
    expect(countWithEvidence(store.env.AX_STORE)).toBe(YOUNG);
    expectNothingFree(store.env.AX_STORE);
  }
});

test(`SIGKILL at ${ROUNDS} random moments of a prune: the same, by the command line as well`, {
  timeout: 60_000 + ROUNDS * 15_000,
}, async () => {
  rig = await rigWith(OLD);
  const began = performance.now();
  await expectDone(rig, PRUNE, copyOfStore('timing'));
  const life = performance.now() - began;
  const random = seededNumbers(7);
  let cut = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const store = copyOfStore(`round-${round}`);
    const running = rig.start(PRUNE, store);
    const delay = random() * life;
    await Promise.race([running.ended, new Promise((resolve) => setTimeout(resolve, delay))]);
    running.kill('SIGKILL');
    if ((await running.ended).signal === 'SIGKILL') cut++;
    countWithEvidence(store.env.AX_STORE);
    await expectDone(rig, ['receipts', 'verify', '--all', '--offline'], store);
    await expectDone(rig, PRUNE, store);
    expect(countWithEvidence(store.env.AX_STORE)).toBe(YOUNG);
    await expectDone(rig, ['audit', 'verify'], store);
  }
  console.log(`${ROUNDS} rounds: ${cut} prunes cut short`);
});

test('a prune beside runs, rotations and another prune: each does its work, and nothing is lost', {
  timeout: 120_000,
}, async () => {
  rig = await rigWith(3_000);
  let pruning = true;
  const prunes = Promise.all([rig.ax(PRUNE), rig.ax(PRUNE)]).finally(() => {
    pruning = false;
  });
  let runs = 0;
  do {
    const ended = await Promise.all([rig.ax(['run', 'hello']), rig.ax(['keys', 'rotate'])]);
    expect(ended.map(({ status }) => status)).toEqual([0, 0]);
    runs++;
  } while (pruning);
  expect((await prunes).map(({ status }) => status)).toEqual([0, 0]);
  expect(countWithEvidence(rig.store)).toBe(YOUNG + runs);
  await expectDone(rig, ['receipts', 'verify', '--all']);
});

/** A store with that many receipts of a year ago, and a few of today, made in this process. */
async function rigWith(old: number): Promise<CrashRig> {
  rig = await createRig({ hello: { run: ['echo', 'hello'] } });
  const database = rig.open();
  const keys = keysOf(rig.keyring());
  addReceipts(database, keys, { count: old, from: Date.now() - 365 * DAY_MS, every: 1000 });
  addReceipts(database, keys, { count: YOUNG, from: Date.now() - 1000, every: 1 });
  database.close();
  return rig;
}

function copyOfStore(name: string): { env: { AX_STORE: string } } {
  const store = join(rig.root, name);
  cpSync(rig.store, store, { recursive: true });
  // cpSync keeps the modes of files and not those of folders.
  chmodSync(store, 0o700);
  return { env: { AX_STORE: store } };
}

/** How many receipts a store has, each of which opens and verifies; every other that it had was pruned, on record. */
function countWithEvidence(store: string): number {
  const keyring = rig.keyring();
  const of = (role: string) => keyring.filter((entry) => entry.role === role);
  const identities = of('receipt').map(({ jwk, kid }) => parseReceiptKey(jwk, kid));
  const hosts = of('host').map(({ publicJwk, kid }) => parseVerificationKey(publicJwk, kid));
  const database = openDatabase(store, process.getuid?.() ?? -1);
  try {
    verifyAudit(database);
    findMissing(database, undefined, ({ message }) => {
      throw new Error(message);
    });
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    const rows = listReceipts(database, { limit: -1 });
    for (const { id } of rows) {
      const receipt = findReceipt(database, id);
      verifyReceipt(receipt, openReceipt(receipt, identities), hosts);
    }
    return rows.length;
  } finally {
    database.close();
  }
}

function expectNothingFree(store: string): void {
  const database = openDatabase(store, process.getuid?.() ?? -1);
  expect(database.prepare('PRAGMA freelist_count').get()).toEqual({ freelist_count: 0 });
  database.close();
}
