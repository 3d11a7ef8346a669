import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openReceipt, verifyReceipt } from '../../src/runtime/receipt.ts';
import { parseReceiptKey } from '../../src/security/encryption-keys.ts';
import { parseSigningKey } from '../../src/security/signing-keys.ts';
import { verifyAudit } from '../../src/store/audit.ts';
import { openDatabase } from '../../src/store/database.ts';
import { findReceipt, listReceipts } from '../../src/store/receipts.ts';
import { type CrashRig, createRig, expectDone, stepsToTry } from '../support/crash-rig.ts';
import { makeLegacyStore } from '../support/legacy-store.ts';

/** An import takes over 100 in one transaction: with these it takes two, and can be cut between them. */
const RECEIPTS = 150;

let rig: CrashRig;
let old: string;
let env: Readonly<Record<string, string>>;

beforeEach(async () => {
  rig = await createRig({ hello: { run: ['echo', 'hello'] } });
  old = join(rig.root, 'old');
  const key = randomBytes(32);
  makeLegacyStore(old, RECEIPTS, key);
  env = { AX_LEGACY_KEY: key.toString('base64') };
});

afterEach(() => rig.remove());

test('SIGKILL at each step of an import: what is there verifies, nothing twice, and a rerun finishes', {
  timeout: 300_000,
}, async () => {
  const args = ['receipts', 'import', '--legacy', old];
  const before = originals();
  const into = (name: string) => ({ env: { ...env, AX_STORE: join(rig.root, name) } });
  const steps = await rig.countSteps(args, into('counting'));
  expect(steps).toBeGreaterThan(10);
  for (const at of stepsToTry(steps)) {
    const store = into(`store-${at}`);
    const { signal } = await rig.ax(args, { ...store, atStep: { at, signal: 'SIGKILL' } });
    expect(signal, `step ${at} of ${steps}`).toBe('SIGKILL');
    expect([0, 100, RECEIPTS]).toContain(countVerified(store.env.AX_STORE));
    await expectDone(rig, args, store);
    expect(countVerified(store.env.AX_STORE)).toBe(RECEIPTS);
  }
  expect(originals()).toEqual(before);
});

test('two imports of one folder at once take each receipt over once', { timeout: 60_000 }, async () => {
  const args = ['receipts', 'import', '--legacy', old];
  const both = await Promise.all([rig.ax(args, { env }), rig.ax(args, { env })]);
  expect(both.map(({ status }) => status)).toEqual([0, 0]);
  expect(countVerified(rig.store)).toBe(RECEIPTS);
});

function originals(): Record<string, string> {
  return Object.fromEntries(readdirSync(old).map((name) => [name, readFileSync(join(old, name), 'utf8')]));
}

/** How many receipts a store has, each of which opens and verifies. */
function countVerified(store: string): number {
  if (!existsSync(join(store, 'ax.db'))) return 0;
  const keyring = rig.keyring();
  const identities = keyring
    .filter(({ role }) => role === 'receipt')
    .map(({ jwk, kid }) => parseReceiptKey(jwk, kid));
  const hosts = keyring
    .filter(({ role }) => role === 'host')
    .map(({ jwk, kid }) => parseSigningKey(jwk, kid));
  const database = openDatabase(store, process.getuid?.() ?? -1);
  try {
    verifyAudit(database);
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
