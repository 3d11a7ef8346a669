import { isAxError } from '../errors.ts';
import { checkDependencies } from '../manifest/dependencies.ts';
import { withdrawStart } from '../store/starts.ts';
import { checkGuards, recordAdmission } from './attempt-guards.ts';
import { type ReadyCommand, readyCommand } from './command.ts';
import type { EventSource } from './events.ts';
import { canceledEnd, type Going, recordDependencies, send } from './going.ts';
import type { Decision } from './guards/gate.ts';
import type { GuardSnapshot } from './guards/snapshot.ts';
import type { Verdict } from './guards/verdict.ts';
import { hold } from './hold.ts';
import { blocked, deferred, type End, skipped, waitedTooLong } from './outcome.ts';
import { digestArtifacts } from './products.ts';

/**
 * From PREPARING to a command that may be executed, or to the end that it comes to instead. Dependencies and guards
 * are checked before the run is EXECUTING, and again once it is.
 */
export async function admit(going: Going): Promise<ReadyCommand | End> {
  const { run } = going;
  for (;;) {
    if (run.state !== 'PREPARING') return canceledEnd(going);
    const command = digestAll(going);
    if ('outcome' in command) return command;
    const { verdict, records } = await askGuards(going, 'check');
    going.facts.guards = records;
    // A cancel request may have come while the guards were asked.
    if (run.state !== 'PREPARING') return canceledEnd(going);
    switch (verdict.verdict) {
      case 'pass':
        begin(going);
        return confirm(going, command);
      case 'fail':
        return refuse(going, verdict);
      case 'defer': {
        const end = await waitForGuards(going, verdict);
        if (end !== null) return end;
      }
    }
  }
}

function digestAll(going: Going): ReadyCommand | End {
  const { plan, invocation } = going;
  const { roots } = invocation;
  try {
    going.facts.materials = digestArtifacts(plan.task.inputs ?? [], roots.root);
    const command = readyCommand(plan, plan.argv, roots);
    going.facts.before = command.findings;
    recordDependencies(going, going.facts.before, 'before spawn');
    return command;
  } catch (error) {
    if (!isAxError(error)) throw error;
    going.facts.before = checkDependencies(plan.pinned, roots);
    recordDependencies(going, going.facts.before, 'before spawn');
    return { outcome: 'refused', exitCode: error.exitCode, error };
  }
}

function askGuards(going: Going, phase: GuardSnapshot['phase']): Promise<Decision> {
  const { invocation, plan, run, attempt, facts } = going;
  return checkGuards(invocation, { plan, run, attempt, phase, findings: facts.before });
}

/** Into EXECUTING. That the task starts now is stored with it: it is what the next one's limits count. */
function begin(going: Going): void {
  const { invocation, plan, run, attempt } = going;
  const alongside = () => recordAdmission(invocation, { plan, run, attempt });
  send(going, { type: 'DependenciesReady' }, 'dispatcher', { alongside });
}

function refuse(going: Going, { reason }: Verdict): End {
  send(going, { type: 'DependenciesReady' }, 'dispatcher', { guardVerdict: { blocked: reason } });
  return blocked(going.plan, reason);
}

/**
 * The last look before the spawn: every guard is asked again, about a snapshot of now, and since that takes a
 * moment everything is digested again. Without guards nothing lies between the digests and the spawn.
 */
async function confirm(going: Going, admitted: ReadyCommand): Promise<ReadyCommand | End> {
  const { facts, run, plan } = going;
  if (facts.guards.length === 0) return admitted;
  const { verdict, records } = await askGuards(going, 'spawn');
  facts.guards = [...facts.guards, ...records];
  if (run.state !== 'EXECUTING') {
    const { database } = going.invocation;
    database.write(() => withdrawStart(database, startOf(going)));
    return canceledEnd(going);
  }
  if (going.forced) return turnBack(going, { rule: 'stopped', source: 'executor', end: canceledEnd(going) });
  if (verdict.verdict !== 'pass') {
    const end = blocked(plan, `${verdict.reason} (asked again right before the start)`);
    return turnBack(going, { rule: `guard:${verdict.verdict}`, source: 'guard-host', end });
  }
  const command = digestAll(going);
  if (!('outcome' in command)) return command;
  return turnBack(going, { rule: 'dependency-changed', source: 'executor', end: command });
}

/** Out of EXECUTING before anything was started: there is nothing to roll back, and no start to count. */
function turnBack(going: Going, { rule, source, end }: { rule: string; source: EventSource; end: End }): End {
  const alongside = () => withdrawStart(going.invocation.database, startOf(going));
  send(going, { type: 'RuleViolation', rule }, source, { alongside });
  return end;
}

function startOf({ run, attempt }: Going): { runId: string; attempt: number } {
  return { runId: run.id, attempt };
}

/** WAITING_ON_DEP, for as long as there is a point in it. Null when the guards are to be asked again. */
async function waitForGuards(going: Going, deferral: Verdict & { verdict: 'defer' }): Promise<End | null> {
  const { invocation, request, plan, run, stopped } = going;
  const { context } = invocation;
  const { waitMs, turns } = request;
  send(going, { type: 'DependenciesReady' }, 'dispatcher', { dependenciesReady: false });
  going.deadline ??= context.monotonic() + (waitMs ?? Number.POSITIVE_INFINITY);
  if (waitMs !== null && context.monotonic() >= going.deadline) {
    send(going, { type: 'Timeout', ms: Math.round(waitMs) }, 'dispatcher');
    return waitedTooLong(plan, deferral, waitMs);
  }
  const others = turns.release();
  // Where nobody waits and nothing else goes on, that is known by now.
  if ((await Promise.race([others, null])) === 'alone') return deferred(plan, deferral);
  const until = context.now() + deferral.retryAfterMs;
  void invocation.report({
    type: 'waiting',
    runId: run.id,
    task: plan.taskId,
    reason: deferral.reason,
    until,
  });
  const released = await hold(context, {
    until,
    deadline: going.deadline,
    others,
    stopped: stopped.promise,
  });
  if (released === 'alone') return deferred(plan, deferral);
  const goesOn = released === 'again' && (await ownTurn(going));
  if (isStopped(going)) return canceledEnd(going);
  if (!goesOn) return skip(going);
  send(going, { type: 'DependenciesReady' }, 'dispatcher');
  return null;
}

/** Waits for the task's turn. False when there is none to come, or the run was told to end meanwhile. */
export function ownTurn({ request, stopped }: Going): Promise<boolean> {
  return Promise.race([request.turns.take(), stopped.promise.then(() => false)]);
}

export function isStopped({ canceled, forced }: Going): boolean {
  return canceled !== undefined || forced;
}

/** What it needs did not complete, or another task failed: it will not start, and its machine is told. */
export function skip(going: Going): End {
  const requestedBy = `ax: what ${going.plan.taskId} needs did not complete`;
  send(going, { type: 'CancelRequest', requestedBy }, 'dispatcher', { cancellationRequested: true });
  return skipped();
}
