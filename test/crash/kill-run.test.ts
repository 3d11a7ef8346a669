import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyAudit } from '../../src/store/audit.ts';
import type { Database } from '../../src/store/database.ts';
import { listEvents } from '../../src/store/events.ts';
import { listReceipts } from '../../src/store/receipts.ts';
import { listRuns } from '../../src/store/runs.ts';
import {
  type AtStep,
  type CrashRig,
  createRig,
  type Ended,
  expectDone,
  filesHolding,
  isRunning,
  type Running,
  seededNumbers,
  until,
  verifyReceipts,
} from '../support/crash-rig.ts';

/** `AX_CRASH_ROUNDS=200` for the long version. */
const ROUNDS = Number(process.env.AX_CRASH_ROUNDS ?? 20);

const PIECES = ['canary-Qx7rT2mZ', 'LwJ5kVn9sB4g', 'Yd8HfPc3uEa6'];
const CANARY = PIECES.join('');
const NEEDLES = [
  CANARY,
  ...PIECES,
  Buffer.from(CANARY).toString('base64').slice(0, -4),
  Buffer.from(CANARY).toString('hex'),
];

/** Says the secret on both streams in three writes each, and does not hold a part of it itself. */
const SAY = `
for stream in 1 2; do
  printf 'before %.16s' "$CANARY" >&$stream; sleep 0.01
  rest="\${CANARY#????????????????}"
  printf '%.12s' "$rest" >&$stream; sleep 0.01
  printf '%s after\\n' "\${rest#????????????}" >&$stream
done
echo said`;

let rig: CrashRig;
const env = { CANARY };

beforeAll(async () => {
  rig = await createRig({
    say: { shell: SAY, secrets: ['CANARY'] },
    hello: { run: ['echo', 'hello'] },
    last: { shell: 'echo $$ > pid; echo up; exec sleep 600' },
  });
});

afterAll(() => rig.remove());

test('what the rest relies on: the task says the secret, the receipt has it masked, the scan would find it', async () => {
  const ended = await expectDone(rig, ['run', 'say'], { env });
  expect(ended.stdout).toMatch(/before \S*CANARY\S* after/);
  expect(ended.stderr).toMatch(/before \S*CANARY\S* after/);
  const [id] = acknowledgedIn(ended.stderr);
  const { stdout } = await expectDone(rig, ['receipts', 'decrypt', id ?? '']);
  expect(stdout).toMatch(/before \S*CANARY\S* after/);
  expect(NEEDLES.filter((needle) => `${ended.stdout}${ended.stderr}${stdout}`.includes(needle))).toEqual([]);
  expect(filesHolding(rig.root, NEEDLES)).toEqual([]);
  expect(filesHolding(rig.store, ['crash/rig'])).toEqual([join(rig.store, 'ax.db')]);
});

test(`SIGKILL at ${ROUNDS} random moments loses no acknowledged receipt and shows no secret`, {
  timeout: 60_000 + ROUNDS * 15_000,
}, async () => {
  const began = performance.now();
  await expectDone(rig, ['run', 'say'], { env });
  const life = performance.now() - began;
  const random = seededNumbers(20_261_123);
  const acknowledged: string[] = [];
  let cut = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const json = round % 2 === 1;
    const running = rig.start(['run', 'say', ...(json ? ['--json'] : [])], { env });
    await momentOf(round, running, random() * life * 1.15);
    running.kill('SIGKILL');
    const ended = await running.ended;
    if (ended.signal === 'SIGKILL') cut++;
    else expect(ended.status).toBe(0);
    // What was said before it died counts, whatever the exit status.
    acknowledged.push(...acknowledgedIn(json ? ended.stdout : ended.stderr));
    // Before anyone opens the store: that would fold the journal into the database.
    expect(filesHolding(rig.root, NEEDLES), `round ${round}`).toEqual([]);
    await expectDone(rig, ['audit', 'verify']);
    expect(unsettled()).toEqual([]);
    verifyReceipts(rig, acknowledged.slice(-1));
  }
  expect(cut).toBeGreaterThanOrEqual(Math.floor(ROUNDS / 4));
  expect(acknowledged.length).toBeGreaterThanOrEqual(Math.floor(ROUNDS / 4));
  await expectIntact(acknowledged);
  console.log(`${ROUNDS} rounds: ${cut} cut short, ${acknowledged.length} receipts acknowledged`);
});

test('SIGKILL at each step that changes the disk leaves a store that holds, and no secret in its journal', {
  timeout: 300_000,
}, async () => {
  const acknowledged: string[] = [];
  let journals = 0;
  await atEachStep(20, async (atStep) => {
    const ended = await rig.ax(['run', 'say'], { env, atStep });
    acknowledged.push(...acknowledgedIn(ended.stderr));
    expect(filesHolding(rig.root, NEEDLES), `step ${atStep.at}`).toEqual([]);
    journals += filesHolding(rig.store, ['crash/rig']).filter((path) => path.endsWith('-wal')).length;
    expectConsistent();
    // Settles what was lost, so that the next run begins with its own first step.
    await expectDone(rig, ['runs']);
    expect(unsettled()).toEqual([]);
    return ended;
  });
  // Else the journal was never there to be searched.
  expect(journals).toBeGreaterThan(0);
  await expectIntact(acknowledged);
});

