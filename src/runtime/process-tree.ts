import { readdirSync, readFileSync } from 'node:fs';

/**
 * Ending a task means ending what it started. A process group is not the whole tree: a grandchild that called
 * setsid has left it. Every descendant inherits the run's id in its environment, so on Linux the rest are found
 * by that mark. A process that wiped its environment is not found; a sandbox is the answer to that one.
 */

/** The variable that marks what belongs to a run. */
export const RUN_MARK = 'AX_RUN_ID';

/** Sends a signal to the group that `leader` leads and to every process that carries the run's mark. */
export function signalTree(leader: number, runId: string, signal: NodeJS.Signals): void {
  signalOne(-leader, signal);
  for (const pid of markedProcesses(runId)) signalOne(pid, signal);
}

/** Ends every process that carries the run's mark. */
export function killMarked(runId: string): void {
  for (const pid of markedProcesses(runId)) signalOne(pid, 'SIGKILL');
}

/** True while the group or a marked process is left. */
export function treeIsAlive(leader: number, runId: string): boolean {
  return signalOne(-leader, 0) || markedProcesses(runId).length > 0;
}

function signalOne(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

function markedProcesses(runId: string): number[] {
  if (process.platform !== 'linux') return [];
  const mark = Buffer.from(`\0${RUN_MARK}=${runId}\0`);
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && carries(pid, mark));
}

function carries(pid: number, mark: Buffer): boolean {
  try {
    return Buffer.concat([Buffer.from('\0'), readFileSync(`/proc/${pid}/environ`)]).includes(mark);
  } catch {
    return false;
  }
}
