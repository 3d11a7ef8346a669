import type { Context } from '../context.ts';
import { type AxError, isAxError } from '../errors.ts';
import { guardName } from '../manifest/guards/guard.ts';
import { visible, visibleBlock } from '../output/escape.ts';
import { errorShape } from '../output/output.ts';
import type { Style } from '../output/style.ts';
import type { Verdict } from '../runtime/guards/verdict.ts';
import { blocked, deferred, secondsUntil } from '../runtime/outcome.ts';
import { parseSigningKey } from '../security/signing-keys.ts';
import { activeKey } from '../store/keyring.ts';
import { guardSources } from './guard-sources.ts';
import { readKeyring, requireEvidenceKeys, unlockKeyring } from './keys-access.ts';
import { DRIFT, hasDrifted, readLock, requireVerified } from './lock.ts';
import { answersOf, type PolicyEdge, type TaskAnswers } from './policy-answers.ts';
import { parseRequest, type RunOptions } from './run-request.ts';
import { openSession, type Session, withStoreIfAny } from './session.ts';
import { withIsolate } from './with-isolate.ts';

export type PolicyOptions = Pick<
  RunOptions,
  'json' | 'store' | 'home' | 'color' | 'verbose' | 'input' | 'approval'
>;

interface Asked {
  readonly tasks: readonly string[];
  /** What stands after `--`. */
  readonly args: readonly string[];
}

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly error: AxError | null;
}

/** `ax policy check`: one line for each guard of the tasks, and the status that says whether all would pass now. */
export async function checkCommand(context: Context, asked: Asked, options: PolicyOptions): Promise<number> {
  const session = await openSession(context, options);
  return withPolicy(session, asked, options, async (edge) => {
    const names = asked.tasks.length > 0 ? asked.tasks : Object.keys(edge.verified.manifest.tasks);
    const checks: Check[] = [];
    for (const name of names) checks.push(...(await checksOf(edge, name)));
    return report(session, checks);
  });
}

async function checksOf(edge: PolicyEdge, task: string): Promise<Check[]> {
  try {
    const { guards, answers } = await answersOf(edge, task);
    if (guards.length === 0) return [{ name: task, ok: true, detail: 'no guards', error: null }];
    return guards.map((guard, index) => {
      const verdict = verdictAt({ answers }, index);
      const error = errorOf(task, verdict);
      return { name: `${task} ${guardName(guard)}`, ok: error === null, detail: verdict.reason, error };
    });
  } catch (error) {
    // Inputs that nobody gave, for one: what its guards would say is not known, and that is no pass.
    if (!isAxError(error)) throw error;
    return [{ name: task, ok: false, detail: error.message, error }];
  }
}

