import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from '../../../support/crash-rig.ts';

/** Resolves when a process is gone; the test's own timeout ends a wait that does not. */
export async function gone(pid: number): Promise<void> {
  while (isRunning(pid)) await sleep(20);
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
