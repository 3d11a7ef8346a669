import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  EVENT_TYPES,
  type Event,
  type EventType,
  effectName,
  isTerminal,
  type MachineContext,
  type Outcome,
  STATES,
  type State,
  transition,
} from '../../src/runtime/machine.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

const RUNS = { seed: 0x5eed, numRuns: 1000 };

const EVENTS: Record<EventType, Event> = {
  TaskSubmitted: { type: 'TaskSubmitted', taskId: 'build', manifestVersion: '7' },
  DependenciesReady: { type: 'DependenciesReady' },
  RuleViolation: { type: 'RuleViolation', rule: 'exit:3' },
  Timeout: { type: 'Timeout', ms: 250 },
  CancelRequest: { type: 'CancelRequest', requestedBy: 'mallory' },
  RetryTrigger: { type: 'RetryTrigger' },
  TelemetryFlushed: { type: 'TelemetryFlushed' },
};

/** Every context, and the letters by which the table below names a condition: d, g, t, c or its capital for "not". */
const CONTEXTS = [true, false].flatMap((d) =>
  [true, false].flatMap((g) =>
    [true, false].flatMap((t) =>
      [true, false].map((c) => ({
        letters: `${d ? 'd' : 'D'}${g ? 'g' : 'G'}${t ? 't' : 'T'}${c ? 'c' : 'C'}`,
        context: {
          dependenciesReady: d,
          guardVerdict: g ? 'Allowed' : { blocked: 'quota' },
          telemetryPending: t,
          cancellationRequested: c,
        } satisfies MachineContext,
      })),
    ),
  ),
);

/** The table of rules: from, event, condition => to, effects. What no line matches is rejected. */
const RULES = `
  BOOTSTRAPPING  DependenciesReady -  => IDLE           EmitTelemetry(runtime.bootstrapped)
  IDLE           TaskSubmitted     -  => PREPARING      HydratePlan(build) EmitTelemetry(task.accepted)
  PREPARING      DependenciesReady dg => EXECUTING      EvaluateGuards StartExecution(plan)
  PREPARING      DependenciesReady D  => WAITING_ON_DEP EnterWaitState EmitTelemetry(transition.deferred)
  PREPARING      CancelRequest     c  => CANCELED       RecordCancellation(mallory)
  PREPARING      Timeout           -  => FAILED         PerformRollback(timeout:250)
  WAITING_ON_DEP DependenciesReady d  => PREPARING      EmitTelemetry(dependencies.ready)
  WAITING_ON_DEP DependenciesReady D  => WAITING_ON_DEP EmitTelemetry(transition.deferred)
  WAITING_ON_DEP RetryTrigger      -  => PREPARING      ScheduleRetry
  WAITING_ON_DEP CancelRequest     -  => CANCELED       RecordCancellation(mallory)
  WAITING_ON_DEP Timeout           -  => FAILED         PerformRollback(wait-timeout:250)
  EXECUTING      TelemetryFlushed  T  => COMPLETED      FlushTelemetryBuffer
  EXECUTING      TelemetryFlushed  t  => EXECUTING      FlushTelemetryBuffer
  EXECUTING      RuleViolation     -  => FAILED         PerformRollback(exit:3)
  EXECUTING      Timeout           -  => FAILED         PerformRollback(execution-timeout:250)
  EXECUTING      CancelRequest     -  => CANCELED       RecordCancellation(mallory) PerformRollback(canceled)
  COMPLETED      TelemetryFlushed  -  => IDLE           EmitTelemetry(task.completed)
  FAILED         RetryTrigger      -  => PREPARING      ScheduleRetry
  CANCELED       RetryTrigger      -  => IDLE           EmitTelemetry(task.canceled.retry)
`
  .trim()
  .split('\n')
  .map((line) => {
    const [from = '', event = '', condition = '', , to = '', ...effects] = line.trim().split(/\s+/);
    return { from, event, letters: condition === '-' ? '' : condition, to, effects };
  });

