import { expect, test } from 'vitest';
import { listAudit, verifyAudit } from '../../src/store/audit.ts';
import { issueToken, redeemToken, type TokenBinding } from '../../src/store/cancel-tokens.ts';
import { listEvents } from '../../src/store/events.ts';
import { loadRun } from '../../src/store/runs.ts';
import { testContext } from '../support/context.ts';
import { newLiveRun, temporaryStore } from '../support/store.ts';
import { runWorkers } from '../support/workers.ts';

test('of processes that submit the same sequence one moves the run, and the others are refused', async () => {
  const context = testContext('submit');
  const database = temporaryStore(context);
  for (const processes of [2, 6]) {
    const run = newLiveRun(context, database);
    const jobs = Array.from({ length: processes }, () => ['submit', database.directory, run.id]);
    const answers = (await runWorkers(jobs)).sort();
    expect(answers).toEqual([...Array(processes - 1).fill('EVENT_REJECTED'), 'IDLE']);
    expect(loadRun(database, run.id)).toMatchObject({ state: 'IDLE', seq: 1 });
    expect(listEvents(database, run.id)).toHaveLength(1);
    expect(listAudit(database, { type: 'run.transition', runId: run.id })).toHaveLength(1);
    expect(listAudit(database, { type: 'event.rejected', runId: run.id })).toHaveLength(processes - 1);
  }
  verifyAudit(database);
});

test('of processes that bring the same token one uses it up', async () => {
  const context = testContext('redeem');
  const database = temporaryStore(context);
  const { id: runId } = newLiveRun(context, database);
  const binding = { runId, requester: context.actor.uid };
  const token = database.write(() =>
    issueToken(database, {
      ...binding,
      now: Date.now(),
      expiresAt: Date.now() + 3_600_000,
      randomBytes: context.randomBytes,
    }),
  );
  const answers = await runWorkers(
    Array.from({ length: 6 }, () => ['redeem', database.directory, runId, token]),
  );
  expect(answers.sort()).toEqual([...Array(5).fill('false'), 'true']);
});

test('a token holds to the last millisecond of its time, for its run and requester, once', () => {
  const context = testContext('token');
  const database = temporaryStore(context);
  const { id: runId } = newLiveRun(context, database);
  const { id: otherRun } = newLiveRun(context, database);
  const now = context.now();
  const binding = { runId, requester: 1000, now };
  const issue = () =>
    database.write(() =>
      issueToken(database, { ...binding, expiresAt: now + 30_000, randomBytes: context.randomBytes }),
    );
  const redeem = (token: string, by: TokenBinding & { now: number }) =>
    database.write(() => redeemToken(database, token, by));
  const token = issue();
  expect(redeem(token, { ...binding, now: now + 30_001 })).toBe(false);
  expect(redeem(token, { ...binding, runId: otherRun })).toBe(false);
  expect(redeem(token, { ...binding, requester: 1001 })).toBe(false);
  expect(redeem(token.toLowerCase(), binding)).toBe(false);
  expect(redeem('', binding)).toBe(false);
  expect(redeem(token, { ...binding, now: now + 30_000 })).toBe(true);
  expect(redeem(token, binding)).toBe(false);
  expect(issue()).not.toBe(token);
});
