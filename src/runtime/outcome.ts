import { constants } from 'node:os';
import { AxError } from '../errors.ts';
import type { DependencyFinding } from '../manifest/dependencies.ts';
import { formatDuration } from '../security/duration.ts';
import type { OutcomeName } from '../store/runs.ts';
import type { Exit } from './executor.ts';
import type { Verdict } from './guards/verdict.ts';
import type { Plan } from './plan.ts';

/** How an attempt ended, as its user is told. */
export interface End {
  readonly outcome: OutcomeName;
  readonly exitCode: number;
  readonly error: AxError | null;
}

/** What made a run fail: the rule for the machine's RuleViolation, and the end that it leads to. */
export interface Failure {
  readonly rule: string;
  readonly end: End;
}

/**
 * What there is to say against an execution that ended by itself; null when it did what it was meant to do.
 * A dependency that changed while the task ran is found first: then nothing else it did can be believed.
 */
export function failureOf(exit: Exit, plan: Plan, after: readonly DependencyFinding[]): Failure | null {
  const changed = after.flatMap((finding) => finding.problem ?? []);
  if (changed.length > 0) {
    const error = new AxError(
      'DEPENDENCY_CHANGED',
      `task ${plan.taskId}: changed while it ran: ${changed.join('\n')}`,
      { hint: 'find out what changed it; if the task does so on purpose, do not pin it' },
    );
    return { rule: 'dependency-changed', end: { outcome: 'failed', exitCode: error.exitCode, error } };
  }
  switch (exit.kind) {
    case 'exited':
      if (exit.code === 0) return null;
      return { rule: `exit:${exit.code}`, end: { outcome: 'failed', exitCode: exit.code, error: null } };
    case 'signaled': {
      const number = constants.signals[exit.signal as NodeJS.Signals] ?? 0;
      return {
        rule: `signal:${exit.signal}`,
        end: { outcome: 'failed', exitCode: 128 + number, error: null },
      };
    }
    case 'not-started': {
      const error = new AxError('EXECUTABLE_MISSING', `task ${plan.taskId}: not started (${exit.reason})`, {
        hint: `check that ${plan.argv[0]} can be executed on this machine`,
      });
      return { rule: `spawn:${exit.reason}`, end: { outcome: 'failed', exitCode: error.exitCode, error } };
    }
  }
}

/**
 * Whether an attempt that ended so is followed by another: only one that ran and failed, while the signed
 * budget lasts, and never after a refusal or on content that is not what was signed.
 */
export function mayRetry(end: End, exit: Exit | null, attempt: number, plan: Plan): boolean {
  if (exit === null || (end.outcome !== 'failed' && end.outcome !== 'timed-out')) return false;
  return end.error?.code !== 'DEPENDENCY_CHANGED' && attempt <= plan.retries.max;
}

export function timedOut(plan: Plan): End {
  const error = new AxError(
    'TIMED_OUT',
    `task ${plan.taskId}: timed out after ${formatDuration(plan.timeoutMs)}`,
    {
      hint: 'raise `timeout:` in ax.yaml if it needs longer, then: ax sign',
    },
  );
  return { outcome: 'timed-out', exitCode: error.exitCode, error };
}

/** An end that has something to say for itself. */
type Refusal = End & { readonly error: AxError };

/** A guard said no. */
export function blocked({ taskId }: Pick<Plan, 'taskId'>, reason: string): Refusal {
  const error = new AxError('GUARD_BLOCKED', `task ${taskId}: blocked by its guards: ${reason}`, {
    hint: `ax policy explain ${taskId}`,
  });
  return { outcome: 'refused', exitCode: error.exitCode, error };
}

type Deferral = Verdict & { readonly verdict: 'defer' };

/** Its guards say not now, and nobody waits for them. */
export function deferred({ taskId }: Pick<Plan, 'taskId'>, deferral: Deferral): Refusal {
  const seconds = secondsUntil(deferral);
  const error = new AxError('GUARD_DEFERRED', `task ${taskId}: not now: ${deferral.reason}`, {
    hint: `try again in ${formatDuration(seconds * 1000)}, or let it wait: ax run ${taskId} --wait`,
    retryAfterSeconds: seconds,
  });
  return { outcome: 'deferred', exitCode: error.exitCode, error };
}

/** Its guards were waited for, and for longer they are not. */
export function waitedTooLong(plan: Plan, deferral: Deferral, waitMs: number): End {
  const error = new AxError(
    'TIMED_OUT',
    `task ${plan.taskId}: waited ${formatDuration(waitMs)} for its guards: ${deferral.reason}`,
    { hint: 'give --wait more time, or none to wait without end', retryAfterSeconds: secondsUntil(deferral) },
  );
  return { outcome: 'timed-out', exitCode: error.exitCode, error };
}

/** Whole seconds until it is worth asking again, at least 1. */
export function secondsUntil({ retryAfterMs }: Pick<Deferral, 'retryAfterMs'>): number {
  return Math.max(1, Math.ceil(retryAfterMs / 1000));
}

/** It was planned and could not begin. */
export function skipped(): End {
  return { outcome: 'skipped', exitCode: 0, error: null };
}
