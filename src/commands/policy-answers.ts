import { checkDependencies } from '../manifest/dependencies.ts';
import { type Guard, guardsOf } from '../manifest/guards/guard.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import { collectSnapshot, type GuardSources } from '../runtime/guards/collect.ts';
import { askGuards } from '../runtime/guards/gate.ts';
import type { GuardSnapshot } from '../runtime/guards/snapshot.ts';
import { decide, type Verdict } from '../runtime/guards/verdict.ts';
import type { GuardAnswer } from '../runtime/isolate/replies.ts';
import { hydrateOne } from '../runtime/plan.ts';
import { canonicalJson } from '../security/canonical.ts';
import { createValueScrubber } from '../security/scrub/value.ts';
import { createUlid } from '../security/ulid.ts';
import type { Database } from '../store/database.ts';
import type { Request } from './run-request.ts';
import type { Session } from './session.ts';

export interface PolicyEdge {
  readonly session: Session;
  readonly root: string;
  readonly verified: VerifiedManifest;
  readonly request: Request;
  readonly sources: GuardSources;
  /** Null where there is no store yet. */
  readonly database: Database | null;
}

/** What the guards of one task say now. */
export interface TaskAnswers {
  readonly guards: readonly Guard[];
  /** In the order of the guards. */
  readonly answers: readonly GuardAnswer[];
  readonly verdict: Verdict;
  readonly snapshot: GuardSnapshot;
}

/** The parts of a snapshot that are ids, digests and names, which look like credentials to who does not know. */
const NAMES = ['run', 'project', 'actor', 'git', 'keys', 'approvals', 'dependencies'];

/**
 * Asks the guards of a task as `ax run` would at this moment, about a run that does not exist: nothing is started,
 * signed or recorded. Secrets are not needed.
 *
 * @throws TASK_UNKNOWN, INPUT_INVALID
 */
export async function answersOf(edge: PolicyEdge, taskId: string): Promise<TaskAnswers> {
  const { session, root, verified, request, sources, database } = edge;
  const { context } = session;
  const roots = { root, searchPath: context.env.PATH ?? '' };
  const { inputs, args } = request;
  const plan = await hydrateOne(sources.isolate, verified, { taskId, inputs, args });
  const guards = guardsOf(verified.manifest, plan.task);
  const snapshot = await collectSnapshot(
    { context, database, verified, roots, sources },
    {
      plan,
      guards,
      phase: 'check',
      run: { id: createUlid(context.now(), context.randomBytes), attempt: 1 },
      findings: checkDependencies(plan.pinned, roots),
      needs: Object.fromEntries((plan.task.needs ?? []).map((name) => [name, false])),
    },
  );
  const answers = await askGuards(sources.isolate, {
    plan,
    guards,
    snapshot,
    snapshotText: canonicalJson(snapshot),
    root,
  });
  // Nothing of this is recorded, but it is printed: secrets that are set are no more shown than by a run.
  const secrets = (plan.task.secrets ?? []).flatMap((name) => {
    const value = context.env[name];
    return value === undefined || value === '' ? [] : [{ name, value }];
  });
  const scrub = createValueScrubber({
    secrets,
    credentials: true,
    personal: false,
    keeps: ([, part = '']) => NAMES.includes(part),
  });
  const shown = scrub({ answers, snapshot }) as unknown as Pick<TaskAnswers, 'answers' | 'snapshot'>;
  return { guards, ...shown, verdict: decide(shown.answers.map((answer) => answer.verdict)) };
}
