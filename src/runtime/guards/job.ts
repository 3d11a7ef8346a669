import type { BuiltinGuard } from '../../manifest/guards/schema.ts';
import type { Verdict } from './verdict.ts';

/** What one evaluation of a guard may use. */
export interface GuardLimits {
  /** Processor time of an interpreter, in milliseconds: the same on a busy machine and on an idle one. */
  readonly cpuMs: number;
  /** Time on the wall, in milliseconds, after which the thread itself is ended. */
  readonly wallMs: number;
  /** What an interpreter may allocate, in bytes. */
  readonly memoryBytes: number;
}

const MEMORY_BYTES = 16 * 1024 * 1024;

/**
 * A guard that is within reason takes some milliseconds. Expressions get more: parsing one of the longest takes half
 * a second, and evaluating it is bounded otherwise.
 */
export function defaultLimits(kind: GuardKind): GuardLimits {
  const [cpuMs, wallMs] = kind === 'cel' ? [1_000, 5_000] : [250, 2_000];
  return { cpuMs, wallMs, memoryBytes: MEMORY_BYTES };
}

interface Job {
  /**
   * What the guard sees: one JSON object, as text, so that no guard can change it for the next one. Its `now`,
   * in milliseconds since the epoch, is the only time there is.
   */
  readonly snapshotText: string;
  readonly limits?: GuardLimits;
}

/** A guard that a team wrote in JavaScript. */
export interface ScriptJob extends Job {
  readonly kind: 'script';
  readonly source: string;
}

/** A guard that a team wrote in the Common Expression Language. */
export interface CelJob extends Job {
  readonly kind: 'cel';
  readonly expression: string;
}

/** A guard that comes with ax, and how the task configures it. */
export interface BuiltinJob extends Job {
  readonly kind: 'builtin';
  readonly config: BuiltinGuard;
}

export type GuardJob = ScriptJob | CelJob | BuiltinJob;
export type GuardKind = GuardJob['kind'];

/** A job with its limits filled in. */
export type Limited<J extends GuardJob> = J & { readonly limits: GuardLimits };

/** What an evaluation came to. */
export interface Outcome {
  readonly verdict: Verdict;
  /** The evaluation met a limit or broke something: what it ran in is not used again. */
  readonly spent: boolean;
}

/** Evaluates jobs of one kind. May throw: that is a Fail. */
export type Evaluate<J extends GuardJob> = (job: Limited<J>) => Outcome | Promise<Outcome>;