function report({ output }: Session, checks: readonly Check[]): number {
  const { style } = output;
  for (const { name, detail, error } of checks) {
    const mark =
      error === null
        ? style.green('pass ')
        : error.code === 'GUARD_DEFERRED'
          ? style.yellow('defer')
          : style.red('fail ');
    output.line(`${mark}  ${visible(name)}: ${visibleBlock(detail)}`);
    if (error?.hint !== undefined) output.line(`       ${style.cyan('hint')}: ${visible(error.hint)}`);
  }
  const errors = checks.flatMap(({ error }) => error ?? []);
  // What can be tried again later tells less than a no.
  const decisive = errors.find(({ code }) => code !== 'GUARD_DEFERRED') ?? errors[0];
  output.document({
    schema: 'ax.policy.check/1',
    ok: errors.length === 0,
    checks: checks.map(({ error, ...check }) => ({
      ...check,
      ...(error === null ? {} : { error: errorShape(error) }),
      ...(error?.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
    })),
  });
  return decisive?.exitCode ?? 0;
}

/** `ax policy explain`: what each guard of one task says now and why, and what it looked at. */
export async function explainCommand(
  context: Context,
  asked: Asked,
  options: PolicyOptions,
): Promise<number> {
  const session = await openSession(context, options);
  return withPolicy(session, asked, options, async (edge) => {
    const [task = ''] = asked.tasks;
    const answers = await answersOf(edge, task);
    explain(session, { task, answers, fromPolicy: edge.verified.manifest.policy.guards?.length ?? 0 });
    return 0;
  });
}

function explain(
  { output }: Session,
  { task, answers, fromPolicy }: { task: string; answers: TaskAnswers; fromPolicy: number },
): void {
  const { guards, verdict, snapshot } = answers;
  const { style } = output;
  output.line(`${style.bold(visible(task))}: ${sentence(verdict, style)}`);
  const rows = guards.map((guard, index) => {
    const { reason, ...rest } = verdictAt(answers, index);
    const finding = answers.answers[index]?.finding;
    return {
      guard: guardName(guard),
      from: index < fromPolicy ? ('policy' as const) : ('task' as const),
      config: Object.values(guard)[0] as unknown,
      verdict: rest.verdict,
      reason,
      ...(rest.verdict === 'defer' ? { retryAfterSeconds: secondsUntil(rest) } : {}),
      ...(finding === undefined ? {} : { finding }),
    };
  });
  for (const { guard, from, config, verdict: word, reason, retryAfterSeconds } of rows) {
    output.line('');
    output.line(`${mark(word, style)}  ${style.bold(guard)}${from === 'policy' ? ' (of the policy)' : ''}`);
    output.line(`       ${visible(JSON.stringify(config))}`);
    output.line(
      `       ${visible(reason)}${retryAfterSeconds === undefined ? '' : `; ask again in ${retryAfterSeconds} s`}`,
    );
  }
  if (output.verbose) output.note(`ax: what they looked at: ${visible(JSON.stringify(snapshot))}`);
  output.document({
    schema: 'ax.policy.explain/1',
    task,
    verdict: verdict.verdict,
    reason: verdict.reason,
    ...(verdict.verdict === 'defer' ? { retryAfterSeconds: secondsUntil(verdict) } : {}),
    guards: rows,
    snapshot,
  });
}

function sentence(verdict: Verdict, style: Style): string {
  switch (verdict.verdict) {
    case 'pass':
      return `its guards would ${style.green('let it start')} now`;
    case 'fail':
      return `its guards would ${style.red('refuse')} it now`;
    case 'defer':
      return `its guards would ${style.yellow('make it wait')} now`;
  }
}

function mark(word: Verdict['verdict'], style: Style): string {
  const color = { pass: style.green, fail: style.red, defer: style.yellow }[word];
  return color(word.padEnd(5));
}

function verdictAt({ answers }: Pick<TaskAnswers, 'answers'>, index: number): Verdict {
  return answers[index]?.verdict ?? { verdict: 'fail', reason: 'gave no answer' };
}

function errorOf(taskId: string, verdict: Verdict): AxError | null {
  switch (verdict.verdict) {
    case 'pass':
      return null;
    case 'fail':
      return blocked({ taskId }, verdict.reason).error;
    case 'defer':
      return deferred({ taskId }, verdict).error;
  }
}

async function withPolicy(
  session: Session,
  { tasks, args }: Asked,
  options: PolicyOptions,
  body: (edge: PolicyEdge) => Promise<number>,
): Promise<number> {
  const { output } = session;
  const request = parseRequest(tasks, args, options);
  const lock = readLock(session);
  await unlockKeyring(session);
  const keyring = readKeyring(session);
  const verified = await requireVerified(session, lock);
  if (hasDrifted(lock, verified.manifest)) output.warn(DRIFT);
  const host = activeKey(keyring, 'host');
  return withIsolate((isolate) => {
    const sources = guardSources(session, {
      isolate,
      keyring,
      verified,
      host: host === undefined ? null : parseSigningKey(host.jwk, host.kid),
      recipients: requireEvidenceKeys(session, keyring).map(({ kid }) => kid),
      approvals: options.approval ?? [],
    });
    const edge = { session, root: lock.root, verified, request, sources };
    return withStoreIfAny(session, (database) => body({ ...edge, database }));
  });
}
