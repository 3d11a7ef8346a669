import type { Context } from '../../context.ts';
import type { DependencyFinding, DependencyRoots } from '../../manifest/dependencies.ts';
import { type Guard, isBuiltin } from '../../manifest/guards/guard.ts';
import type { VerifiedManifest } from '../../manifest/verify.ts';
import { parseDuration } from '../../security/duration.ts';
import type { TextKey } from '../../security/seal-text.ts';
import type { Database } from '../../store/database.ts';
import { usageOf } from '../../store/starts.ts';
import { recentSubmissions } from '../../store/submissions.ts';
import type { Isolate } from '../isolate/isolate.ts';
import type { GuardedTask } from '../plan.ts';
import { variablesOf } from './env.ts';
import { readGit } from './git.ts';
import { MAX_COMPARED_RUNS } from './moderation-repeats.ts';
import { deepFreeze, type GuardSnapshot, type SnapshotApproval, type SnapshotKey } from './snapshot.ts';

/** Where a snapshot's facts come from, beside the store. */
export interface GuardSources {
  readonly isolate: Isolate;
  /** The keys that runs of this invocation rely on, as far as their age is known here. */
  readonly keys: readonly SnapshotKey[];
  /** The approvals there are at this moment for exactly this plan; verified. */
  readonly approvals: (plan: GuardedTask) => readonly SnapshotApproval[];
  /** The store's folder, which may lie in the checkout and is no change to it. */
  readonly storeDir: string;
  /** What the texts of this invocation's runs are sealed with. */
  readonly submissionKey: () => TextKey;
  /** What opens those of earlier runs. */
  readonly submissionKeys: () => readonly TextKey[];
}

export interface SnapshotEdge {
  readonly context: Context;
  /** Null where there is no store yet: then nothing was ever started. */
  readonly database: Database | null;
  readonly verified: VerifiedManifest;
  readonly roots: DependencyRoots;
  readonly sources: GuardSources;
}

export interface SnapshotSubject extends Pick<GuardSnapshot, 'phase' | 'run' | 'needs'> {
  readonly plan: GuardedTask;
  readonly guards: readonly Guard[];
  readonly findings: readonly DependencyFinding[];
}

/**
 * Gathers what guards see, all of it now, and freezes it. What no guard of the task could ask for is left out:
 * git is not started, and earlier submissions are not opened, for a guard that does not exist.
 */
export async function collectSnapshot(
  { context, database, verified, roots, sources }: SnapshotEdge,
  { plan, guards, phase, run, needs, findings }: SnapshotSubject,
): Promise<GuardSnapshot> {
  const now = context.now();
  const { manifest, digest, keyids } = verified;
  const { task, taskId } = plan;
  const project = manifest.project;
  const seesAll = guards.some((guard) => 'cel' in guard || 'script' in guard);
  const wants = (name: string): boolean => seesAll || guards.some((guard) => name in guard);
  const git =
    wants('branch') || wants('gitClean')
      ? await readGit(roots.root, { searchPath: roots.searchPath, storeDir: sources.storeDir })
      : NO_GIT;
  const start = { project, task: taskId, runId: run.id, attempt: run.attempt, now };
  const usage =
    database !== null && (wants('rateLimit') || wants('quota'))
      ? usageOf(database, start, startsFor(guards))
      : { starts: [], running: 0 };
  return deepFreeze({
    now,
    phase,
    run,
    project: {
      name: project,
      manifestDigest: digest,
      manifestVersion: manifest.version,
      signers: [...keyids],
    },
    task: {
      name: taskId,
      title: task.title ?? '',
      description: task.description ?? '',
      argv: [...plan.argv],
      needs: [...(task.needs ?? [])],
      metadata: structuredClone(task.metadata ?? {}),
    },
    inputs: { ...plan.inputs },
    actor: { uid: context.actor.uid, name: context.actor.name },
    env: environmentFor(guards, context.env),
    ...git,
    keys: [...sources.keys],
    approvals: wants('approvals') ? [...sources.approvals(plan)] : [],
    usage,
    ...recentFor(guards, {
      database,
      project,
      except: { runId: run.id, attempt: run.attempt },
      now,
      keysOf: sources.submissionKeys,
    }),
    dependencies: findings.map(({ pinned, problem }) => ({
      path: pinned.path,
      ok: problem === null,
      problem,
    })),
    needs,
  });
}

/** Of the starts, expressions and scripts see at least so many. */
const STARTS_TO_SEE = 100;

/** As many of the newest starts as any of the guards decides by: all of them would be most of the snapshot. */
function startsFor(guards: readonly Guard[]): number {
  const limits = guards.flatMap((guard) => {
    if ('rateLimit' in guard) return [guard.rateLimit.max];
    if ('quota' in guard) return [guard.quota.perDay ?? 0];
    return 'cel' in guard || 'script' in guard ? [STARTS_TO_SEE] : [];
  });
  return Math.max(0, ...limits);
}

const NO_GIT = { git: null, gitProblem: null };

function environmentFor(guards: readonly Guard[], env: Context['env']): Record<string, string> {
  return Object.fromEntries(
    variablesOf(guards.filter(isBuiltin)).flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function recentFor(
  guards: readonly Guard[],
  about: Omit<Parameters<typeof recentSubmissions>[1], 'since' | 'limit' | 'keys'> & {
    database: Database | null;
    now: number;
    keysOf: GuardSources['submissionKeys'];
  },
): Pick<GuardSnapshot, 'recent' | 'unreadable'> {
  const { database, now, keysOf, ...which } = about;
  const windows = guards.flatMap((guard) =>
    'moderation' in guard && guard.moderation.similarity !== undefined
      ? [parseDuration(guard.moderation.similarity.window) ?? 0]
      : [],
  );
  if (database === null || windows.length === 0) return { recent: [], unreadable: 0 };
  return recentSubmissions(database, {
    ...which,
    keys: keysOf(),
    since: now - Math.max(...windows),
    // One more than are compared, so that moderation can tell that there are more.
    limit: MAX_COMPARED_RUNS + 1,
  });
}
