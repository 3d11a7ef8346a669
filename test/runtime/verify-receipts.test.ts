import { expect, test } from 'vitest';
import { openReceipt } from '../../src/runtime/receipt.ts';
import { verdictOf, verifyStored } from '../../src/runtime/verify-receipt.ts';
import { verifyReceipts } from '../../src/runtime/verify-receipts.ts';
import type { Envelope } from '../../src/security/dsse.ts';
import { serializeEnvelope, signEnvelope } from '../../src/security/dsse-sign.ts';
import { generateReceiptKey, parseReceiptKey } from '../../src/security/encryption-keys.ts';
import { seal } from '../../src/security/jwe.ts';
import { generateEd25519, parseSigningKey, type SigningKey } from '../../src/security/signing-keys.ts';
import { appendAudit } from '../../src/store/audit.ts';
import type { ReceiptFilter } from '../../src/store/receipt-filter.ts';
import { loadReceipt } from '../../src/store/receipts.ts';
import { codeOf } from '../support/code-of.ts';
import { type TestContext, testContext } from '../support/context.ts';
import { addReceipts } from '../support/many-receipts.ts';
import { temporaryStore } from '../support/store.ts';

const keyOf = ({ randomBytes }: TestContext) => parseSigningKey(generateEd25519(randomBytes), 'host');
const receiptKeyOf = ({ randomBytes }: TestContext) =>
  parseReceiptKey(generateReceiptKey(randomBytes), 'receipt');

/**
 * 200 receipts, many pages of them: by a host key before and after it was revoked, by one that is in use, by one that
 * nobody here knows, and for a key that is not here.
 */
function mixedStore() {
  const context = testContext('many verdicts');
  const database = temporaryStore(context);
  const [stolen, current, foreign] = [keyOf(context), keyOf(context), keyOf(context)];
  const [ours, elsewhere] = [receiptKeyOf(context), receiptKeyOf(context)];
  const add = (count: number, host: typeof stolen, recipient = ours) => {
    context.clock += 1_000_000;
    return addReceipts(
      database,
      { host, recipients: [recipient] },
      { count, from: context.clock, every: 1000, each: (index) => ({ task: `task-${index}` }) },
    );
  };
  const before = add(70, stolen);
  const revokedAt = context.clock + 500_000;
  database.write(() =>
    appendAudit(database, revokedAt, {
      type: 'key.change',
      runId: null,
      actor: context.actor,
      data: { change: 'revoke', role: 'host', kid: stolen.kid },
    }),
  );
  const after = add(10, stolen);
  const good = add(100, current);
  const unknown = add(10, foreign);
  const closed = add(10, current, elsewhere);
  const keyring = [
    { kid: stolen.kid, state: 'revoked' as const, revocation: { at: revokedAt, reason: null } },
    { kid: current.kid, state: 'active' as const, revocation: null },
  ];
  const keys = { identities: [ours], hosts: [stolen, current], keyring, now: Date.now() };
  return { database, keys, before, after, good, unknown, closed, current, foreign, ours };
}

type Store = ReturnType<typeof mixedStore>;

/** What each receipt comes to, verified by itself. */
function oneByOne({ database, keys }: Store) {
  const ids = database.prepare('SELECT id FROM receipts ORDER BY id').all();
  return ids.map((row) => {
    const id = String(row.id);
    try {
      const receipt = loadReceipt(database, id);
      if (receipt === null) throw new Error('expected the receipt');
      verifyStored(database, receipt, keys);
      return { id, verdict: 'valid' as const, message: '' };
    } catch (thrown) {
      const { verdict, error } = verdictOf(thrown);
      return { id, verdict, message: `${error.code} ${error.message}` };
    }
  });
}

async function allAtOnce({ database, keys }: Store, filter: ReceiptFilter = {}) {
  const all: { id: string; verdict: string; message: string }[] = [];
  for await (const found of verifyReceipts(database, filter, keys)) {
    const { id, verdict } = found;
    const message = found.verdict === 'valid' ? '' : `${found.error.code} ${found.error.message}`;
    all.push({ id, verdict, message });
  }
  return all;
}

function counted(found: readonly { verdict: string }[]): Record<string, number> {
  const groups = Map.groupBy(found, ({ verdict }) => verdict);
  return Object.fromEntries([...groups].map(([verdict, all]) => [verdict, all.length]));
}

