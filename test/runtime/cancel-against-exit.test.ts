import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { dispatch, type LiveRun } from '../../src/runtime/dispatcher.ts';
import type { MachineEvent } from '../../src/runtime/machine.ts';
import { listAudit, verifyAudit } from '../../src/store/audit.ts';
import type { Database } from '../../src/store/database.ts';
import { listEvents } from '../../src/store/events.ts';
import { loadRun } from '../../src/store/runs.ts';
import { type TestContext, testContext } from '../support/context.ts';
import { newLiveRun, temporaryStore } from '../support/store.ts';

/** `AX_RACE_ROUNDS=100` for a short version. */
const ROUNDS = Number(process.env.AX_RACE_ROUNDS ?? 10_000);

const WORKER = fileURLToPath(new URL('../support/race-worker.ts', import.meta.url));

const TO_EXECUTING: readonly MachineEvent[] = [
  { type: 'DependenciesReady' },
  { type: 'TaskSubmitted', taskId: 'build', manifestVersion: '1' },
  { type: 'DependenciesReady' },
];

test(`of ${ROUNDS} runs that end and are canceled at the same moment each ends in one way`, {
  timeout: 60_000 + ROUNDS * 30,
}, async () => {
  // The time is the real one: an event is good for 30 s.
  const context = testContext('races', { now: Date.now });
  const database = temporaryStore(context);
  const runs = executingRuns(context, database);
  const exit = await contender('exit', database.directory);
  const cancel = await contender('cancel', database.directory);

  const tally: Record<string, number> = {};
  for (const [round, run] of runs.entries()) {
    // Both stand at their mark, and who hears of it first takes turns.
    const answers =
      round % 2 === 0 ? [exit.go(run.id), cancel.go(run.id)] : [cancel.go(run.id), exit.go(run.id)];
    const [ended, canceled] = await Promise.all(round % 2 === 0 ? answers : answers.reverse());
    const verdict = `exit ${ended}, cancel ${canceled}`;
    tally[verdict] = (tally[verdict] ?? 0) + 1;
    if (!WAYS.includes(verdict)) throw new Error(`round ${round}, run ${run.id}: ${verdict}`);
    expectOneEnd(database, run, ended === 'COMPLETED' ? 'COMPLETED' : 'CANCELED');
  }
  console.log(tally);
  // Neither contender is always first, or there was no race.
  expect(Object.keys(tally).some((verdict) => verdict.startsWith('exit COMPLETED'))).toBe(true);
  expect(Object.keys(tally).some((verdict) => verdict.endsWith('cancel CANCELED'))).toBe(true);
  const events = runs.reduce((sum, run) => sum + listEvents(database, run.id).length, 0);
  const refusals = listAudit(database, { type: 'event.rejected' }).length;
  const alerts = listAudit(database, { type: 'alert' }).length;
  expect(events + refusals).toBe(ROUNDS * (TO_EXECUTING.length + 2));
  expect(verifyAudit(database).records).toBe(events + refusals + alerts);
});

/** Who loses is refused by the dispatcher, where it had seen the run before, or by the machine. */
const WAYS = [
  'exit COMPLETED, cancel EVENT_REJECTED',
  'exit COMPLETED, cancel rejected',
  'exit EVENT_REJECTED, cancel CANCELED',
  'exit rejected, cancel CANCELED',
];

function expectOneEnd(database: Database, run: LiveRun, state: string): void {
  const events = listEvents(database, run.id);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  const moves = events.filter(({ fromState, toState }) => fromState !== toState);
  expect(moves.map(({ toState }) => toState)).toEqual(['IDLE', 'PREPARING', 'EXECUTING', state]);
  expect(loadRun(database, run.id)).toMatchObject({ state, seq: events.length });
}

/** Runs whose tasks go on, made in one transaction. */
function executingRuns(context: TestContext, database: Database): LiveRun[] {
  const inner: Database = { ...database, write: (body) => body(), read: (body) => body() };
  return database.write(() =>
    Array.from({ length: ROUNDS }, () => {
      const run = newLiveRun(context, inner);
      for (const event of TO_EXECUTING) {
        dispatch({ context, database: inner }, run, {
          event,
          source: 'dispatcher',
          context: {
            dependenciesReady: true,
            guardVerdict: 'Allowed',
            telemetryPending: false,
            cancellationRequested: false,
          },
        });
      }
      return run;
    }),
  );
}

/** A process that waits for a run to do its one thing to. */
async function contender(name: string, directory: string): Promise<{ go(id: string): Promise<string> }> {
  const child = fork(WORKER, [name, directory]);
  const gone = new Promise<never>((_, reject) => {
    child.once('exit', (status) => reject(new Error(`${name} ended with ${status}`)));
  });
  gone.catch(() => {});
  onTestFinished(() => endOf(child));
  await Promise.race([once(child, 'message'), gone]);
  return {
    async go(id) {
      const answer = once(child, 'message');
      child.send(id);
      const [outcome] = await Promise.race([answer, gone]);
      return String(outcome);
    },
  };
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.disconnect();
  await ended;
}