const names = (outcome: Outcome): string[] => outcome.effects.map(effectName);

describe('the table of transitions', () => {
  for (const state of STATES) {
    test(`${state}: every event in every context`, () => {
      for (const type of EVENT_TYPES) {
        for (const { letters, context } of CONTEXTS) {
          const outcome = transition(state, EVENTS[type], context);
          const rules = RULES.filter(
            (rule) =>
              rule.from === state &&
              rule.event === type &&
              [...rule.letters].every((letter) => letters.includes(letter)),
          );
          expect(rules.length, `${state} ${type} ${letters}`).toBeLessThanOrEqual(1);
          const [rule] = rules;
          const found = { status: outcome.status, to: outcome.toState, effects: names(outcome) };
          const deferred = rule?.effects.includes('EmitTelemetry(transition.deferred)');
          expect(found, `${state} ${type} ${letters}`).toEqual({
            status: rule === undefined ? 'rejected' : deferred ? 'deferred' : 'transitioned',
            to: rule?.to ?? state,
            effects: rule?.effects ?? [],
          });
          expect(outcome).toMatchObject({ fromState: state, event: EVENTS[type] });
        }
      }
    });
  }

  const ready: MachineContext = {
    dependenciesReady: true,
    guardVerdict: 'Allowed',
    telemetryPending: false,
    cancellationRequested: false,
  };

  test.each<[State, EventType, Partial<MachineContext>, string | null]>([
    ['BOOTSTRAPPING', 'Timeout', {}, 'Runtime must finish bootstrapping before processing events.'],
    ['IDLE', 'DependenciesReady', {}, 'Idle state only accepts task submissions.'],
    ['PREPARING', 'RetryTrigger', {}, 'Preparing state only responds to deps/cancel/timeouts.'],
    ['PREPARING', 'CancelRequest', {}, 'Cancellation request not acknowledged.'],
    [
      'PREPARING',
      'DependenciesReady',
      { guardVerdict: { blocked: 'quota' } },
      'Guard blocked transition: quota',
    ],
    [
      'PREPARING',
      'DependenciesReady',
      { dependenciesReady: false },
      'Dependencies not confirmed by controller.',
    ],
    [
      'WAITING_ON_DEP',
      'RuleViolation',
      {},
      'Waiting state expects dependency updates, retries, or cancellation.',
    ],
    [
      'WAITING_ON_DEP',
      'DependenciesReady',
      { dependenciesReady: false },
      'Dependency graph not ready; remaining in wait state.',
    ],
    ['EXECUTING', 'RetryTrigger', {}, 'Executing state ignores unrelated events.'],
    ['COMPLETED', 'CancelRequest', {}, 'Completed tasks await telemetry flush only.'],
    ['FAILED', 'TelemetryFlushed', {}, 'Failed state only responds to retry triggers.'],
    ['CANCELED', 'TaskSubmitted', {}, 'Canceled state only allows retries into idle.'],
    ['PREPARING', 'DependenciesReady', {}, null],
  ])('%s, %s, %o says %s', (state, type, change, reason) => {
    expect(transition(state, EVENTS[type], { ...ready, ...change }).reason).toBe(reason);
  });

  test('a guard verdict that is neither allowed nor blocked never starts anything', () => {
    for (const verdict of ['allowed', '', {}]) {
      const context = { ...ready, guardVerdict: verdict as 'Allowed' };
      const outcome = transition('PREPARING', EVENTS.DependenciesReady, context);
      expect(outcome).toMatchObject({ status: 'rejected', toState: 'PREPARING', effects: [] });
    }
  });

  test('what is outside the unions: an event is rejected, a state is a bug', () => {
    const unknown = { type: 'Promote' } as unknown as Event;
    for (const state of STATES) expect(transition(state, unknown, ready).status).toBe('rejected');
    const nowhere = 'LIMBO' as State;
    expect(() => transition(nowhere, EVENTS.Timeout, ready)).toThrow('no rule for "LIMBO"');
  });

  test('three states settle a task', () => {
    expect(STATES.filter(isTerminal)).toEqual(['COMPLETED', 'FAILED', 'CANCELED']);
  });
});

