import type { Actor } from '../../context.ts';
import { isAxError } from '../../errors.ts';
import { type Guard, guardName, isBuiltin } from '../../manifest/guards/guard.ts';
import { sha256Canonical } from '../../security/canonical.ts';
import { sha256Hex } from '../../security/digest.ts';
import type { JsonValue } from '../../security/json.ts';
import { createTextScrubber } from '../../security/scrub/text.ts';
import { countTowardsAlert } from '../../store/alerts.ts';
import { appendAudit } from '../../store/audit.ts';
import type { Database } from '../../store/database.ts';
import type { Isolate } from '../isolate/isolate.ts';
import type { GuardKind } from '../isolate/job.ts';
import type { GuardAnswer } from '../isolate/replies.ts';
import type { GuardedTask } from '../plan.ts';
import { boundReason } from './answer.ts';
import { readScript } from './script-source.ts';
import { type SignedVerdict, signVerdict, verifyVerdict } from './signed-verdict.ts';
import type { GuardSnapshot } from './snapshot.ts';
import { decide, fail, type Verdict } from './verdict.ts';

/** One guard's answer: what a receipt and the audit log keep of it. */
export interface GuardRecord extends SignedVerdict {
  /** The name it is written under, such as `changeWindow`. */
  readonly guard: string;
  /** What moderation found, as evidence. */
  readonly finding?: { readonly [name: string]: JsonValue };
}

/** What the guards of a task say together. */
export interface Decision {
  readonly verdict: Verdict;
  readonly records: readonly GuardRecord[];
}

export interface GuardQuestion {
  readonly plan: GuardedTask;
  readonly guards: readonly Guard[];
  readonly snapshot: GuardSnapshot;
  /** The snapshot as guards get it: canonical JSON. */
  readonly snapshotText: string;
  /** The project's folder, all links resolved. */
  readonly root: string;
}

/** Starts what guards will need, once the tasks are filled in and while there is something else to do. */
export function prewarmFor(isolate: Isolate, guards: readonly Guard[]): void {
  isolate.prewarm([...new Set(guards.map(kindOf))]);
}

function kindOf(guard: Guard): GuardKind {
  if ('moderation' in guard) return 'moderation';
  if ('cel' in guard) return 'cel';
  return 'script' in guard ? 'script' : 'builtin';
}

/** Asks all of the guards, whatever the first ones say. Never rejects. */
export async function askGuards(
  isolate: Isolate,
  { plan, guards, snapshot, snapshotText, root }: GuardQuestion,
): Promise<readonly GuardAnswer[]> {
  const builtins = guards.filter(isBuiltin);
  const together = isolate.evaluateBuiltins(builtins, snapshotText);
  const answers = guards.map(async (guard): Promise<GuardAnswer> => {
    if (isBuiltin(guard)) return (await together)[builtins.indexOf(guard)] ?? NO_ANSWER;
    if ('moderation' in guard) {
      const answer = await isolate.evaluate({ kind: 'moderation', config: guard.moderation, snapshotText });
      const comparesAll = guard.moderation.similarity === undefined || snapshot.unreadable === 0;
      return comparesAll || answer.verdict.verdict === 'fail' ? answer : unreadable(snapshot.unreadable);
    }
    if ('cel' in guard) return isolate.evaluate({ kind: 'cel', expression: guard.cel, snapshotText });
    const source = readScript(guard.script, plan.pinned, root);
    if (typeof source !== 'string') return { verdict: fail(source.problem) };
    return isolate.evaluate({ kind: 'script', source, snapshotText });
  });
  return Promise.all(answers);
}

const NO_ANSWER: GuardAnswer = { verdict: fail('gave no answer') };

/** What cannot be compared could be what is repeated. */
function unreadable(count: number): GuardAnswer {
  const reason = `cannot compare with ${count} recent run(s): their texts are sealed by a host key that is not here`;
  return { verdict: fail(reason) };
}

/** Binds answers to the run, phase and snapshot that they were given for, under the run's session key. */
export function signAnswers(
  answers: readonly GuardAnswer[],
  { plan, guards, snapshot, snapshotText }: Omit<GuardQuestion, 'root'>,
  sessionKey: Uint8Array,
): GuardRecord[] {
  const bindingOf = bindingsTo(snapshot, snapshotText);
  const scrub = scrubbersFor(plan);
  return guards.map((guard, index) => {
    const { verdict, finding } = answers[index] ?? NO_ANSWER;
    const reason = boundReason(scrub(guard)(verdict.reason));
    const signed = signVerdict({ ...bindingOf(guard), verdict: { ...verdict, reason } }, sessionKey);
    return { ...signed, guard: guardName(guard), ...(finding === undefined ? {} : { finding }) };
  });
}

/**
 * What is taken out of reasons, for audit records are in clear. A team's script may repeat what it saw, so all that is
 * recognised; our own guards quote nothing that could be more than a declared secret. The rules for the rest take some
 * milliseconds to build, so they wait for a guard that needs them.
 */
function scrubbersFor({
  secrets,
  scrubsAddresses,
}: GuardedTask): (guard: Guard) => (reason: string) => string {
  const own =
    secrets.length === 0
      ? (reason: string) => reason
      : createTextScrubber({ secrets, credentials: false, personal: false });
  let team: typeof own | undefined;
  return (guard) => {
    if (!('script' in guard || 'cel' in guard)) return own;
    team ??= createTextScrubber({ secrets, credentials: true, personal: true, addresses: scrubsAddresses });
    return team;
  };
}

/** What a verdict is bound to, beside what it says. */
function bindingsTo({ project, run, phase, now }: GuardSnapshot, snapshotText: string) {
  const snapshotDigest = sha256Hex(snapshotText);
  return (guard: Guard) => ({
    manifestDigest: project.manifestDigest,
    guardDigest: sha256Canonical(guard),
    runId: run.id,
    phase,
    snapshotDigest,
    at: now,
  });
}

/**
 * What signed verdicts come to: Fail beats Defer beats Pass. Each guard of the task counts by its own verdict, once,
 * and only as long as the verdict's MAC holds for this manifest, run, phase and snapshot; without one it is a Fail.
 */
export function decideSigned(
  records: readonly GuardRecord[],
  { guards, snapshot, snapshotText }: Omit<GuardQuestion, 'plan' | 'root'>,
  sessionKey: Uint8Array,
): Verdict {
  const bindingOf = bindingsTo(snapshot, snapshotText);
  const verdicts = guards.map((guard, index): Verdict => {
    const { guard: name, finding: _, ...signed } = records[index] ?? { guard: guardName(guard) };
    try {
      const verdict = verifyVerdict(signed, bindingOf(guard), sessionKey);
      return { ...verdict, reason: `${name}: ${verdict.reason}` };
    } catch (error) {
      if (!isAxError(error, 'GUARD_VERDICT_INVALID')) throw error;
      return fail(`${name}: ${error.message}`);
    }
  });
  return decide(verdicts);
}

/** Puts every evaluation on record, and counts a block towards its alert; one commit. */
export function recordDecision(
  database: Database,
  { verdict, records }: Decision,
  { now, actor, runId }: { now: number; actor: Actor; runId: string },
): void {
  database.write(() => {
    for (const { runId: _, manifestDigest: _of, verdict: answer, ...record } of records) {
      appendAudit(database, now, {
        type: 'guard.evaluation',
        runId,
        actor,
        data: { ...record, ...answer },
      });
    }
    if (verdict.verdict === 'fail') countTowardsAlert(database, 'guard-blocks', { now, actor, runId });
  });
}
