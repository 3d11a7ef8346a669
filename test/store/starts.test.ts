import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { MAX_STARTS } from '../../src/store/horizon.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { advanceRun, finishRun, nextAttempt } from '../../src/store/runs.ts';
import { recordStart, usageOf, withdrawStart } from '../../src/store/starts.ts';
import { testContext } from '../support/context.ts';
import { newLiveRun, temporaryStore } from '../support/store.ts';
import { runWorkers } from '../support/workers.ts';

const NOW = Date.UTC(2026, 0, 15, 12);
const DAY = 86_400_000;

function setUp() {
  const context = testContext('starts');
  const database = temporaryStore(context);
  const newRun = (task = 'deploy') => newLiveRun(context, database, task).id;
  const about = (runId: string, changes = {}) => ({
    project: 'acme/web',
    task: 'deploy',
    runId,
    attempt: 1,
    now: NOW,
    ...changes,
  });
  /** A start and the transition that it belongs to. */
  const start = (runId: string, changes = {}) =>
    database.write(() => {
      recordStart(database, about(runId, changes));
      advanceRun(database, { id: runId, seq: 1, fromState: 'BOOTSTRAPPING', toState: 'EXECUTING' });
    });
  const usage = (runId: string, changes = {}) => usageOf(database, about(runId, changes));
  return { database, newRun, start, usage };
}

describe('before its own start is recorded, an attempt sees all others', () => {
  test('of its task and project, by the time of their start, the newest first', () => {
    const { newRun, start, usage } = setUp();
    const own = newRun();
    expect(usage(own)).toEqual({ starts: [], running: 0 });
    for (const now of [NOW - 3000, NOW - 1000, NOW - 2000]) start(newRun(), { now });
    start(newRun('build'), { task: 'build' });
    start(newRun(), { project: 'acme/api' });
    expect(usage(own).starts).toEqual([NOW - 1000, NOW - 2000, NOW - 3000]);
    expect(usage(newRun('build'), { task: 'build' })).toEqual({ starts: [NOW], running: 1 });
  });

  test('earlier attempts of its own run are starts, and not running beside it', () => {
    const { newRun, start, usage } = setUp();
    const own = newRun();
    start(own);
    expect(usage(own, { attempt: 2 })).toEqual({ starts: [NOW], running: 0 });
  });

  test('those of the future too: a clock that was set back makes no room', () => {
    const { newRun, start, usage } = setUp();
    start(newRun(), { now: NOW + DAY });
    expect(usage(newRun()).starts).toEqual([NOW + DAY]);
  });
});

describe('after it, those that were committed before', () => {
  test('whatever the clocks say', () => {
    const { newRun, start, usage } = setUp();
    const [first, second, third] = [newRun(), newRun(), newRun()];
    start(first, { now: NOW });
    start(second, { now: NOW - 5000 });
    start(third, { now: NOW - 5000 });
    expect(usage(first)).toEqual({ starts: [], running: 0 });
    expect(usage(second)).toEqual({ starts: [NOW], running: 1 });
    expect(usage(third)).toEqual({ starts: [NOW, NOW - 5000], running: 2 });
  });

  test('of processes that race for one place exactly one gets it', async () => {
    const { database, newRun } = setUp();
    for (const processes of [2, 6]) {
      const task = `race-${processes}`;
      const runs = Array.from({ length: processes }, () => newRun(task));
      const answers = await runWorkers(runs.map((run) => ['start', database.directory, run, String(NOW)]));
      const others = Array.from({ length: processes - 1 }, (_, n) => `${n + 1} ${n + 1} defer defer`);
      expect(answers.sort()).toEqual(['0 0 pass pass', ...others]);
    }
  });
});

describe('what never happened does not count', () => {
  test('a start that was withdrawn', () => {
    const { database, newRun, start, usage } = setUp();
    const [refused, other] = [newRun(), newRun()];
    start(refused);
    start(other);
    database.write(() => {
      withdrawStart(database, { runId: refused, attempt: 1 });
      advanceRun(database, { id: refused, seq: 2, fromState: 'EXECUTING', toState: 'FAILED' });
    });
    expect(usage(other)).toEqual({ starts: [], running: 0 });
    expect(usage(newRun())).toEqual({ starts: [NOW], running: 1 });
  });

  test('of a run that is attempted again, the attempt alone that was withdrawn', () => {
    const { database, newRun, start, usage } = setUp();
    const run = newRun();
    start(run, { now: NOW - 1000 });
    database.write(() =>
      recordStart(database, { project: 'acme/web', task: 'deploy', runId: run, attempt: 2, now: NOW }),
    );
    database.write(() => withdrawStart(database, { runId: run, attempt: 2 }));
    expect(usage(newRun()).starts).toEqual([NOW - 1000]);
  });

  test('a start whose transition was not committed', () => {
    const { database, newRun, usage } = setUp();
    const run = newRun();
    const failing = () =>
      database.write(() => {
        recordStart(database, { project: 'acme/web', task: 'deploy', runId: run, attempt: 1, now: NOW });
        throw new Error('half way');
      });
    expect(failing).toThrow('half way');
    expect(usage(newRun()).starts).toEqual([]);
  });
});

