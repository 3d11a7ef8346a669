import { AxError, isAxError } from '../../errors.ts';
import type { BuiltinGuard } from '../../manifest/guards/schema.ts';
import { encodeBase64 } from '../../security/base64.ts';
import type { Draft } from '../draft.ts';
import { fail } from '../guards/verdict.ts';
import { takeEarly } from './early.ts';
import { defaultLimits, type GuardJob, type GuardKind, type HydrateJob, type HydrateMessage } from './job.ts';
import { talkTo } from './process.ts';
import { createQueue } from './queue.ts';
import { type GuardAnswer, type GuardReply, guardReader, hydrateReader, verdictsReader } from './replies.ts';
import { OWN_PROGRAM, type Program, type Spawned, spawnProgram, TEAM_PROGRAM } from './spawn.ts';

/**
 * Where manifests are hydrated and guards evaluated: two processes beside ax that hold nothing but what they are
 * asked about, and can be killed at any moment. One runs our own code on what others wrote; the other, started when
 * it is first needed, what teams wrote, so that a script that broke out of its interpreter is where no other verdict
 * is made.
 */
export interface Isolate {
  /**
   * Fills in tasks, from the bytes that were verified: a draft for each, in their order.
   *
   * @throws TASK_UNKNOWN, INPUT_INVALID, MANIFEST_INVALID as hydration refuses
   * @throws ISOLATE_FAILED when it gave no answer in time, or none that is one
   */
  hydrate(job: HydrateJob): Promise<readonly Draft[]>;
  /**
   * What a guard says. Never rejects: a guard that breaks, lingers, or answers with anything but one verdict is a
   * Fail with the reason, and the next one is evaluated as if it had not been. Jobs are taken one after the other in
   * each process.
   */
  evaluate(job: GuardJob): Promise<GuardAnswer>;
  /** The same for built-in guards that see the same, in less time; their answers are in the order of `configs`. */
  evaluateBuiltins(configs: readonly BuiltinGuard[], snapshotText: string): Promise<readonly GuardAnswer[]>;
  /**
   * Starts what these kinds of guards will need, and tries it out, while there is something else to do. What is asked
   * meanwhile waits for that, so it comes after `hydrate`.
   */
  prewarm(kinds: readonly GuardKind[]): void;
  /** Kills the processes. What is not answered by then is a Fail, or ISOLATE_FAILED. */
  close(): Promise<void>;
}

export interface IsolateOptions {
  /** What the two processes run; something else in tests. */
  readonly own?: Program;
  readonly team?: Program;
  /** Milliseconds to start a process and load what a job needs; 15 seconds unless told. */
  readonly loadMs?: number;
}

/** A tenth of a second would do, but the machine may be busy. */
const LOAD_MS = 15_000;

const HYDRATE_WALL_MS = 5_000;
/** Filled-in arguments can be longer than the manifest they come from, but not without bound. */
const MAX_HYDRATE_REPLY_BYTES = 16 * 1024 * 1024;
/** Enough for a reason of 500 characters and a finding, each character escaped. */
const MAX_GUARD_REPLY_BYTES = 8 * 1024;
/** In UTF-16 units. A thousand recent runs with long descriptions take some millions; teams' code gets less. */
const MAX_SNAPSHOT_LENGTH = { own: 16 * 1024 * 1024, team: 1024 * 1024 };
const MAX_SOURCE_LENGTH = 256 * 1024;

/** Makes an isolate. Nothing is started before it is needed, or `prewarm`; what was started early is used. */
export function createIsolate({
  own = OWN_PROGRAM,
  team = TEAM_PROGRAM,
  loadMs = LOAD_MS,
}: IsolateOptions = {}): Isolate {
  const startOwn = (): Spawned => (own === OWN_PROGRAM ? takeEarly() : undefined) ?? spawnProgram(own);
  const queues = {
    own: createQueue(() => talkTo(startOwn(), loadMs)),
    team: createQueue(() => talkTo(spawnProgram(team), loadMs)),
  };

  return {
    async hydrate(job) {
      const heard = await queues.own.ask({
        job: hydrateMessage(job),
        wallMs: job.wallMs ?? HYDRATE_WALL_MS,
        maxReplyBytes: MAX_HYDRATE_REPLY_BYTES,
        read: hydrateReader(job),
      });
      if ('broken' in heard) throw failed(heard.broken);
      if (isAxError(heard.answer)) throw heard.answer;
      return heard.answer;
    },
    evaluate,
    async evaluateBuiltins(configs, snapshotText) {
      const kind = 'builtin';
      const limits = defaultLimits(kind);
      if (configs.length > 1 && excess({ kind, snapshotText }) === undefined) {
        const heard = await queues.own.ask({
          job: { kind: 'builtins', configs, snapshotText, limits },
          wallMs: limits.wallMs,
          maxReplyBytes: MAX_GUARD_REPLY_BYTES * configs.length,
          read: verdictsReader(configs.length),
        });
        if (!('broken' in heard)) return heard.answer;
      }
      // Where one of them broke something, each is asked by itself: the others have not.
      return Promise.all(configs.map((config) => evaluate({ kind, config, snapshotText })));
    },
    prewarm(kinds) {
      for (const place of ['own', 'team'] as const) {
        const prepare = kinds.filter((kind) => placeOf(kind) === place);
        if (prepare.length > 0) queues[place].tell({ prepare });
      }
    },
    async close() {
      await Promise.all([queues.own.close(), queues.team.close()]);
    },
  };

  async function evaluate(job: GuardJob): Promise<GuardAnswer> {
    const tooLarge = excess(job);
    if (tooLarge !== undefined) return { verdict: fail(`the guard was not evaluated: ${tooLarge}`) };
    const limits = job.limits ?? defaultLimits(job.kind);
    const heard = await queues[placeOf(job.kind)].ask<GuardReply>(
      {
        job: { ...job, limits },
        wallMs: limits.wallMs,
        maxReplyBytes: MAX_GUARD_REPLY_BYTES,
        read: guardReader(job.kind),
      },
      ({ spent }) => spent,
    );
    return 'broken' in heard ? { verdict: fail(`the guard ${heard.broken}`) } : heard.answer.given;
  }
}

function placeOf(kind: GuardKind): 'own' | 'team' {
  return kind === 'cel' || kind === 'script' ? 'team' : 'own';
}

function hydrateMessage({ payload, tasks, inputs, timeoutMs, wallMs }: HydrateJob): HydrateMessage {
  return {
    kind: 'hydrate',
    payload: encodeBase64(payload),
    tasks,
    inputs: [...inputs],
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    wallMs: wallMs ?? HYDRATE_WALL_MS,
  };
}

function failed(reason: string): AxError {
  return new AxError('ISOLATE_FAILED', `the tasks were not filled in: the process that does it ${reason}`, {
    hint: 'try again; if a pattern takes for ever over an input: simplify it in ax.yaml, then: ax sign',
  });
}

function excess(job: { kind: GuardKind; snapshotText: string; source?: string }): string | undefined {
  const { length } = job.snapshotText;
  const most = MAX_SNAPSHOT_LENGTH[placeOf(job.kind)];
  if (length > most) return `expected a snapshot of at most ${most} characters, found ${length}`;
  const source = job.source?.length ?? 0;
  if (source > MAX_SOURCE_LENGTH) {
    return `expected a script of at most ${MAX_SOURCE_LENGTH} characters, found ${source}`;
  }
  return undefined;
}
