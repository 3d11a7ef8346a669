import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** True until a process is gone; a zombie is. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    return !/^[0-9]+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Resolves when a process is gone; the test's own timeout ends a wait that does not. */
export async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await sleep(20);
}

/** The fields of /proc/<pid>/stat from the third (the state) on. Linux only. */
export function statOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
}

/** Resolves when a process has worked for longer than starting it takes: it is in its loop. Linux only. */
export async function busy(pid: number): Promise<void> {
  const MINIMUM_TICKS = 50;
  for (;;) {
    const [user, system] = statOf(pid).slice(11, 13);
    if (Number(user) + Number(system) >= MINIMUM_TICKS) return;
    await sleep(20);
  }
}