test('SIGKILL at each step of making a store leaves one that the next run can use', {
  timeout: 120_000,
}, async () => {
  await atEachStep(3, async (atStep) => {
    const fresh = { AX_STORE: join(rig.root, `first-${atStep.at}`) };
    const ended = await rig.ax(['audit', 'verify'], { env: fresh, atStep });
    const { stderr } = await expectDone(rig, ['run', 'hello'], { env: fresh });
    expect(acknowledgedIn(stderr)).toHaveLength(1);
    return ended;
  });
});

test('SIGKILL at each step of settling a lost run: the next command ends it, once, and its task with it', {
  timeout: 300_000,
}, async () => {
  await atEachStep(5, async (atStep) => {
    rmSync(join(rig.project, 'pid'), { force: true });
    const running = rig.start(['run', 'last', '--json']);
    await running.saw(/"text":"up/);
    running.kill('SIGKILL');
    await running.ended;
    const [, runId = ''] = await running.saw(/"runId":"([0-9A-Z]{26})"/);
    const ended = await rig.ax(['runs'], { atStep });
    await expectDone(rig, ['runs']);
    expectConsistent();
    expect(unsettled()).toEqual([]);
    expect(receiptsOf(runId)).toMatchObject([{ task: 'last', outcome: 'failed' }]);
    const pid = Number(readFileSync(join(rig.project, 'pid'), 'utf8'));
    await until(`the end of process ${pid}`, () => !isRunning(pid));
    return ended;
  });
  await expectIntact([]);
});

/** Kills a command before its first step, its second, and so on, until it gets to its end; so all were tried. */
async function atEachStep(atLeast: number, round: (atStep: AtStep) => Promise<Ended>): Promise<void> {
  for (let at = 1; ; at++) {
    const { signal, status } = await round({ at, signal: 'SIGKILL' });
    if (signal === 'SIGKILL') continue;
    expect({ signal, status }).toEqual({ signal: null, status: 0 });
    expect(at).toBeGreaterThan(atLeast);
    return;
  }
}

/** Most rounds at a random moment; every fourth when the receipt is acknowledged, every eighth while the task speaks. */
async function momentOf(round: number, running: Running, delay: number): Promise<void> {
  if (round % 4 === 3) await running.saw(/receipt(?:Id":"| )[0-9A-Z]{26}/);
  else if (round % 8 === 5) await running.saw(/before/);
  else await Promise.race([running.ended, new Promise((resolve) => setTimeout(resolve, delay))]);
}

function acknowledgedIn(text: string): string[] {
  return [...text.matchAll(/receipt(?:Id":"| )([0-9A-Z]{26})/g)].flatMap(([, id]) => id ?? []);
}

/** A run has an outcome exactly when it has a receipt and a record of its end, and its events are all there. */
function expectConsistent(): void {
  inStore((database) => {
    verifyAudit(database);
    const receipts = new Map(listReceipts(database, { limit: -1 }).map((row) => [row.runId, row]));
    const finished = database.prepare("SELECT run_id FROM audit WHERE type = 'run.finished'").all();
    expect(finished.map((row) => row.run_id).sort()).toEqual([...receipts.keys()].sort());
    for (const run of listRuns(database, -1)) {
      expect(run.outcome).toBe(receipts.get(run.id)?.outcome ?? null);
      expect(listEvents(database, run.id).map(({ seq }) => seq)).toEqual(
        Array.from({ length: run.seq }, (_, index) => index + 1),
      );
    }
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    expect(database.prepare('PRAGMA foreign_key_check').all()).toEqual([]);
  });
}

function unsettled(): string[] {
  return inStore((database) =>
    listRuns(database, -1).flatMap(({ id, outcome }) => (outcome === null ? [id] : [])),
  );
}

function receiptsOf(runId: string) {
  return inStore((database) => listReceipts(database, { limit: -1 }).filter((row) => row.runId === runId));
}

function inStore<T>(body: (database: Database) => T): T {
  const database = rig.open();
  try {
    return body(database);
  } finally {
    database.close();
  }
}

async function expectIntact(acknowledged: readonly string[]): Promise<void> {
  expectConsistent();
  const { stdout } = await expectDone(rig, ['receipts', 'list', '--json', '--limit', '10000']);
  const listed = (JSON.parse(stdout) as { receipts: { id: string }[] }).receipts.map(({ id }) => id);
  expect(listed).toEqual(expect.arrayContaining([...acknowledged]));
  expect(verifyReceipts(rig).sort()).toEqual(listed.sort());
  for (const id of acknowledged.slice(-3)) await expectDone(rig, ['receipts', 'verify', id]);
  const after = await expectDone(rig, ['run', 'say'], { env });
  expect(verifyReceipts(rig, acknowledgedIn(after.stderr))).toHaveLength(1);
  await expectDone(rig, ['audit', 'verify']);
  expect(filesHolding(rig.root, NEEDLES)).toEqual([]);
}
