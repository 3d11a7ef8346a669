import type { ModerationConfig } from '../../manifest/guards/moderation.ts';
import type { BuiltinGuard } from '../../manifest/guards/schema.ts';

/** What one evaluation of a guard may use. */
export interface GuardLimits {
  /** Processor time of an interpreter, in milliseconds: the same on a busy machine and on an idle one. */
  readonly cpuMs: number;
  /** Time on the wall, in milliseconds, after which the process itself is killed. */
  readonly wallMs: number;
  /** What an interpreter may allocate, in bytes. */
  readonly memoryBytes: number;
}

const MEMORY_BYTES = 16 * 1024 * 1024;

/**
 * A guard that is within reason takes some milliseconds. Expressions get more: parsing one of the longest takes half
 * a second, and evaluating it is bounded otherwise. Moderation may have a thousand runs to compare with.
 */
export function defaultLimits(kind: GuardKind): GuardLimits {
  const [cpuMs, wallMs] = kind === 'cel' ? [1_000, 5_000] : [250, kind === 'moderation' ? 10_000 : 2_000];
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

/** Several of them that see the same: one message and one reading of the snapshot instead of one for each. */
export interface BuiltinsMessage extends Job {
  readonly kind: 'builtins';
  readonly configs: readonly BuiltinGuard[];
  readonly limits: GuardLimits;
}

/** The moderation gate over the title, description and inputs in the snapshot. */
export interface ModerationJob extends Job {
  readonly kind: 'moderation';
  readonly config: ModerationConfig;
}

export type GuardJob = BuiltinJob | ModerationJob | CelJob | ScriptJob;
export type GuardKind = GuardJob['kind'];

/** A job with its limits filled in. */
export type Limited<J extends GuardJob> = J & { readonly limits: GuardLimits };

/** Tasks to fill in. */
export interface HydrateJob {
  /** The payload of the manifest, of which `verifyManifest` said that its signatures hold. */
  readonly payload: Uint8Array;
  readonly tasks: readonly {
    readonly taskId: string;
    /** What stands after `--`, where it is meant for this task. */
    readonly args: readonly string[];
  }[];
  /** `--input name=value`, for every task that has a parameter of that name. */
  readonly inputs: ReadonlyMap<string, string>;
  /** `--timeout`, in milliseconds. */
  readonly timeoutMs: number | undefined;
  /** Time on the wall for all of it, in milliseconds; 5 seconds unless told. */
  readonly wallMs?: number;
}

/** A `HydrateJob` as it goes over the pipe. */
export interface HydrateMessage {
  readonly kind: 'hydrate';
  /** Base64: the bytes that were verified, not a text that was made of them. */
  readonly payload: string;
  readonly tasks: HydrateJob['tasks'];
  readonly inputs: readonly (readonly [name: string, value: string])[];
  readonly timeoutMs?: number;
  readonly wallMs: number;
}
