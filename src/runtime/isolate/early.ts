import { OWN_PROGRAM, type Spawned, spawnProgram } from './spawn.ts';

let waiting: Spawned | undefined;

/**
 * Starts the process for our own code before it is known that it will be asked anything. Starting one takes as long
 * as loading a command does, on another core. It imports nothing but what starts a process, so that this comes first.
 * Where it cannot be started, whoever needs it tries again, and says so.
 */
export function startEarly(): void {
  try {
    waiting ??= spawnProgram(OWN_PROGRAM);
  } catch {}
}

/** The process that was started early, once: whoever takes it has it alone. */
export function takeEarly(): Spawned | undefined {
  const taken = waiting;
  waiting = undefined;
  return taken;
}
