import type { DependencyFinding } from '../manifest/dependencies.ts';
import { guardsOf } from '../manifest/guards/guard.ts';
import { canonicalJson } from '../security/canonical.ts';
import { recordStart } from '../store/starts.ts';
import { recordSubmission } from '../store/submissions.ts';
import type { LiveRun } from './dispatcher.ts';
import { collectSnapshot } from './guards/collect.ts';
import { askGuards, type Decision, decideSigned, recordDecision, signAnswers } from './guards/gate.ts';
import type { GuardSnapshot } from './guards/snapshot.ts';
import { pass } from './guards/verdict.ts';
import type { Invocation } from './invocation.ts';
import type { Plan } from './plan.ts';

export interface GuardCheck {
  readonly plan: Plan;
  readonly run: LiveRun;
  readonly attempt: number;
  readonly phase: GuardSnapshot['phase'];
  readonly findings: readonly DependencyFinding[];
}

/**
 * What the guards of a task say at this moment, about a snapshot that is taken now. All are asked, each answer
 * is signed under the run's session key and put on record, and only what was signed is decided on.
 *
 * @throws STORE_FULL, STORE_UNUSABLE, STORE_BUSY when the answers could not be recorded; they then count for nothing
 */
export async function checkGuards(invocation: Invocation, check: GuardCheck): Promise<Decision> {
  const { context, database, verified, roots, guarding } = invocation;
  const { plan, run, attempt } = check;
  const guards = guardsOf(verified.manifest, plan.task);
  if (guards.length === 0) return { verdict: pass('no guards'), records: [] };
  const snapshot = await collectSnapshot(
    { context, database, verified, roots, sources: guarding },
    {
      plan,
      guards,
      phase: check.phase,
      run: { id: run.id, attempt },
      findings: check.findings,
      // It has its turn, so all of them have completed.
      needs: Object.fromEntries((plan.task.needs ?? []).map((name) => [name, true])),
    },
  );
  const question = { plan, guards, snapshot, snapshotText: canonicalJson(snapshot), root: roots.root };
  const answers = await askGuards(guarding.isolate, question);
  const records = signAnswers(answers, question, run.sessionKey);
  const decision = { verdict: decideSigned(records, question, run.sessionKey), records };
  recordDecision(database, decision, { now: context.now(), actor: context.actor, runId: run.id });
  return decision;
}

/**
 * What later runs are held against: that this task started, and its texts where moderation compares them. Inside
 * `database.write`, in the transaction that moves the run to EXECUTING.
 */
export function recordAdmission(
  { context, database, verified, guarding }: Invocation,
  { plan, run, attempt }: Pick<GuardCheck, 'plan' | 'run' | 'attempt'>,
): void {
  const { manifest } = verified;
  const id = { runId: run.id, attempt };
  recordStart(database, { ...id, project: manifest.project, task: plan.taskId, now: context.now() });
  const isCompared = guardsOf(manifest, plan.task).some(
    (guard) => 'moderation' in guard && guard.moderation.similarity !== undefined,
  );
  if (!isCompared) return;
  const { title = '', description = '' } = plan.task;
  recordSubmission(database, {
    ...id,
    texts: { title, description, inputs: plan.inputs },
    key: guarding.submissionKey(),
    randomBytes: context.randomBytes,
  });
}
