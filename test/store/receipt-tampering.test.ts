import { describe, expect, test } from 'vitest';
import { isAxError } from '../../src/errors.ts';
import { openReceipt } from '../../src/runtime/receipt.ts';
import { verifyStored } from '../../src/runtime/verify-receipt.ts';
import { generateReceiptKey, parseReceiptKey } from '../../src/security/encryption-keys.ts';
import { generateEd25519, parseSigningKey } from '../../src/security/signing-keys.ts';
import { loadReceipt } from '../../src/store/receipts.ts';
import { testContext } from '../support/context.ts';
import { addReceipts } from '../support/many-receipts.ts';
import { temporaryStore } from '../support/store.ts';

/** What the seal covers: with any of it changed, nothing is decrypted. */
const SEALED = ['protected', 'iv', 'ciphertext', 'tag', 'run_id'];
/** The copy beside it: the receipt opens, and does not verify. */
const COPIED = [
  'attempt',
  'project',
  'task',
  'outcome',
  'actor_uid',
  'actor_name',
  'started_at',
  'duration_ms',
];
/** Both receipts have the same in these. */
const EQUAL = ['attempt', 'project', 'duration_ms', 'kid', 'header'];
const WRAPPED = ['kid', 'header', 'encrypted_key'];

/** Two receipts, each of a run of its own, for the same keys. */
function twoReceipts() {
  const context = testContext('tampering');
  const { randomBytes } = context;
  const database = temporaryStore(context);
  const host = parseSigningKey(generateEd25519(randomBytes), 'host');
  const receiptKey = parseReceiptKey(generateReceiptKey(randomBytes), 'receipt');
  const [one = '', two = ''] = addReceipts(
    database,
    { host, recipients: [receiptKey] },
    {
      count: 2,
      from: context.now(),
      every: 1000,
      each: (index) => ({
        task: `task-${index}`,
        outcome: index === 0 ? 'completed' : 'failed',
        actor: { uid: 1000 + index, name: `user-${index}` },
      }),
    },
  );
  const keyring = [{ kid: host.kid, state: 'active' as const, revocation: null }];
  const keys = { identities: [receiptKey], hosts: [host], keyring, now: context.now() };
  /** What became of the first receipt: what opening it gave, and what verifying it. */
  const outcome = () => {
    const attempt = (body: () => unknown) => {
      try {
        body();
        return 'held';
      } catch (error) {
        return isAxError(error) ? error.code : String(error);
      }
    };
    const load = () => {
      const receipt = loadReceipt(database, one);
      if (receipt === null) throw new Error('expected the receipt');
      return receipt;
    };
    return {
      opening: attempt(() => openReceipt(load(), keys.identities)),
      verifying: attempt(() => verifyStored(database, load(), keys)),
    };
  };
  return { database, one, two, outcome };
}

test('two receipts as they were written hold', () => {
  expect(twoReceipts().outcome()).toEqual({ opening: 'held', verifying: 'held' });
});

describe.each([
  ['receipts', [...SEALED, ...COPIED], 'id'],
  ['receipt_recipients', WRAPPED, 'receipt_id'],
] as const)('in %s', (table, columns, id) => {
  test.each(columns)('%s of another value is refused, and nothing sealed is opened', (column) => {
    const { database, one, outcome } = twoReceipts();
    database.prepare('PRAGMA foreign_keys = OFF').run();
    const row = database.prepare(`SELECT ${column} AS value FROM ${table} WHERE ${id} = ?`).get(one);
    const change = database.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${id} = ?`);
    for (const value of mutantsOf(row?.value)) {
      change.run(value, one);
      expectRefused(column, outcome());
      change.run(row?.value as string, one);
    }
    expect(outcome()).toEqual({ opening: 'held', verifying: 'held' });
  });

  test.each(columns.filter((column) => !EQUAL.includes(column)))(
    '%s of the other receipt is refused, and nothing sealed is opened',
    (column) => {
      const { database, one, two, outcome } = twoReceipts();
      // Two runs may not have one attempt twice, so the other one makes room first.
      if (column === 'run_id') database.prepare('UPDATE receipts SET attempt = 2 WHERE id = ?').run(two);
      database
        .prepare(
          `UPDATE ${table} SET ${column} = (SELECT ${column} FROM ${table} WHERE ${id} = ?) WHERE ${id} = ?`,
        )
        .run(two, one);
      expectRefused(column, outcome());
    },
  );
});

function expectRefused(column: string, { opening, verifying }: { opening: string; verifying: string }): void {
  if (column === 'kid' || column === 'header')
    expect(['RECEIPT_TAMPERED', 'KEY_UNKNOWN']).toContain(verifying);
  else expect([column, verifying]).toEqual([column, 'RECEIPT_TAMPERED']);
  if (COPIED.includes(column) && column !== 'started_at') expect([column, opening]).toEqual([column, 'held']);
  else if (!COPIED.includes(column)) expect([column, opening]).not.toEqual([column, 'held']);
}

/** Of bytes a flipped bit in up to 400 places, of text every character; and other lengths. */
function mutantsOf(value: unknown): (string | number | Buffer)[] {
  if (typeof value === 'number') return [value + 1, value - 1, -1, Number.MAX_SAFE_INTEGER];
  if (value instanceof Uint8Array) {
    return Array.from({ length: Math.min(value.length, 400) }, (_, index) => {
      const at = Math.floor((index * value.length) / Math.min(value.length, 400));
      const flipped = Buffer.from(value);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (index % 8));
      return flipped;
    }).concat([Buffer.from(value.subarray(1)), Buffer.from(value.subarray(0, -1)), Buffer.alloc(0)]);
  }
  const text = String(value);
  const changed = Array.from(
    text,
    (char, at) => text.slice(0, at) + (char === 'A' ? 'B' : 'A') + text.slice(at + 1),
  );
  return [...changed, '', `${text}A`, ` ${text}`, text.slice(1), text.slice(0, -1)];
}
