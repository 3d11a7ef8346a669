import { constants } from 'node:os';
import type { StopSignal } from '../context.ts';
import type { AxError } from '../errors.ts';
import type { DependencyFinding } from '../manifest/dependencies.ts';
import { appendAudit } from '../store/audit.ts';
import type { OutcomeName, Run } from '../store/runs.ts';
import { requireSpace } from '../store/space.ts';
import { startAttempt } from './attempt.ts';
import { answerCancel } from './cancel-answer.ts';
import { openChannel } from './channel.ts';
import type { Attempt, AttemptResult, Invocation } from './invocation.ts';
import type { Plan } from './plan.ts';

export interface RunRequest {
  /** In an order in which every task comes after what it needs. */
  readonly plans: readonly Plan[];
  /** By task, what the check of its dependencies found before anything was started. */
  readonly checked: ReadonlyMap<string, readonly DependencyFinding[]>;
  /** The ended run that the one plan is another attempt of. */
  readonly retryOf?: Run;
  /** How many tasks may run at once. */
  readonly jobs: number;
  /** Go on with tasks that do not need the one that failed. */
  readonly keepGoing: boolean;
  /** How long guards that defer are waited for, in milliseconds; null for not at all. */
  readonly waitMs: number | null;
}

/** Where a task stands among those that may go on at once. */
type Place =
  | { readonly state: 'queued'; readonly turn: PromiseWithResolvers<boolean> }
  | { readonly state: 'running' }
  | { readonly state: 'held'; readonly others: PromiseWithResolvers<'alone' | 'never'> }
  | { readonly state: 'done' };

export interface RunResult {
  readonly outcome: OutcomeName;
  /** The first failing task's, or 0. */
  readonly exitCode: number;
  readonly runs: readonly AttemptResult[];
  readonly error: AxError | null;
}

/**
 * Runs tasks in the order of their needs and answers for all of them: signals, cancel requests, the end.
 *
 * Ctrl-C (or SIGTERM, SIGHUP) cancels what runs and starts nothing more; a second one ends it at once. Either
 * way every attempt that began has its receipt when this returns.
 *
 * @throws STORE_FULL, STORE_UNUSABLE, STORE_BUSY, IO
 */