describe('properties', () => {
  const event: fc.Arbitrary<Event> = fc.oneof(
    fc.record({
      type: fc.constant('TaskSubmitted' as const),
      taskId: fc.string(),
      manifestVersion: fc.string(),
    }),
    fc.record({ type: fc.constant('RuleViolation' as const), rule: fc.string() }),
    fc.record({ type: fc.constant('Timeout' as const), ms: fc.nat() }),
    fc.record({ type: fc.constant('CancelRequest' as const), requestedBy: fc.string() }),
    fc.constantFrom(EVENTS.DependenciesReady, EVENTS.RetryTrigger, EVENTS.TelemetryFlushed),
  );
  const context: fc.Arbitrary<MachineContext> = fc.record({
    dependenciesReady: fc.boolean(),
    guardVerdict: fc.oneof(fc.constant('Allowed' as const), fc.record({ blocked: fc.string() })),
    telemetryPending: fc.boolean(),
    cancellationRequested: fc.boolean(),
  });
  const call = fc.tuple(fc.constantFrom(...STATES), event, context);

  test('the same input gives the same outcome, and is not changed', () => {
    fc.assert(
      fc.property(call, ([state, happened, around]) => {
        const before = structuredClone([happened, around]);
        const first = transition(state, Object.freeze(happened), Object.freeze(around));
        const second = transition(state, structuredClone(happened), structuredClone(around));
        expect(first).toEqual(second);
        expect([happened, around]).toEqual(before);
      }),
      RUNS,
    );
  });

  test('a rejection changes nothing and explains itself; a transition needs no explanation', () => {
    fc.assert(
      fc.property(call, ([state, happened, around]) => {
        const outcome = transition(state, happened, around);
        expect(outcome.fromState).toBe(state);
        if (outcome.status === 'rejected') {
          expect(outcome.toState).toBe(state);
          expect(outcome.effects).toEqual([]);
        } else {
          expect(outcome.effects).not.toEqual([]);
        }
        if (outcome.status === 'transitioned') expect(outcome.reason).toBeNull();
        else expect(outcome.reason).toMatch(/./);
      }),
      RUNS,
    );
  });

  test('execution starts only from PREPARING, with dependencies ready and guards content', () => {
    fc.assert(
      fc.property(call, ([state, happened, around]) => {
        const starts = names(transition(state, happened, around)).includes('StartExecution(plan)');
        if (!starts) return;
        expect([state, happened.type]).toEqual(['PREPARING', 'DependenciesReady']);
        expect(around).toMatchObject({ dependenciesReady: true, guardVerdict: 'Allowed' });
      }),
      RUNS,
    );
  });
});

describe.skipIf(!haveVectors)('the transition vectors', () => {
  interface Row {
    state: State;
    event: EventType;
    payload: object | null;
    context: Omit<MachineContext, 'guardVerdict'> & { guardVerdict: 'Allowed' | { Blocked: string } };
    status: Outcome['status'];
    toState: State;
    effects: string[];
    reason: string | null;
  }

  test('all 896 rows agree', () => {
    const rows = vectorJson<Row[]>('transitions.json');
    expect(rows).toHaveLength(896);
    for (const row of rows) {
      const { guardVerdict: verdict } = row.context;
      const guardVerdict = verdict === 'Allowed' ? verdict : { blocked: verdict.Blocked };
      const event = { type: row.event, ...row.payload } as Event;
      const { status, toState, reason, ...rest } = transition(row.state, event, {
        ...row.context,
        guardVerdict,
      });
      const effects = rest.effects.map(effectName);
      const expected = {
        status: row.status,
        toState: row.toState,
        effects: row.effects,
        reason: row.reason ?? null,
      };
      expect({ status, toState, effects, reason }, JSON.stringify(row)).toEqual(expected);
    }
  });
});
