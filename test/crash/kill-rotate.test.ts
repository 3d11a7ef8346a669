import { afterEach, expect, test } from 'vitest';
import { openReceipt } from '../../src/runtime/receipt.ts';
import { parseReceiptKey } from '../../src/security/encryption-keys.ts';
import { verifyAudit } from '../../src/store/audit.ts';
import { activeKey } from '../../src/store/keyring.ts';
import { countByKey, findReceipt, listReceipts } from '../../src/store/receipts.ts';
import { currentRotation } from '../../src/store/rotation.ts';
import {
  type CrashRig,
  createRig,
  expectDone,
  isStopped,
  type Running,
  seededNumbers,
  stepsToTry,
  until,
  verifyReceipts,
} from '../support/crash-rig.ts';
import { addReceipts, keysOf } from '../support/many-receipts.ts';

/** `AX_CRASH_ROUNDS=200` for the long version. */
const ROUNDS = Number(process.env.AX_CRASH_ROUNDS ?? 20);
const RECEIPTS = 300;
/** A rotation moves 1000 in one transaction: with these it takes two, and can be cut between them. */
const TWO_BATCHES = 1_100;

let rig: CrashRig;

afterEach(() => rig.remove());

test.each([
  ['re-wraps', ['keys', 'rotate']],
  ['re-encrypts', ['keys', 'rotate', '--reencrypt']],
])(
  'SIGKILL at each step of a rotation that %s: every receipt opens, and the next rotation finishes',
  {
    timeout: 300_000,
  },
  async (how, command) => {
    rig = await rigWith(RECEIPTS);
    // The first has the store entered into the keyring's register, which takes steps of its own.
    await expectDone(rig, ['keys', 'rotate']);
    const steps = await rig.countSteps(command);
    expect(steps).toBeGreaterThan(15);
    for (const at of stepsToTry(steps)) {
      const before = ciphertexts();
      const { signal } = await rig.ax(command, { atStep: { at, signal: 'SIGKILL' } });
      expect(signal, `step ${at} of ${steps}`).toBe('SIGKILL');
      expectAllOpen(RECEIPTS);
      await expectDone(rig, command);
      expectUnderActiveKey(RECEIPTS);
      const same = ciphertexts().filter((one, index) => one === before[index]).length;
      expect(same, `step ${at} of ${steps}`).toBe(how === 're-wraps' ? RECEIPTS : 0);
    }
    await expectDone(rig, ['audit', 'verify']);
  },
);

test('a re-encryption that is killed between any two commits is finished as one, by a rotation that only says so', {
  timeout: 300_000,
}, async () => {
  rig = await rigWith(RECEIPTS);
  const command = ['keys', 'rotate', '--reencrypt'];
  const commits = await rig.countSteps(command, { only: 'COMMIT' });
  // Those of the key, of the entry in the journal, of three batches, of an empty one, and of the end.
  expect(commits).toBeGreaterThanOrEqual(7);
  const outcomes = new Set<boolean>();
  for (let at = 1; at <= commits; at++) {
    const before = ciphertexts();
    await rig.ax(command, { atStep: { at, signal: 'SIGKILL', only: 'COMMIT', after: true } });
    expectAllOpen(RECEIPTS);
    const database = rig.open();
    const unfinished = currentRotation(database);
    database.close();
    const keys = rig.keyring().length;
    const { stdout } = await expectDone(rig, ['keys', 'rotate', '--json']);
    expectUnderActiveKey(RECEIPTS);
    expect(JSON.parse(stdout), `commit ${at} of ${commits}`).toMatchObject({
      resumed: unfinished !== null,
      kind: unfinished === null ? 'rewrap' : 'reencrypt',
    });
    expect(rig.keyring()).toHaveLength(unfinished === null ? keys + 1 : keys);
    const same = ciphertexts().filter((one, index) => one === before[index]).length;
    // Once it was in the journal, nothing of the old seals is left, whoever did it.
    if (unfinished !== null) expect(same).toBe(0);
    outcomes.add(unfinished !== null);
  }
  expect([...outcomes].sort()).toEqual([false, true]);
  await expectDone(rig, ['audit', 'verify']);
});

test('SIGKILL before and after each commit of a rotation of two batches', { timeout: 300_000 }, async () => {
  rig = await rigWith(TWO_BATCHES);
  const commits = await rig.countSteps(['keys', 'rotate'], { only: 'COMMIT' });
  expect(commits).toBeGreaterThanOrEqual(5);
  for (let at = 1; at <= commits; at++) {
    for (const after of [false, true]) {
      const { signal } = await rig.ax(['keys', 'rotate'], {
        atStep: { at, signal: 'SIGKILL', only: 'COMMIT', after },
      });
      expect(signal, `commit ${at} of ${commits}`).toBe('SIGKILL');
      expectAllOpen(TWO_BATCHES);
      await expectDone(rig, ['keys', 'rotate']);
      expectUnderActiveKey(TWO_BATCHES);
    }
  }
});