test('of a store that nobody meddled with, many come to what each comes to by itself', async () => {
  const store = mixedStore();
  const found = await allAtOnce(store);
  expect(found).toEqual(oneByOne(store));
  expect(counted(found)).toEqual({ valid: 170, revoked: 10, untrusted: 10, unreadable: 10 });
});

/** What someone may do to a store: each to receipts of its own, whatever had become of them. */
const MEDDLING: readonly (readonly [string, (a: string, b: string) => readonly string[]])[] = [
  ['a row says otherwise', (a) => [`UPDATE receipts SET outcome = 'failed' WHERE id = '${a}'`]],
  [
    'its ciphertext is another',
    (a) => [`UPDATE receipts SET ciphertext = zeroblob(length(ciphertext)) WHERE id = '${a}'`],
  ],
  [
    'two ciphertexts are swapped',
    (a, b) =>
      ['protected', 'iv', 'ciphertext', 'tag'].flatMap((column) => [
        `CREATE TEMP TABLE swap AS SELECT id, ${column} AS value FROM receipts WHERE id IN ('${a}', '${b}')`,
        `UPDATE receipts SET ${column} = (SELECT value FROM swap WHERE id = '${b}') WHERE id = '${a}'`,
        `UPDATE receipts SET ${column} = (SELECT value FROM swap WHERE id = '${a}') WHERE id = '${b}'`,
        'DROP TABLE swap',
      ]),
  ],
  [
    'its wrapped key is that of another',
    (a, b) => [
      `UPDATE receipt_recipients SET encrypted_key =
         (SELECT encrypted_key FROM receipt_recipients WHERE receipt_id = '${b}') WHERE receipt_id = '${a}'`,
    ],
  ],
  ['it has no recipient', (a) => [`DELETE FROM receipt_recipients WHERE receipt_id = '${a}'`]],
  [
    'its recipient is no JSON',
    (a) => [`UPDATE receipt_recipients SET header = '{' WHERE receipt_id = '${a}'`],
  ],
  [
    'a number is too large',
    (a) => [`UPDATE receipts SET duration_ms = 9223372036854775807 WHERE id = '${a}'`],
  ],
  ['a time is no time', (a) => [`UPDATE receipts SET started_at = 9007199254740991 WHERE id = '${a}'`]],
  ['the record that names it is gone', (a) => [`DELETE FROM audit WHERE instr(data, '${a}')`]],
  [
    'the record that names it has no time that is one',
    (a) => [`UPDATE audit SET at = 9223372036854775807 WHERE instr(data, '${a}')`],
  ],
  ['the record that names it is no JSON', (a) => [`UPDATE audit SET data = '{' WHERE instr(data, '${a}')`]],
];

test.each(MEDDLING)('when %s, many come to what each comes to by itself', async (_, meddle) => {
  const store = mixedStore();
  const { database, before, after, good, unknown, closed } = store;
  const untouched = new Map(oneByOne(store).map(({ id, verdict }) => [id, verdict]));
  database.prepare('PRAGMA foreign_keys = OFF').run();
  // Two of each kind, in several pages.
  for (const [a = '', b = ''] of [before.slice(62), after, good.slice(40), unknown, closed]) {
    for (const sql of meddle(a, b)) database.prepare(sql).run();
  }
  const found = await allAtOnce(store);
  expect(found).toEqual(oneByOne(store));
  expect(found.map(({ id }) => id)).toEqual([...untouched.keys()]);
  const changed = found.filter(({ id, verdict }) => verdict !== untouched.get(id));
  expect(changed.length).toBeGreaterThan(0);
  expect(changed.map(({ verdict }) => verdict)).not.toContain('valid');
});

test('of a page in which every receipt is tampered with, the next pages are verified all the same', async () => {
  const store = mixedStore();
  const { database, before } = store;
  for (const id of before)
    database.prepare("UPDATE receipts SET tag = 'AAAAAAAAAAAAAAAAAAAAAA' WHERE id = ?").run(id);
  const found = await allAtOnce(store);
  expect(found).toEqual(oneByOne(store));
  expect(counted(found)).toEqual({ tampered: 70, valid: 100, revoked: 10, untrusted: 10, unreadable: 10 });
});

