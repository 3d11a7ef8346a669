import { describe, expect, test } from 'vitest';
import { dispatch, type LiveRun, submitEvent } from '../../src/runtime/dispatcher.ts';
import { type AuthenticatedEvent, createEvent, eventMac } from '../../src/runtime/events.ts';
import {
  EVENT_TYPES,
  type MachineContext,
  type MachineEvent,
  STATES,
  type State,
  transition,
} from '../../src/runtime/machine.ts';
import { listAudit, verifyAudit } from '../../src/store/audit.ts';
import type { Database } from '../../src/store/database.ts';
import { listEvents } from '../../src/store/events.ts';
import { finishRun, loadRun } from '../../src/store/runs.ts';
import { codeOf } from '../support/code-of.ts';
import { type TestContext, testContext } from '../support/context.ts';
import { newLiveRun, temporaryStore } from '../support/store.ts';

const CLEAR: MachineContext = {
  dependenciesReady: true,
  guardVerdict: 'Allowed',
  telemetryPending: false,
  cancellationRequested: true,
};
const READY: MachineEvent = { type: 'DependenciesReady' };

function setUp(name: string) {
  const context = testContext(name);
  const database = temporaryStore(context);
  return { context, database, run: newLiveRun(context, database) };
}

function nextEvent(
  context: TestContext,
  run: LiveRun,
  changes: Partial<AuthenticatedEvent> = {},
): AuthenticatedEvent {
  const made = createEvent(READY, {
    runId: run.id,
    traceId: run.traceId,
    parentSpanId: run.spanId,
    sessionKey: run.sessionKey,
    source: 'dispatcher',
    seq: run.seq + 1,
    now: context.clock,
    randomBytes: context.randomBytes,
  });
  const { mac: _, ...content } = { ...made, ...changes };
  return { ...content, mac: changes.mac ?? eventMac(content, run.sessionKey) };
}

function stateOf(database: Database, run: LiveRun) {
  const row = loadRun(database, run.id);
  return { state: row?.state, seq: row?.seq };
}

function refused(
  edge: { context: TestContext; database: Database },
  run: LiveRun,
  record: AuthenticatedEvent,
) {
  const before = stateOf(edge.database, run);
  expect(codeOf(() => submitEvent(edge, run, { record, context: CLEAR }))).toBe('EVENT_REJECTED');
  expect(stateOf(edge.database, run)).toEqual(before);
  const last = listAudit(edge.database, { type: 'event.rejected' }).at(-1);
  return (last?.data as { reason: string } | undefined)?.reason;
}

describe('an event moves a run', () => {
  test('once: the event, the transition and its record are there together', () => {
    const { context, database, run } = setUp('once');
    const outcome = submitEvent({ context, database }, run, {
      record: nextEvent(context, run),
      context: CLEAR,
    });
    expect(outcome.toState).toBe('IDLE');
    expect(stateOf(database, run)).toEqual({ state: 'IDLE', seq: 1 });
    expect(listEvents(database, run.id)).toHaveLength(1);
    expect(listAudit(database, { type: 'run.transition' })).toHaveLength(1);
    verifyAudit(database);
  });

  test.each([-30_000, 30_000])('at an age of %i ms', (age) => {
    const { context, database, run } = setUp('window');
    const record = nextEvent(context, run, { at: context.clock + age });
    expect(submitEvent({ context, database }, run, { record, context: CLEAR }).toState).toBe('IDLE');
  });
});