test(`SIGKILL at ${ROUNDS} random moments of a rotation: every receipt opens, by the command line as well`, {
  timeout: 60_000 + ROUNDS * 15_000,
}, async () => {
  rig = await rigWith(RECEIPTS);
  const ids = verifyReceipts(rig);
  const began = performance.now();
  await expectDone(rig, ['keys', 'rotate']);
  const life = performance.now() - began;
  const random = seededNumbers(42);
  let cut = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const running = rig.start(['keys', 'rotate']);
    const delay = random() * life;
    await Promise.race([running.ended, new Promise((resolve) => setTimeout(resolve, delay))]);
    running.kill('SIGKILL');
    if ((await running.ended).signal === 'SIGKILL') cut++;
    expectAllOpen(RECEIPTS);
  }
  for (const id of [ids[0], ids[150], ids.at(-1)]) await expectDone(rig, ['receipts', 'verify', id ?? '']);
  await expectDone(rig, ['keys', 'rotate']);
  expectUnderActiveKey(RECEIPTS);
  await expectDone(rig, ['audit', 'verify']);
  console.log(`${ROUNDS} rounds: ${cut} rotations cut short`);
});

test('two rotations at once: both finish and every receipt ends up under the active key', {
  timeout: 120_000,
}, async () => {
  rig = await rigWith(RECEIPTS);
  for (let round = 0; round < 5; round++) {
    const both = await Promise.all([rig.ax(['keys', 'rotate']), rig.ax(['keys', 'rotate'])]);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expectAllOpen(RECEIPTS);
    expectUnderActiveKey(RECEIPTS);
  }
  await expectDone(rig, ['audit', 'verify']);
});

test('a rotation and a re-encryption at once: nothing is left under an old key or an old content key', {
  timeout: 120_000,
}, async () => {
  rig = await rigWith(RECEIPTS);
  for (let round = 0; round < 5; round++) {
    const before = ciphertexts();
    const both = await Promise.all([rig.ax(['keys', 'rotate', '--reencrypt']), rig.ax(['keys', 'rotate'])]);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expectAllOpen(RECEIPTS);
    expectUnderActiveKey(RECEIPTS);
    expect(ciphertexts().filter((one, index) => one === before[index])).toEqual([]);
  }
  await expectDone(rig, ['audit', 'verify']);
});

test.skipIf(process.platform !== 'linux')(
  'a rotation that another overtakes between any two of its commits moves nothing back to an older key',
  { timeout: 120_000 },
  async () => {
    rig = await rigWith(TWO_BATCHES);
    const commits = await rig.countSteps(['keys', 'rotate'], { only: 'COMMIT' });
    expect(commits).toBeGreaterThan(3);
    for (let at = 1; at <= commits; at++) {
      const slow = rig.start(['keys', 'rotate'], {
        atStep: { at, signal: 'SIGSTOP', only: 'COMMIT', after: true },
      });
      await untilStopped(slow);
      await expectDone(rig, ['keys', 'rotate']);
      expectAllOpen(TWO_BATCHES);
      slow.kill('SIGCONT');
      expect((await slow.ended).status, `commit ${at} of ${commits}`).toBe(0);
      expectUnderActiveKey(TWO_BATCHES);
    }
  },
);

test('a rotation beside runs: each leaves a receipt that opens, and the next rotation takes in what came late', {
  timeout: 120_000,
}, async () => {
  rig = await rigWith(RECEIPTS);
  let rotating = true;
  const rotations = (async () => {
    for (let round = 0; round < 4; round++) {
      await expectDone(rig, ['keys', 'rotate', ...(round % 2 === 0 ? [] : ['--reencrypt'])]);
    }
    rotating = false;
  })();
  let runs = 0;
  while (rotating) {
    const ended = await Promise.all([rig.ax(['run', 'hello']), rig.ax(['run', 'hello'])]);
    expect(ended.map(({ status }) => status)).toEqual([0, 0]);
    runs += 2;
  }
  await rotations;
  expectAllOpen(RECEIPTS + runs);
  await expectDone(rig, ['keys', 'rotate']);
  expectUnderActiveKey(RECEIPTS + runs);
  await expectDone(rig, ['audit', 'verify']);
});

/** A store with that many receipts, made in this process. */
async function rigWith(receipts: number): Promise<CrashRig> {
  rig = await createRig({ hello: { run: ['echo', 'hello'] } });
  const database = rig.open();
  addReceipts(database, keysOf(rig.keyring()), { count: receipts, from: Date.now() - receipts, every: 1 });
  database.close();
  return rig;
}

/** What the receipts are sealed as, oldest first. */
function ciphertexts(): string[] {
  const database = rig.open();
  try {
    return database
      .prepare('SELECT hex(ciphertext) AS text FROM receipts ORDER BY id')
      .all()
      .map(({ text }) => String(text));
  } finally {
    database.close();
  }
}

async function untilStopped({ pid, ended }: Running): Promise<void> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  await until('a stop', () => !over && isStopped(pid));
}

/** Rotation rewrites wrapped keys alone, so whether they open is the question; signatures stay as they are. */
function expectAllOpen(count: number): void {
  const identities = rig
    .keyring()
    .filter(({ role }) => role === 'receipt')
    .map(({ jwk, kid }) => parseReceiptKey(jwk, kid));
  const database = rig.open();
  try {
    const rows = listReceipts(database, { limit: -1 });
    for (const { id } of rows) openReceipt(findReceipt(database, id), identities);
    expect(rows).toHaveLength(count);
  } finally {
    database.close();
  }
}

function expectUnderActiveKey(count: number): void {
  const database = rig.open();
  try {
    verifyAudit(database);
    expect(Object.fromEntries(countByKey(database))).toEqual({
      [activeKey(rig.keyring(), 'receipt')?.kid ?? '']: count,
    });
  } finally {
    database.close();
  }
}
