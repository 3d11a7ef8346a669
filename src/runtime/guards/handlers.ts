import { evaluateBuiltin } from './builtin.ts';
import { type BuiltinJob, defaultLimits, type Evaluate, type GuardJob, type GuardKind } from './job.ts';
import type { GuardSnapshot } from './snapshot.ts';
import { parseSnapshotText } from './snapshot-text.ts';

/** What evaluates one kind of guard. */
interface Handler<J extends GuardJob> {
  /** Loads its code: interpreters only when the first guard of their kind comes, so that others need not wait. */
  readonly load: () => Promise<Evaluate<J>>;
  /** A job to try it on ahead of time: the first evaluation takes several times as long as the next. */
  readonly sample: J;
}

const HANDLERS: { readonly [K in GuardKind]: Handler<Extract<GuardJob, { kind: K }>> } = {
  builtin: {
    load: async () => evaluateBuiltinJob,
    sample: {
      kind: 'builtin',
      config: { branch: { allow: ['main'] } },
      snapshotText: '{"now":0,"git":{"branch":"main"}}',
    },
  },
  script: {
    load: async () => (await import('./script.ts')).evaluateScript,
    sample: {
      kind: 'script',
      source: 'export default () => ({verdict: "pass", reason: ""})',
      snapshotText: '{"now":0}',
    },
  },
  cel: {
    load: async () => (await import('./cel.ts')).evaluateCel,
    sample: { kind: 'cel', expression: 'true', snapshotText: '{"now":0}' },
  },
};

const evaluateBuiltinJob: Evaluate<BuiltinJob> = ({ config, snapshotText }) => {
  // Made by this process, and strict JSON still; which members it has is the business of each guard.
  const snapshot = parseSnapshotText(snapshotText).value as unknown as GuardSnapshot;
  return { verdict: evaluateBuiltin(config, snapshot), spent: false };
};

/** @throws Error for a kind that nothing evaluates, or whose code cannot be loaded. */
export async function loadHandler(kind: string): Promise<Evaluate<GuardJob>> {
  // The kind decides both the function and the shape of the job that it gets.
  return (await handlerOf(kind).load()) as Evaluate<GuardJob>;
}

/** Evaluates a sample of a kind, so that what is loaded or compiled on first use is there. */
export async function tryHandler(kind: string): Promise<void> {
  const { sample } = handlerOf(kind);
  const evaluate = await loadHandler(kind);
  await evaluate({ ...sample, limits: defaultLimits(sample.kind) });
}

function handlerOf(kind: string): Handler<GuardJob> {
  if (!Object.hasOwn(HANDLERS, kind)) throw new Error('no guard is of this kind');
  return HANDLERS[kind as GuardKind] as Handler<GuardJob>;
}