describe('an event is rejected, and that is recorded', () => {
  test.each([-30_001, 30_001])('at an age of %i ms', (age) => {
    const { context, database, run } = setUp('too old');
    const reason = refused({ context, database }, run, nextEvent(context, run, { at: context.clock + age }));
    expect(reason).toBe('it is 30001 ms away from now');
  });

  test('the second time', () => {
    const { context, database, run } = setUp('replay');
    const record = nextEvent(context, run);
    submitEvent({ context, database }, run, { record, context: CLEAR });
    expect(refused({ context, database }, run, record)).toBe('expected sequence 2, found 1');
  });

  test.each([0, 2, 3, 1000])('with a gap: sequence %i where 1 is next', (seq) => {
    const { context, database, run } = setUp('gap');
    expect(refused({ context, database }, run, nextEvent(context, run, { seq }))).toBe(
      `expected sequence 1, found ${seq}`,
    );
  });

  test('when it is of another run', () => {
    const { context, database, run } = setUp('other run');
    const other = newLiveRun(context, database, 'deploy');
    expect(refused({ context, database }, other, nextEvent(context, run))).toBe('the MAC does not hold');
    // Even with the right key: an event says itself which run it is of.
    const stolen = nextEvent(context, other, { runId: run.id });
    expect(refused({ context, database }, other, stolen)).toBe('it is of another run');
  });

  test.each<[string, Partial<AuthenticatedEvent>]>([
    ['type', { type: 'TelemetryFlushed' }],
    ['payload', { payload: { requestedBy: 'mallory' } }],
    ['source', { source: 'telemetry' }],
    ['sequence', { seq: 1 }],
    ['time', { at: 0 }],
    ['span', { spanId: '00f067aa0ba902b7' }],
    ['id', { id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }],
  ])('when its %s was changed after it was made', (_name, change) => {
    const { context, database, run } = setUp('forged');
    const honest = nextEvent(context, run);
    const forged = { ...honest, ...change };
    if (JSON.stringify(forged) === JSON.stringify(honest)) forged.mac = honest.mac.replace(/^./, '_');
    expect(refused({ context, database }, run, forged)).toBe('the MAC does not hold');
  });

  test('when its source may not send it', () => {
    const { context, database, run } = setUp('source');
    expect(refused({ context, database }, run, nextEvent(context, run, { source: 'telemetry' }))).toBe(
      'telemetry may not send DependenciesReady',
    );
  });

  test('when its trace is another', () => {
    const { context, database, run } = setUp('trace');
    const record = nextEvent(context, run, { traceId: 'f'.repeat(32) });
    expect(refused({ context, database }, run, record)).toBe('it is of another trace');
  });

  test('when the run has ended', () => {
    const { context, database, run } = setUp('ended');
    const record = nextEvent(context, run);
    database.write(() =>
      finishRun(database, { id: run.id, outcome: 'failed', exitCode: 1, at: context.clock }),
    );
    expect(refused({ context, database }, run, record)).toBe('the run has ended');
  });

  test('also after a restart: another process with its own view of the run', () => {
    const { context, database, run } = setUp('restart');
    const record = nextEvent(context, run);
    submitEvent({ context, database }, run, { record, context: CLEAR });
    const restarted: LiveRun = { ...run, state: 'BOOTSTRAPPING', seq: 0 };
    expect(refused({ context, database }, restarted, record)).toBe('expected sequence 2, found 1');
  });
});

test('more than ten rejections in five minutes raise one alert', () => {
  const { context, database, run } = setUp('alert');
  const record = nextEvent(context, run);
  submitEvent({ context, database }, run, { record, context: CLEAR });
  const alerts = () => listAudit(database, { type: 'alert' });
  for (let round = 0; round < 10; round += 1) refused({ context, database }, run, record);
  expect(alerts()).toEqual([]);
  for (let round = 0; round < 5; round += 1) refused({ context, database }, run, record);
  expect(alerts().map(({ data }) => data)).toEqual([
    { alert: 'event-replays', severity: 'high', occurrences: 11, windowSeconds: 300 },
  ]);
  context.clock += 5 * 60_000;
  for (let round = 0; round < 11; round += 1) refused({ context, database }, run, record);
  expect(alerts()).toHaveLength(2);
});

describe('through the dispatcher, every event in every state does what the machine says', () => {
  const events: Record<(typeof EVENT_TYPES)[number], MachineEvent> = {
    TaskSubmitted: { type: 'TaskSubmitted', taskId: 'build', manifestVersion: '1' },
    DependenciesReady: READY,
    RuleViolation: { type: 'RuleViolation', rule: 'exit:1' },
    Timeout: { type: 'Timeout', ms: 5 },
    CancelRequest: { type: 'CancelRequest', requestedBy: 'alice' },
    RetryTrigger: { type: 'RetryTrigger' },
    TelemetryFlushed: { type: 'TelemetryFlushed' },
  };
  const sources = {
    TaskSubmitted: 'dispatcher',
    DependenciesReady: 'dispatcher',
    RuleViolation: 'executor',
    Timeout: 'dispatcher',
    CancelRequest: 'cancel-channel',
    RetryTrigger: 'dispatcher',
    TelemetryFlushed: 'telemetry',
  } as const;

  test.each(STATES)('%s', (state: State) => {
    const { context, database } = setUp(state);
    for (const type of EVENT_TYPES) {
      const run = newLiveRun(context, database);
      database.write(() => database.prepare('UPDATE runs SET state = ? WHERE id = ?').run(state, run.id));
      const outcome = dispatch({ context, database }, run, {
        event: events[type],
        context: CLEAR,
        source: sources[type],
      });
      expect(outcome).toEqual(transition(state, events[type], CLEAR));
      expect(stateOf(database, run)).toEqual({ state: outcome.toState, seq: 1 });
    }
  });
});
