import { AxError } from '../errors.ts';
import { type Run, takeOverRun, unfinishedRuns } from '../store/runs.ts';
import { dispatch, type LiveRun } from './dispatcher.ts';
import type { EventSource } from './events.ts';
import { finishAttempt } from './finish.ts';
import type { Invocation } from './invocation.ts';
import type { MachineEvent, State } from './machine.ts';
import type { End } from './outcome.ts';
import { killMarked } from './process-tree.ts';
import { NOTHING_EXECUTED } from './statement.ts';
import { livenessOf } from './supervisor-identity.ts';

export type SettleEdge = Pick<Invocation, 'context' | 'database' | 'keys' | 'supervisor'>;

/** Runs that nobody supervises any more, though they have no outcome. */
export function lostRuns({ context, database }: Pick<SettleEdge, 'context' | 'database'>): Run[] {
  return unfinishedRuns(database).filter((run) => livenessOf(run.supervisor, context) === 'lost');
}

/**
 * Ends a run whose supervisor is gone: what it left running is killed, the machine is told, the receipt is
 * written. It is never run again by itself, and its rollback is not run: what state the task left behind,
 * nobody has seen (spec: state machine, "What drives it").
 *
 * @returns the receipt's id; null when another process was faster
 */
export function settleRun(edge: SettleEdge, run: Run): string | null {
  const { context, database, supervisor } = edge;
  if (!database.write(() => takeOverRun(database, run, supervisor))) return null;
  killMarked(run.id);
  const elapsed = Math.max(0, context.now() - run.startedAt);
  const live: LiveRun = {
    id: run.id,
    traceId: run.traceId,
    spanId: run.spanId,
    task: run.task,
    sessionKey: run.sessionKey ?? new Uint8Array(),
    state: run.state as State,
    seq: run.seq,
  };
  const told = eventFor(live.state, elapsed);
  if (told !== null) {
    dispatch(edge, live, {
      ...told,
      context: {
        dependenciesReady: false,
        guardVerdict: 'Allowed',
        telemetryPending: false,
        cancellationRequested: false,
      },
    });
  }
  return finishAttempt(edge, {
    row: run,
    end: endOf(run),
    startedAt: run.startedAt,
    goesOn: false,
    facts: {
      ...NOTHING_EXECUTED,
      verified: null,
      plan: null,
      durationMs: elapsed,
    },
  });
}

/** The event that fails a run in each state that has one; the others end where they are. */
function eventFor(state: State, elapsed: number): { event: MachineEvent; source: EventSource } | null {
  switch (state) {
    case 'EXECUTING':
      return { event: { type: 'RuleViolation', rule: 'supervisor-lost' }, source: 'executor' };
    case 'PREPARING':
    case 'WAITING_ON_DEP':
      return { event: { type: 'Timeout', ms: elapsed }, source: 'dispatcher' };
    default:
      return null;
  }
}

function endOf(run: Run): End {
  const error = new AxError(
    'SUPERVISOR_LOST',
    `run ${run.id} of ${run.task}: its supervisor ended without a word while it was ${run.state}`,
    { hint: `see what it left behind, then: ax run ${run.task}` },
  );
  // A cancel that was committed stays a cancel; anything else did not come to a good end.
  const outcome = run.state === 'CANCELED' ? 'canceled' : 'failed';
  return { outcome, exitCode: outcome === 'canceled' ? 130 : error.exitCode, error };
}