describe('running', () => {
  test('ends with the run, or with its leaving EXECUTING', () => {
    const { database, newRun, start, usage } = setUp();
    const [failed, finished, own] = [newRun(), newRun(), newRun()];
    start(failed);
    start(finished);
    expect(usage(own).running).toBe(2);
    database.write(() =>
      advanceRun(database, { id: failed, seq: 2, fromState: 'EXECUTING', toState: 'FAILED' }),
    );
    database.write(() => finishRun(database, { id: finished, outcome: 'completed', exitCode: 0, at: NOW }));
    expect(usage(own)).toEqual({ starts: [NOW, NOW], running: 0 });
  });

  test('counts a run that is attempted again once, from its newest start on', () => {
    const { database, newRun, start, usage } = setUp();
    const [again, own] = [newRun(), newRun()];
    start(again, { now: NOW - 1000 });
    start(own);
    database.write(() => {
      nextAttempt(database, again);
      recordStart(database, { project: 'acme/web', task: 'deploy', runId: again, attempt: 2, now: NOW });
    });
    expect(usage(own)).toEqual({ starts: [NOW - 1000], running: 0 });
    expect(usage(newRun())).toEqual({ starts: [NOW, NOW, NOW - 1000], running: 2 });
  });

  test('counts a run whose start is longer ago than starts are kept', () => {
    const { newRun, start, usage } = setUp();
    start(newRun(), { now: NOW - 30 * DAY });
    const own = newRun();
    start(own);
    expect(usage(own)).toEqual({ starts: [], running: 1 });
  });
});

describe('what is kept', () => {
  test('25 days, to the millisecond', () => {
    const { database, newRun, start, usage } = setUp();
    start(newRun(), { now: NOW - 25 * DAY - 1 });
    start(newRun(), { now: NOW - 25 * DAY });
    expect(usage(newRun()).starts).toEqual([NOW - 25 * DAY]);
    expect(rows(database)).toBe(2);
    start(newRun());
    expect(rows(database)).toBe(2);
  });

  test('of very many starts the newest, as many as a guard may allow', () => {
    const { database, newRun, usage } = setUp();
    const run = newRun();
    database.write(() => {
      for (let attempt = 1; attempt <= MAX_STARTS + 5; attempt++) {
        recordStart(database, {
          project: 'acme/web',
          task: 'deploy',
          runId: run,
          attempt,
          now: NOW - attempt,
        });
      }
    });
    const { starts } = usage(newRun());
    expect(starts).toHaveLength(MAX_STARTS);
    expect([starts.at(0), starts.at(-1)]).toEqual([NOW - 1, NOW - MAX_STARTS]);
  });
});

test('a store from before counts what is executing in it', () => {
  const { database: other } = setUp();
  const folder = join(other.directory, 'before');
  mkdirSync(folder, { mode: 0o700 });
  const sqlite = new DatabaseSync(join(folder, 'ax.db'));
  const steps = MIGRATIONS.slice(
    0,
    MIGRATIONS.findIndex((step) => step.includes('CREATE TABLE starts')),
  );
  for (const step of steps) sqlite.exec(step);
  sqlite.exec(`PRAGMA application_id = ${0x61780001}; PRAGMA user_version = ${steps.length};
    INSERT INTO runs (id, trace_id, span_id, project, task, attempt, manifest_digest, manifest_version, lock_sha256,
      inputs_sha256, actor, state, started_at, supervisor_host, supervisor_pid, supervisor_start, cancel_policy)
    VALUES ('01JDCD0000000000000000000A', '', '', 'acme/web', 'deploy', 1, '', 1, '', '', '{}', 'EXECUTING', 1, '', 1, '', '{}')`);
  sqlite.close();
  const database = openDatabase(folder, process.getuid?.() ?? -1);
  const own = {
    project: 'acme/web',
    task: 'deploy',
    runId: '01JDCD0000000000000000000B',
    attempt: 1,
    now: NOW,
  };
  expect(usageOf(database, own)).toEqual({ starts: [], running: 1 });
  database.write(() => recordStart(database, { ...own, runId: '01JDCD0000000000000000000A' }));
  expect(usageOf(database, own)).toEqual({ starts: [NOW], running: 1 });
  database.close();
});

function rows(database: Database): number {
  return Number(database.prepare('SELECT count(*) AS n FROM starts').get()?.n);
}
