import { describe, expect, test } from 'vitest';
import { answerCancel } from '../../src/runtime/cancel-answer.ts';
import { encodeCancel } from '../../src/runtime/cancel-protocol.ts';
import { dispatch, type LiveRun } from '../../src/runtime/dispatcher.ts';
import type { Attempt } from '../../src/runtime/invocation.ts';
import { isTerminal, type MachineEvent } from '../../src/runtime/machine.ts';
import { listAudit, verifyAudit } from '../../src/store/audit.ts';
import type { Database } from '../../src/store/database.ts';
import { listEvents } from '../../src/store/events.ts';
import { type TestContext, testContext } from '../support/context.ts';
import { newLiveRun, temporaryStore } from '../support/store.ts';

const CONTEXT = {
  dependenciesReady: true,
  guardVerdict: 'Allowed',
  telemetryPending: false,
  cancellationRequested: true,
} as const;
const READY: MachineEvent = { type: 'DependenciesReady' };
const SUBMITTED: MachineEvent = { type: 'TaskSubmitted', taskId: 'build', manifestVersion: '1' };

/** A run that is EXECUTING, and what its supervisor does with what comes in on the socket. */
function setUp(name: string) {
  const context = testContext(name);
  const database = temporaryStore(context);
  const run = newLiveRun(context, database);
  for (const event of [READY, SUBMITTED, READY]) send(event);
  const attempt: Attempt = {
    run,
    cancelPolicy: { max: 10, perMs: 60_000, confirmWithinMs: 30_000 },
    result: new Promise(() => {}),
    cancel: ({ requestedBy, source }) =>
      dispatch({ context, database }, run, {
        event: { type: 'CancelRequest', requestedBy },
        source,
        context: CONTEXT,
      }).toState === 'CANCELED',
    force: () => {},
  };
  const attempts = new Map([[run.id, attempt]]);

  function send(event: MachineEvent, source: Parameters<typeof dispatch>[2]['source'] = 'dispatcher') {
    dispatch({ context, database }, run, { event, source, context: CONTEXT });
  }
  function ask(token: string | null = null, from: TestContext = context) {
    const message = encodeCancel({ runId: run.id, token, at: context.clock }, run.sessionKey);
    const answer = answerCancel({ context: from, database }, message, attempts);
    return JSON.parse(answer) as { outcome: string; token?: string; retryAfterSeconds?: number };
  }
  function confirmation(): string {
    const { outcome, token = '' } = ask();
    expect(outcome).toBe('confirmation-required');
    return token;
  }
  return { context, database, run, attempts, send, ask, confirmation };
}

function recordsOf(database: Database) {
  return listAudit(database, { type: 'cancel.request' }).map(({ data }) => data);
}

function endsOf(database: Database, run: LiveRun) {
  return listEvents(database, run.id)
    .filter(({ fromState, toState }) => isTerminal(toState as LiveRun['state']) && fromState !== toState)
    .map(({ type, toState }) => `${type} ${toState}`);
}

describe('a token that was given while EXECUTING meets the state of now', () => {
  const failed: [MachineEvent, 'executor'] = [{ type: 'RuleViolation', rule: 'exit:1' }, 'executor'];
  const again: [MachineEvent, 'dispatcher'] = [{ type: 'RetryTrigger' }, 'dispatcher'];

  test('PREPARING: another attempt is about to begin, and does not', () => {
    const { database, run, send, ask, confirmation } = setUp('preparing');
    const token = confirmation();
    send(...failed);
    send(...again);
    expect(run.state).toBe('PREPARING');
    expect(ask(token)).toEqual({ outcome: 'canceled' });
    expect(endsOf(database, run)).toEqual(['RuleViolation FAILED', 'CancelRequest CANCELED']);
    verifyAudit(database);
  });

  test.each<[string, [MachineEvent, 'executor' | 'telemetry']]>([
    ['FAILED', failed],
    ['COMPLETED', [{ type: 'TelemetryFlushed' }, 'telemetry']],
  ])('%s: too late, and the token is used up', (state, end) => {
    const { database, run, send, ask, confirmation } = setUp(state);
    const token = confirmation();
    send(...end);
    expect(ask(token)).toEqual({ outcome: 'not-running' });
    expect(ask(token)).toEqual({ outcome: 'token-invalid' });
    expect(run.state).toBe(state);
    expect(endsOf(database, run)).toEqual([`${end[0].type} ${state}`]);
    expect(recordsOf(database)).toEqual([
      { task: 'build', via: 'socket', confirmed: false, outcome: 'confirmation-required' },
      { task: 'build', via: 'socket', confirmed: true, outcome: 'not-running' },
      { task: 'build', via: 'socket', confirmed: false, outcome: 'token-invalid' },
    ]);
  });

  test('EXECUTING again, in another attempt of the same run: it is canceled', () => {
    const { database, run, send, ask, confirmation } = setUp('executing');
    const token = confirmation();
    send(...failed);
    send(...again);
    send(READY);
    expect(ask(token)).toEqual({ outcome: 'canceled' });
    expect(endsOf(database, run)).toEqual(['RuleViolation FAILED', 'CancelRequest CANCELED']);
  });
});

test('a token holds to the last millisecond of its 30 s, and for the user who asked', () => {
  const { context, run, ask, confirmation } = setUp('binding');
  const token = confirmation();
  const other = testContext('other', {
    actor: { uid: context.actor.uid + 1, name: 'other' },
    now: context.now,
  });
  expect(ask(token, other)).toEqual({ outcome: 'token-invalid' });
  context.clock += 30_001;
  expect(ask(token)).toEqual({ outcome: 'token-invalid' });
  context.clock -= 1;
  expect(run.state).toBe('EXECUTING');
  expect(ask(token)).toEqual({ outcome: 'canceled' });
});

test('the eleventh of a user within a minute waits for the first to be a minute old', () => {
  const { context, database, ask } = setUp('limit');
  for (let request = 0; request < 10; request++) {
    expect(ask().outcome).toBe('confirmation-required');
    context.clock += 1000;
  }
  expect(ask()).toEqual({ outcome: 'rate-limited', retryAfterSeconds: 50 });
  context.clock += 49_999;
  expect(ask()).toEqual({ outcome: 'rate-limited', retryAfterSeconds: 1 });
  context.clock += 1;
  expect(ask().outcome).toBe('confirmation-required');
  expect(recordsOf(database)).toHaveLength(13);
});

test('a run that has ended is not running, for a request that came too late for its key', () => {
  const { database, run, attempts, ask } = setUp('ended');
  attempts.delete(run.id);
  expect(ask()).toEqual({ outcome: 'not-running' });
  expect(run.state).toBe('EXECUTING');
  expect(recordsOf(database)).toEqual([
    { task: 'build', via: 'socket', confirmed: false, outcome: 'not-running' },
  ]);
});
