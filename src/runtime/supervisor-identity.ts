import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Supervisor } from '../store/runs.ts';

/**
 * A process named so that a later one with the same number is not taken for it: on Linux by boot id and start
 * time in clock ticks (proc(5), /proc/pid/stat field 22), elsewhere by what ps says of its start.
 *
 * @returns null when there is no such process
 */
export function identifyProcess(pid: number): Supervisor | null {
  const start = process.platform === 'linux' ? linuxStart(pid) : psStart(pid);
  return start === null ? null : { pid, start };
}

/** True while the very process that was recorded still runs. */
export function isAlive(supervisor: Supervisor): boolean {
  return identifyProcess(supervisor.pid)?.start === supervisor.start;
}

function linuxStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command name is in parentheses and may hold anything, so fields are counted after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return null;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19]}`;
  } catch {
    return null;
  }
}

function psStart(pid: number): string | null {
  try {
    const start = execFileSync('/bin/ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return start === '' ? null : start;
  } catch {
    return null;
  }
}
