import { describe, expect, test } from 'vitest';
import { dispatch, type LiveRun, submitEvent } from '../../src/runtime/dispatcher.ts';
import {
  type AuthenticatedEvent,
  createEvent,
  type EventSource,
  eventMac,
} from '../../src/runtime/events.ts';
import {
  EVENT_TYPES,
  type EventType,
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
import { newLiveRun, reopenStore, temporaryStore } from '../support/store.ts';

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

/** Submits what is to be rejected: nothing moves, one record says why, and it counts towards the alert. */
function refused(
  edge: { context: TestContext; database: Database },
  run: LiveRun,
  record: AuthenticatedEvent,
): string | undefined {
  const before = traces(edge, run);
  expect(codeOf(() => submitEvent(edge, run, { record, context: CLEAR }))).toBe('EVENT_REJECTED');
  const { rejections, counted, ...unmoved } = traces(edge, run);
  const { rejections: earlier, counted: countedBefore, ...same } = before;
  expect(unmoved).toEqual(same);
  expect(rejections).toHaveLength(earlier.length + 1);
  // More than tell that there are too many are not kept.
  expect(counted).toBe(Math.min(countedBefore + 1, 11));
  const last = rejections.at(-1)?.data;
  expect(last).toMatchObject({ event: record.type, seq: record.seq, source: record.source });
  return (last as { reason: string } | undefined)?.reason;
}

/** What is in the store of a run, and how many rejections of the last five minutes are counted. */
function traces({ context, database }: { context: TestContext; database: Database }, run: LiveRun) {
  return {
    row: loadRun(database, run.id),
    live: { state: run.state, seq: run.seq },
    events: listEvents(database, run.id),
    transitions: listAudit(database, { type: 'run.transition', runId: run.id }),
    rejections: listAudit(database, { type: 'event.rejected', runId: run.id }),
    counted: Number(
      database
        .prepare("SELECT count(*) AS n FROM limit_uses WHERE bucket = 'alert:event-replays' AND at > ?")
        .get(context.clock - 5 * 60_000)?.n,
    ),
  };
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

  test('also by a store that was closed meanwhile, which takes the next one', () => {
    const { context, database, run } = setUp('reopened');
    const record = nextEvent(context, run);
    submitEvent({ context, database }, run, { record, context: CLEAR });
    const ahead = nextEvent(context, run, { seq: 3 });
    database.close();
    const reopened = reopenStore(context, database);
    const edge = { context, database: reopened };
    expect(refused(edge, run, record)).toBe('expected sequence 2, found 1');
    expect(refused(edge, run, ahead)).toBe('expected sequence 2, found 3');
    const submitted = dispatch(edge, run, {
      event: { type: 'TaskSubmitted', taskId: 'build', manifestVersion: '1' },
      context: CLEAR,
      source: 'dispatcher',
    });
    expect(submitted.toState).toBe('PREPARING');
    // What came too early then is next now, and moves the run once.
    expect(submitEvent(edge, run, { record: ahead, context: CLEAR }).toState).toBe('EXECUTING');
    expect(refused(edge, run, ahead)).toBe('expected sequence 4, found 3');
    expect(stateOf(reopened, run)).toEqual({ state: 'EXECUTING', seq: 3 });
    verifyAudit(reopened);
  });
});

test('more than ten rejections in five minutes raise one alert', () => {
  const { context, database, run } = setUp('alert');
  const record = nextEvent(context, run);
  submitEvent({ context, database }, run, { record, context: CLEAR });
  for (let round = 0; round < 10; round += 1) refused({ context, database }, run, record);
  expect(listAudit(database, { type: 'alert' })).toEqual([]);
  // The count outlives the process.
  database.close();
  const edge = { context, database: reopenStore(context, database) };
  const alerts = () => listAudit(edge.database, { type: 'alert' });
  for (let round = 0; round < 5; round += 1) refused(edge, run, record);
  expect(alerts().map(({ data }) => data)).toEqual([
    { alert: 'event-replays', severity: 'high', occurrences: 11, windowSeconds: 300 },
  ]);
  context.clock += 5 * 60_000;
  for (let round = 0; round < 11; round += 1) refused(edge, run, record);
  expect(alerts()).toHaveLength(2);
});

describe('through the dispatcher and the store, every event in every state does what the machine says', () => {
  const events: Record<EventType, { event: MachineEvent; source: EventSource }> = {
    TaskSubmitted: {
      event: { type: 'TaskSubmitted', taskId: 'build', manifestVersion: '1' },
      source: 'dispatcher',
    },
    DependenciesReady: { event: READY, source: 'dispatcher' },
    RuleViolation: { event: { type: 'RuleViolation', rule: 'exit:1' }, source: 'executor' },
    Timeout: { event: { type: 'Timeout', ms: 5 }, source: 'dispatcher' },
    CancelRequest: { event: { type: 'CancelRequest', requestedBy: 'alice' }, source: 'cancel-channel' },
    RetryTrigger: { event: { type: 'RetryTrigger' }, source: 'dispatcher' },
    TelemetryFlushed: { event: { type: 'TelemetryFlushed' }, source: 'telemetry' },
  };
  const either = [true, false];
  const contexts: MachineContext[] = either.flatMap((dependenciesReady) =>
    (['Allowed', { blocked: 'quota' }] as const).flatMap((guardVerdict) =>
      either.flatMap((telemetryPending) =>
        either.map((cancellationRequested) => ({
          dependenciesReady,
          guardVerdict,
          telemetryPending,
          cancellationRequested,
        })),
      ),
    ),
  );

  test.each(STATES)('%s, in every context: committed, in sequence, on record', (state: State) => {
    const { context, database } = setUp(state);
    for (const type of EVENT_TYPES) {
      const { event, source } = events[type];
      for (const machine of contexts) {
        const run = newLiveRun(context, database);
        database.write(() => database.prepare('UPDATE runs SET state = ? WHERE id = ?').run(state, run.id));
        const outcome = dispatch({ context, database }, run, { event, context: machine, source });
        expect(outcome).toEqual(transition(state, event, machine));
        const { status, fromState, toState, reason } = outcome;
        if (status === 'rejected') expect(toState).toBe(state);
        expect(stateOf(database, run)).toEqual({ state: toState, seq: 1 });
        expect({ state: run.state, seq: run.seq }).toEqual({ state: toState, seq: 1 });
        const [stored, ...more] = listEvents(database, run.id);
        expect(stored).toMatchObject({ seq: 1, type, source, status, fromState, toState, reason });
        expect(more).toEqual([]);
        expect(listAudit(database, { runId: run.id }).map((record) => [record.type, record.data])).toEqual([
          [
            'run.transition',
            {
              task: 'build',
              event: type,
              eventId: stored?.id,
              seq: 1,
              source,
              status,
              from: state,
              to: toState,
              reason,
            },
          ],
        ]);
      }
    }
    expect(verifyAudit(database).records).toBe(EVENT_TYPES.length * contexts.length);
  });
});
