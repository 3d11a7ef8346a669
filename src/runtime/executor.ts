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

/** How long output may go on after the process itself has ended, when something it left behind holds the pipe. */
const DRAIN_MS = 1000;

/**
 * Starts a command: no shell, no inherited environment, no standard input, a process group of its own. Every
 * chunk of output is handed on as it comes.
 */
export function execute(
  command: ReadyCommand,
  runId: string,
  onOutput: (stream: OutputStream, chunk: Buffer) => void,
): Execution {
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
  // The result carries no more than the exit status, which 'exit' below has already given.
  subprocess.catch(() => {});
  const { pid } = subprocess;
  subprocess.stdout.on('data', (chunk: Buffer) => onOutput('stdout', chunk));
  subprocess.stderr.on('data', (chunk: Buffer) => onOutput('stderr', chunk));

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
    subprocess.once('error', (error: NodeJS.ErrnoException) => {
      if (pid !== undefined) return;
      exit = { kind: 'not-started', reason: error.code ?? error.message };
      finish(true);
    });
    subprocess.once('exit', (code, signal) => {
      exit = signal === null ? { kind: 'exited', code: code ?? 0 } : { kind: 'signaled', signal };
      // Something that was left behind may hold the pipes open for ever; it is ended, and not waited for.
      drain = setTimeout(() => {
        kill();
        drain = setTimeout(() => finish(false), DRAIN_MS);
      }, DRAIN_MS);
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
