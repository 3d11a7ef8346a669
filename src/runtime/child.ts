import { createMasker } from '../security/mask.ts';
import { type Captured, createCapture } from './capture.ts';
import type { ReadyCommand } from './command.ts';
import { type Exit, execute, type OnOutput, type OutputStream } from './executor.ts';
import type { Plan } from './plan.ts';

/** How a command of a task ended, and what it said: bounded, secrets masked. */
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
  /** Gets output as it comes, with secrets masked. */
  readonly onOutput: OnOutput;
  /** Called once when the task's time is up, before the child is stopped. */
  readonly onTimeout: () => void;
}

/** What a receipt keeps of each stream: enough of both ends to see what happened. */
const CAPTURE = { head: 64 * 1024, tail: 64 * 1024 };

/** Starts a command under a deadline. Output is masked before anything else sees it, the capture included. */
export function startChild(command: ReadyCommand, { runId, plan, onOutput, onTimeout }: ChildOptions): Child {
  const sink = (stream: OutputStream) => {
    const masker = createMasker(plan.secrets);
    const capture = createCapture(CAPTURE);
    const pass = (chunk: Buffer): Promise<void> | undefined => {
      if (chunk.length === 0) return undefined;
      capture.write(chunk);
      return onOutput(stream, chunk);
    };
    return {
      push: (chunk: Buffer) => pass(masker.push(chunk)),
      end: () => {
        void pass(masker.end());
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
