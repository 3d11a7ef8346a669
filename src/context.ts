import { randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import type { Readable, Writable } from 'node:stream';

/**
 * Everything the process takes from its surroundings, made once in main and handed in. Tests hand in a clock
 * and randomness of their own; nothing else under src/ reads the environment, the clock or a random source.
 */
export interface Context {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** stdin and stderr are both terminals, so a question can be asked and answered. */
  readonly interactive: boolean;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** Wall clock, in milliseconds since the epoch: for records and validity dates. */
  now(): number;
  /** Monotonic clock in milliseconds: for deadlines and durations. */
  monotonic(): number;
  randomBytes(count: number): Uint8Array;
  /** Who the operating system says is running this, never an argument or `USER`. */
  readonly actor: Actor;
  readonly host: string;
  readonly pid: number;
  /** Calls back for each signal that asks ax to end, instead of ending it; the result takes that back. */
  onStopSignal(handler: (signal: StopSignal) => void): () => void;
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

export interface Actor {
  readonly uid: number;
  readonly name: string;
}

export function createContext(): Context {
  return {
    cwd: process.cwd(),
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    interactive: process.stdin.isTTY === true && process.stderr.isTTY === true,
    stdoutIsTerminal: process.stdout.isTTY === true,
    stderrIsTerminal: process.stderr.isTTY === true,
    now: Date.now,
    monotonic: () => performance.now(),
    randomBytes,
    actor: currentActor(),
    host: hostname(),
    pid: process.pid,
    onStopSignal(handler) {
      for (const signal of STOP_SIGNALS) process.on(signal, handler);
      return () => {
        for (const signal of STOP_SIGNALS) process.off(signal, handler);
      };
    },
  };
}

/** A container may run a uid that has no passwd entry; the number alone is identity enough. */
function currentActor(): Actor {
  const uid = process.getuid?.() ?? -1;
  try {
    return { uid, name: userInfo().username };
  } catch {
    return { uid, name: `uid-${uid}` };
  }
}
