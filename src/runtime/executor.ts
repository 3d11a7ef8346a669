import { execa } from 'execa';
import type { ReadyCommand } from './command.ts';
import { RUN_MARK, signalTree, treeIsAlive } from './process-tree.ts';

export type OutputStream = 'stdout' | 'stderr';

/** How a process ended. */
export type Exit =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signaled'; readonly signal: string }
  | { readonly kind: 'not-started'; readonly reason: string };

export interface Execution {
  /** Resolves when the process has ended and its output has been read; never rejects. */
  readonly ended: Promise<{ exit: Exit; drained: boolean }>;
  /** Asks the whole tree to end, and makes it end after the grace period. Calling it again changes nothing. */
  stop(graceMs: number): void;
  /** Ends the whole tree at once. */
  kill(): void;
}

/** Gets a chunk of output. A promise means: no more of this stream before it resolves. */
export type OnOutput = (stream: OutputStream, chunk: Buffer) => Promise<void> | undefined;

/** How long output may go on after the process itself has ended, when something it left behind holds the pipe. */
const DRAIN_MS = 1000;

/**
 * Starts a command: no shell, no inherited environment, no standard input, a process group of its own. Every
 * chunk of output is handed on as it comes.
 */
export function execute(command: ReadyCommand, runId: string, onOutput: OnOutput): Execution {
  const subprocess = execa(command.file, command.args, {
    shell: false,
    extendEnv: false,
    env: { ...command.env, [RUN_MARK]: runId },
    cwd: command.cwd,
    argv0: command.argv0,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    encoding: 'buffer',
    buffer: false,
    reject: false,
    cleanup: false,
    // A group of its own: Ctrl-C in the terminal reaches ax, which decides; signals of ours reach all of it.
    detached: true,
  });
  const { pid } = subprocess;
  // A reader that is slow slows the task down, as it would without ax; output is not piled up in memory.
  let waiting = 0;
  for (const name of ['stdout', 'stderr'] as const) {
    const source = subprocess[name];
    source.on('data', (chunk: Buffer) => {
      const taken = onOutput(name, chunk);
      if (taken === undefined) return;
      waiting += 1;
      source.pause();
      void taken.then(() => {
        waiting -= 1;
        source.resume();
      });
    });
  }

  let forced: NodeJS.Timeout | undefined;
  const kill = (): void => {
    if (pid !== undefined) signalTree(pid, runId, 'SIGKILL');
  };

  const ended = new Promise<{ exit: Exit; drained: boolean }>((resolve) => {
    let exit: Exit | undefined;
    let drain: NodeJS.Timeout | undefined;
    const finish = (drained: boolean): void => {
      clearTimeout(drain);
      subprocess.stdout.destroy();
      subprocess.stderr.destroy();
      resolve({ exit: exit ?? { kind: 'not-started', reason: 'no exit status' }, drained });
    };
    // execa gives what it could not start the shape of a process that has failed; no event tells of it.
    void subprocess.then((result) => {
      if (pid !== undefined) return;
      exit = { kind: 'not-started', reason: result.code ?? result.originalMessage ?? 'unknown' };
      finish(true);
    });
    subprocess.once('exit', (code, signal) => {
      exit = signal === null ? { kind: 'exited', code: code ?? 0 } : { kind: 'signaled', signal };
      // Something that was left behind may hold the pipes open for ever; it is ended, and not waited for.
      drain = whenQuiet(() => {
        kill();
        drain = whenQuiet(() => finish(false));
      });
    });
    subprocess.once('close', () => finish(true));
  }).then((end) => {
    // The leader ended within its grace; what it started and left may not outlive a stop.
    if (forced !== undefined) {
      clearTimeout(forced);
      kill();
    }
    return end;
  });

  /** After the time to drain, not counting what is spent on a slow reader. */
  function whenQuiet(then: () => void): NodeJS.Timeout {
    const timer: NodeJS.Timeout = setTimeout(() => (waiting > 0 ? timer.refresh() : then()), DRAIN_MS);
    return timer;
  }

  return {
    ended,
    stop(graceMs) {
      if (pid === undefined || forced !== undefined) return;
      signalTree(pid, runId, 'SIGTERM');
      forced = setTimeout(() => {
        if (treeIsAlive(pid, runId)) kill();
      }, graceMs);
    },
    kill,
  };
}
