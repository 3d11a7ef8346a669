import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import type { Supervisor } from '../store/runs.ts';

/** This process, as a supervisor. */
export function ownIdentity(context: Context): Supervisor {
  const start = processStart(context.pid);
  if (start === null) throw new AxError('INTERNAL', 'ax cannot find its own process');
  return { host: context.host, pid: context.pid, start };
}

/**
 * Whether the very process that was recorded still runs. `elsewhere` is a process of another machine (or of a
 * container with a name of its own), of which this one cannot know.
 */
export function livenessOf(supervisor: Supervisor, context: Context): 'alive' | 'lost' | 'elsewhere' {
  if (supervisor.host !== context.host) return 'elsewhere';
  return processStart(supervisor.pid) === supervisor.start ? 'alive' : 'lost';
}

/**
 * What tells a process from a later one with the same number: on Linux boot id and start time in clock ticks
 * (proc(5), /proc/pid/stat field 22), elsewhere what ps says of its start. Null when there is no such process.
 */
function processStart(pid: number): string | null {
  return process.platform === 'linux' ? linuxStart(pid) : psStart(pid);
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
