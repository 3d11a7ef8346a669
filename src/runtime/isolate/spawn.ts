import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

/** What an isolated process runs, and all that it may have for it. */
export interface Program {
  readonly file: URL;
  /** Further files that it reads. */
  readonly reads?: readonly URL[];
  /** The bound of its JavaScript heap, in MiB: past it, V8 ends the process. */
  readonly heapMb: number;
}

/** A process with two pipes; it has no other way to say or hear anything. */
export interface Spawned {
  readonly process: ChildProcess;
  readonly input: Socket;
  readonly output: Socket;
}

const here = import.meta.url;
// Run from the sources, it is the last build that is started: what is isolated is always what is shipped.
const dist = new URL(here.endsWith('.ts') ? '../../../dist/' : './', here);

/** Our own code: hydration, the guards that come with ax, moderation. */
export const OWN_PROGRAM: Program = {
  file: new URL('isolate-own.cjs', dist),
  reads: [new URL('isolate-own-guards.cjs', dist)],
  heapMb: 256,
};

/** What teams wrote, in its interpreters. */
export const TEAM_PROGRAM: Program = {
  file: new URL('isolate-team.cjs', dist),
  reads: [new URL('guard-engine.wasm', dist), new URL('guard-cel.image', dist)],
  heapMb: 96,
};

/**
 * Starts an isolated process: the Node.js that runs ax, under its permission model, which lets it read its own files
 * and nothing else, write no file, start no process, worker or addon. It has no environment, no arguments, no folder
 * of the project, and none of ax's streams. A session of its own keeps the terminal's signals from it: ax decides
 * when it ends, and it ends by itself when the pipe to ax does.
 *
 * Nothing of it keeps ax running; whoever waits for an answer holds a timer.
 *
 * @throws Error when it cannot be started: no memory, or too many files or processes.
 */
export function spawnProgram({ file, reads = [], heapMb }: Program): Spawned {
  const path = fileURLToPath(file);
  const readable = [path, ...reads.map((url) => fileURLToPath(url))];
  const child = spawn(
    process.execPath,
    [
      '--permission',
      ...readable.map((each) => `--allow-fs-read=${each}`),
      `--max-old-space-size=${heapMb}`,
      path,
    ],
    { env: {}, cwd: '/', detached: true, stdio: ['pipe', 'pipe', 'ignore'] },
  );
  // Otherwise an event would end ax, and here there are no pipes.
  child.on('error', () => {});
  if (child.pid === undefined) throw new Error('an isolated process could not be started');
  // The pipes of a child are sockets, whatever their types say.
  const [input, output] = [child.stdin as unknown as Socket, child.stdout as unknown as Socket];
  // That the other end is gone shows by its exit.
  input.on('error', () => {});
  output.on('error', () => {});
  child.unref();
  input.unref();
  output.unref();
  return { process: child, input, output };
}