export async function superviseRun(
  base: Omit<Invocation, 'channel'>,
  request: RunRequest,
): Promise<RunResult> {
  const { context, database } = base;
  requireSpace(database.directory);
  const attempts = new Map<string, Attempt>();
  const channel = await openChannel(context, (line) => answerCancel(base, line, attempts));
  const invocation: Invocation = { ...base, channel: channel.path };
  let stopping: StopSignal | undefined;
  let broken: unknown;

  const unsubscribe = context.onStopSignal((signal) => {
    const force = stopping !== undefined;
    stopping ??= signal;
    try {
      for (const attempt of attempts.values()) {
        if (force) attempt.force();
        else cancelBySignal(base, attempt, signal);
      }
    } catch (error) {
      // The store failed: nothing can be recorded any more, so nothing may go on unrecorded.
      broken = error;
      for (const attempt of attempts.values()) attempt.force();
    }
  });

  const results = new Map<string, AttemptResult>();
  const places = new Map<Plan, Place>(
    request.plans.map((plan) => [plan, { state: 'queued', turn: Promise.withResolvers() }]),
  );
  let busy = 0;
  try {
    const tasks = request.plans.map(runTask);
    giveTurns();
    await Promise.all(tasks);
  } finally {
    unsubscribe();
    // Only after a failure of the store is anything left to end here.
    for (const attempt of attempts.values()) attempt.force();
    await Promise.allSettled([...attempts.values()].map((attempt) => attempt.result));
    channel.close();
  }
  if (broken !== undefined) throw broken;
  return summarise(results, request.plans);

  async function runTask(plan: Plan): Promise<void> {
    const attempt = startAttempt(invocation, {
      plan,
      checked: request.checked.get(plan.taskId) ?? [],
      retryOf: request.retryOf ?? null,
      needsMet: () => needsOf(plan).every((name) => results.get(name)?.outcome === 'completed'),
      turns: { take: () => take(plan), release: () => release(plan) },
      waitMs: request.waitMs,
    });
    attempts.set(attempt.run.id, attempt);
    results.set(plan.taskId, await attempt.result);
    attempts.delete(attempt.run.id);
    move(plan, { state: 'done' });
    giveTurns();
  }

  function take(plan: Plan): Promise<boolean> {
    const place = places.get(plan);
    if (place?.state === 'queued') return place.turn.promise;
    const turn = Promise.withResolvers<boolean>();
    move(plan, { state: 'queued', turn });
    giveTurns();
    return turn.promise;
  }

  function release(plan: Plan): Promise<'alone' | 'never'> {
    const others = Promise.withResolvers<'alone' | 'never'>();
    move(plan, { state: 'held', others });
    giveTurns();
    return others.promise;
  }

  /** Lets tasks begin, in their order, as what they need completes and places become free. */
  function giveTurns(): void {
    for (const [plan, place] of places) {
      const verdict = place.state === 'queued' || place.state === 'held' ? turnOf(plan) : 'later';
      if (place.state === 'held' && verdict === 'never') place.others.resolve('never');
      if (place.state !== 'queued' || verdict === 'later') continue;
      move(plan, { state: 'running' });
      place.turn.resolve(verdict === 'now');
    }
    if (busy > 0 || request.waitMs !== null) return;
    // Only tasks whose guards defer are left, and what needs them: nothing will change by itself.
    for (const place of places.values()) if (place.state === 'held') place.others.resolve('alone');
  }

  function move(plan: Plan, to: Place): void {
    if (places.get(plan)?.state === 'running') busy -= 1;
    if (to.state === 'running') busy += 1;
    places.set(plan, to);
  }

  /** What a retried task needs had completed before. */
  function needsOf(plan: Plan): readonly string[] {
    return request.retryOf === undefined ? (plan.task.needs ?? []) : [];
  }

  function turnOf(plan: Plan): 'now' | 'later' | 'never' {
    const needs = needsOf(plan).map((name) => results.get(name)?.outcome);
    const failed = [...results.values()].some(({ outcome }) => outcome !== 'completed');
    if (stopping !== undefined || (failed && !request.keepGoing)) return 'never';
    if (needs.some((outcome) => outcome !== undefined && outcome !== 'completed')) return 'never';
    return needs.includes(undefined) || busy >= request.jobs ? 'later' : 'now';
  }
}

function cancelBySignal(
  { context, database }: Omit<Invocation, 'channel'>,
  attempt: Attempt,
  signal: StopSignal,
): void {
  const requestedBy = `${context.actor.name} (${signal})`;
  const exitCode = 128 + constants.signals[signal];
  const taken = attempt.cancel({ requestedBy, source: 'cancel-channel', exitCode });
  database.write(() =>
    appendAudit(database, context.now(), {
      type: 'cancel.request',
      runId: attempt.run.id,
      actor: context.actor,
      data: {
        task: attempt.run.task,
        via: signal,
        confirmed: true,
        outcome: taken ? 'canceled' : 'not-running',
      },
    }),
  );
}

/** In the order the tasks were planned; what failed first decides what the whole comes to. */
function summarise(results: ReadonlyMap<string, AttemptResult>, plans: readonly Plan[]): RunResult {
  // A map keeps the order in which results came in. What can be tried again later tells less than a failure.
  const inOrder = [...results.values()];
  const decisive =
    inOrder.find(({ outcome }) => !['completed', 'skipped', 'deferred'].includes(outcome)) ??
    inOrder.find(({ outcome }) => outcome === 'deferred');
  return {
    outcome: decisive?.outcome ?? 'completed',
    exitCode: decisive?.exitCode ?? 0,
    runs: plans.flatMap((plan) => results.get(plan.taskId) ?? []),
    error: decisive?.error ?? null,
  };
}
