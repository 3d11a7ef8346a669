import { afterAll, beforeAll, expect, test } from 'vitest';
import { listAudit, verifyAudit } from '../../src/store/audit.ts';
import { listEvents } from '../../src/store/events.ts';
import { listReceipts } from '../../src/store/receipts.ts';
import { listRuns } from '../../src/store/runs.ts';
import { type CrashRig, createRig, verifyReceipts } from '../support/crash-rig.ts';

/** `AX_RACE_PROCESSES=5` for a short version. */
const PROCESSES = Number(process.env.AX_RACE_PROCESSES ?? 50);
const TASKS = Array.from({ length: 20 }, (_, index) => `task-${index}`);

let rig: CrashRig;

beforeAll(async () => {
  rig = await createRig(Object.fromEntries(TASKS.map((name) => [name, { run: ['echo', name] }])));
});

afterAll(() => rig.remove());

test(`${PROCESSES} processes with ${TASKS.length} tasks each on one store: nothing is lost, doubled or broken`, {
  timeout: 600_000,
}, async () => {
  const ended = await Promise.all(
    Array.from({ length: PROCESSES }, () => rig.ax(['run', ...TASKS, '--jobs', '4', '--json'])),
  );
  for (const { status, stderr } of ended) expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const said = ended.map(({ stdout }) =>
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  );
  const results = said.flatMap((lines) => lines.at(-1).runs);
  const ids = results.map(({ runId }) => runId).sort();
  expect(new Set(ids).size).toBe(PROCESSES * TASKS.length);

  const database = rig.open();
  try {
    const runs = listRuns(database, -1);
    expect(runs.map(({ id }) => id).sort()).toEqual(ids);
    for (const run of runs) {
      const events = listEvents(database, run.id);
      expect(events.map(({ seq, toState }) => `${seq} ${toState}`)).toEqual(EVENTS);
      expect(run).toMatchObject({
        state: 'COMPLETED',
        seq: EVENTS.length,
        outcome: 'completed',
        exitCode: 0,
      });
    }
    // What each process said of its runs is what is stored.
    const told = said.flat().filter(({ type }) => type === 'event');
    expect(told).toHaveLength(ids.length * EVENTS.length);
    expect(listAudit(database, { type: 'run.transition' })).toHaveLength(ids.length * EVENTS.length);
    expect(listAudit(database, { type: 'run.finished' })).toHaveLength(ids.length);
    expect(listAudit(database, { type: 'event.rejected' })).toEqual([]);
    verifyAudit(database);
    const receipts = listReceipts(database, { limit: -1 });
    expect(receipts.map(({ runId }) => runId).sort()).toEqual(ids);
    expect(receipts.map(({ id }) => id).sort()).toEqual(results.map(({ receiptId }) => receiptId).sort());
    verifyReceipts(rig);
  } finally {
    database.close();
  }
});

const EVENTS = ['1 IDLE', '2 PREPARING', '3 EXECUTING', '4 COMPLETED'];
