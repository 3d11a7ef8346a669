import { createGuardedScrubber } from '../security/scrub/guarded.ts';
import { type Captured, createCapture } from './capture.ts';
import type { ReadyCommand } from './command.ts';
import { type Exit, execute, type OnOutput, type OutputStream } from './executor.ts';
import type { Plan } from './plan.ts';

/** How a command of a task ended, and what it said: bounded, and scrubbed of secrets and personal data. */
export interface ChildEnd {
  readonly exit: Exit;
  readonly output: { readonly stdout: Captured; readonly stderr: Captured };
}

export interface Child {
  readonly ended: Promise<ChildEnd>;
  /** Asks it to end, and makes it end after the task's grace period. */
  stop(): void;
  /** Ends it at once. */
  kill(): void;
}

export interface ChildOptions {
  readonly runId: string;
  readonly plan: Plan;
  /** Gets output as it comes, without declared secrets and recognised credentials. */
  readonly onOutput: OnOutput;
  /** Called once when the task's time is up, before the child is stopped. */
  readonly onTimeout: () => void;
}

/** What a receipt keeps of each stream: enough of both ends to see what happened. */
const CAPTURE = { head: 64 * 1024, tail: 64 * 1024 };

/**
 * Starts a command under a deadline. Output is scrubbed before anything else sees it: of secrets for who is watching, who
 * still needs the address of a server; of personal data too for what is kept.
 */
export function startChild(command: ReadyCommand, { runId, plan, onOutput, onTimeout }: ChildOptions): Child {
  const sink = (stream: OutputStream) => {
    const live = createGuardedScrubber({ secrets: plan.secrets, credentials: true, personal: false });
    const kept = createGuardedScrubber({
      secrets: [],
      credentials: false,
      personal: true,
      addresses: plan.scrubsAddresses,
    });
    const capture = createCapture(CAPTURE);
    const pass = (chunk: Buffer): Promise<void> | undefined => {
      if (chunk.length === 0) return undefined;
      capture.write(kept.push(chunk));
      return onOutput(stream, chunk);
    };
    return {
      push: (chunk: Buffer) => pass(live.push(chunk)),
      end: () => {
        void pass(live.end());
        capture.write(kept.end());
        return capture.result();
      },
    };
  };
  const sinks = { stdout: sink('stdout'), stderr: sink('stderr') };
  const execution = execute(command, runId, (stream, chunk) => sinks[stream].push(chunk));
  let unrecorded: unknown;
  const timer = setTimeout(() => {
    try {
      onTimeout();
    } catch (error) {
      // The store failed. The child is stopped all the same, and whoever waits for it is told.
      unrecorded = error;
    }
    execution.stop(plan.graceMs);
  }, plan.timeoutMs);
  return {
    ended: execution.ended.then(({ exit }) => {
      clearTimeout(timer);
      if (unrecorded !== undefined) throw unrecorded;
      return { exit, output: { stdout: sinks.stdout.end(), stderr: sinks.stderr.end() } };
    }),
    stop: () => execution.stop(plan.graceMs),
    kill: () => execution.kill(),
  };
}