test('a revocation that is not in this log is told by its time', async () => {
  const store = mixedStore();
  store.database.prepare("DELETE FROM audit WHERE type = 'key.change'").run();
  const found = await allAtOnce(store);
  expect(found).toEqual(oneByOne(store));
  // The first receipt after it covers the record that is gone.
  expect(counted(found)).toEqual({ valid: 170, tampered: 1, revoked: 9, untrusted: 10, unreadable: 10 });
});

test('a record of a change of keys that cannot be read ends it: nothing is valid by an oversight', async () => {
  const store = mixedStore();
  store.database.prepare("UPDATE audit SET data = '{' WHERE type = 'key.change'").run();
  await expect(allAtOnce(store)).rejects.toMatchObject({ code: 'AUDIT_TAMPERED' });
  expect(codeOf(() => oneByOne(store))).toBe('AUDIT_TAMPERED');
});

test('an id that is no text is refused, and the page after it not read for ever', async () => {
  const { database, keys, good } = mixedStore();
  database.prepare('PRAGMA foreign_keys = OFF').run();
  database.prepare("UPDATE receipts SET id = CAST(x'ff' AS TEXT) WHERE id = ?").run(good[0] ?? '');
  const found: { verdict: string }[] = [];
  const all = async () => {
    for await (const one of verifyReceipts(database, {}, keys)) {
      found.push(one);
      if (found.length > 1000) throw new Error(`again and again: ${one.id}`);
    }
  };
  await expect(all()).rejects.toMatchObject({ code: 'RECEIPT_TAMPERED' });
  expect(counted(found)).toMatchObject({ valid: 169, revoked: 10 });
});

test('signatures by others, under the names of keys that are known here, are nobody’s', async () => {
  const store = mixedStore();
  const { database, good, foreign, current, ours } = store;
  const context = testContext('forgery');
  /** Puts other signatures under the seal, as whoever has the receipt key can. */
  const reseal = (id: string, sign: (envelope: Envelope) => Envelope['signatures']) => {
    const receipt = loadReceipt(database, id);
    if (receipt === null) throw new Error('expected the receipt');
    const { envelope } = openReceipt(receipt, [ours]);
    const forged = serializeEnvelope({ ...envelope, signatures: sign(envelope) });
    const { protected: header } = receipt.jwe;
    const { enc: _, ...protectedHeader } = JSON.parse(Buffer.from(header, 'base64url').toString());
    const jwe = seal(Buffer.from(forged), {
      protectedHeader,
      recipients: [ours],
      randomBytes: context.randomBytes,
    });
    database
      .prepare('UPDATE receipts SET protected = ?, iv = ?, ciphertext = ?, tag = ? WHERE id = ?')
      .run(jwe.protected, jwe.iv, Buffer.from(jwe.ciphertext, 'base64url'), jwe.tag, id);
    const [recipient] = jwe.recipients;
    database
      .prepare('UPDATE receipt_recipients SET encrypted_key = ? WHERE receipt_id = ?')
      .run(recipient?.encrypted_key ?? '', id);
  };
  const by = (key: SigningKey, { payloadType, payload }: Envelope) =>
    signEnvelope(payloadType, payload, [key]).signatures.map((one) => ({ ...one, keyid: current.kid }));
  const [named = '', unnamed = '', second = '', none = ''] = good;
  reseal(named, (envelope) => by(foreign, envelope));
  reseal(unnamed, ({ signatures }) => signatures.map((one) => ({ ...one, keyid: '' })));
  reseal(second, (envelope) => [...by(foreign, envelope), ...envelope.signatures]);
  reseal(none, ({ signatures }) => signatures.map((one) => ({ ...one, sig: Buffer.alloc(64) })));
  const found = await allAtOnce(store);
  expect(found).toEqual(oneByOne(store));
  const verdicts = new Map(found.map(({ id, message }) => [id, message.split(' ')[0]]));
  expect([named, unnamed, second, none].map((id) => verdicts.get(id))).toEqual([
    'SIGNATURE_INVALID',
    '',
    '',
    'SIGNATURE_INVALID',
  ]);
});

test('only those since a moment are verified', async () => {
  const store = mixedStore();
  const { database, good, unknown, closed } = store;
  const { startedAt = 0 } = loadReceipt(database, good[0] ?? '') ?? {};
  const found = await allAtOnce(store, { since: startedAt });
  expect(found.map(({ id }) => id)).toEqual([...good, ...unknown, ...closed]);
});
