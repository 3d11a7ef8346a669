import { defaultLimits, type GuardJob, type GuardKind } from './job.ts';
import { type GuardThread, startGuardThread } from './thread.ts';
import { fail, type Verdict } from './verdict.ts';

/** Evaluates the guards of a run, away from everything else. */
export interface GuardHost {
  /**
   * What a guard says. Jobs are taken one after the other. Never rejects: a guard that breaks, lingers, or answers
   * with anything but one verdict is a Fail with the reason, and the next one is evaluated as if it had not been.
   */
  evaluate(job: GuardJob): Promise<Verdict>;
  /** Starts the thread and tries these kinds of guards out, while there is something else to do. */
  prewarm(kinds: readonly GuardKind[]): void;
  /** Ends the thread. What is not answered by then is a Fail. */
  close(): Promise<void>;
}

export interface GuardHostOptions {
  /** The code of the thread; another one in tests. */
  readonly worker?: URL;
}

/** In UTF-16 units. */
const MAX_SNAPSHOT_LENGTH = 1024 * 1024;
const MAX_SOURCE_LENGTH = 256 * 1024;
const MAX_WAITING = 1024;

const here = import.meta.url;
// In the sources it is the file beside this one; the build makes a chunk of its own of it.
const WORKER = new URL(here.endsWith('.ts') ? './worker.ts' : './guard-worker.js', here);

/** Makes a host. Nothing is started before the first guard, or `prewarm`. */
export function createGuardHost({ worker = WORKER }: GuardHostOptions = {}): GuardHost {
  let thread: GuardThread | undefined;
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let closed = false;
  let lastId = 0;

  const usableThread = (): GuardThread => {
    if (thread === undefined || thread.broken()) thread = startGuardThread(worker);
    return thread;
  };
  const evaluateNow = async (job: GuardJob): Promise<Verdict> => {
    if (closed) return fail('the guard was not evaluated: the host is closed');
    const limits = job.limits ?? defaultLimits(job.kind);
    const current = usableThread();
    lastId += 1;
    const text = JSON.stringify({ id: lastId, job: { ...job, limits } });
    const { verdict, spent } = await current.ask(lastId, text, limits.wallMs);
    // Waiting for the end gives the memory back before the next guard begins.
    if (spent) await current.stop();
    return verdict;
  };

  return {
    evaluate(job) {
      const tooLarge = excess(job) ?? (waiting >= MAX_WAITING ? 'too many guards are waiting' : undefined);
      if (tooLarge !== undefined) return Promise.resolve(fail(`the guard was not evaluated: ${tooLarge}`));
      waiting += 1;
      const verdict = tail
        .then(() => evaluateNow(job))
        .catch((error) => fail(`the guard could not be evaluated: ${error}`))
        .finally(() => {
          waiting -= 1;
        });
      tail = verdict;
      return verdict;
    },
    prewarm(kinds) {
      if (!closed) usableThread().tell(JSON.stringify({ prepare: kinds }));
    },
    async close() {
      closed = true;
      await thread?.stop();
      await tail;
    },
  };
}

function excess(job: GuardJob): string | undefined {
  const { snapshotText } = job;
  if (snapshotText.length > MAX_SNAPSHOT_LENGTH) {
    return `expected a snapshot of at most ${MAX_SNAPSHOT_LENGTH} characters, found ${snapshotText.length}`;
  }
  if (job.kind === 'script' && job.source.length > MAX_SOURCE_LENGTH) {
    return `expected a script of at most ${MAX_SOURCE_LENGTH} characters, found ${job.source.length}`;
  }
  return undefined;
}
