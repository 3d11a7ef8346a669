import { AxError } from '../errors.ts';
import { taskName } from '../manifest/schema.ts';
import { parseDuration } from '../security/duration.ts';
import type { GlobalOptions } from './session.ts';

export interface RunOptions extends GlobalOptions {
  readonly input?: readonly string[];
  readonly jobs?: number;
  readonly keepGoing?: boolean;
  readonly dryRun?: boolean;
  readonly timeout?: string;
  readonly quiet?: boolean;
  /** Empty without a duration. */
  readonly wait?: string;
  readonly approval?: readonly string[];
}

/** What one command line asks to be run. */
export interface Request {
  readonly tasks: readonly string[];
  readonly args: readonly string[];
  readonly inputs: ReadonlyMap<string, string>;
  readonly timeoutMs: number | undefined;
  /** How long guards that defer are waited for; null for not at all, Infinity for without end. */
  readonly waitMs: number | null;
}

/** @throws USAGE */
export function parseRequest(
  tasks: readonly string[],
  args: readonly string[],
  options: RunOptions,
): Request {
  for (const name of tasks) {
    if (!taskName.safeParse(name).success) {
      throw new AxError('USAGE', `expected a task name, found "${name.slice(0, 80)}"`, { hint: 'ax tasks' });
    }
  }
  const inputs = new Map<string, string>();
  for (const input of options.input ?? []) {
    const separator = input.indexOf('=');
    if (separator < 1) {
      throw new AxError('USAGE', `--input: expected name=value, found "${input.slice(0, 80)}"`, {
        hint: 'ax run <task> --input target=web',
      });
    }
    inputs.set(input.slice(0, separator), input.slice(separator + 1));
  }
  return {
    tasks: [...new Set(tasks)],
    args,
    inputs,
    timeoutMs: duration('--timeout', options.timeout),
    waitMs: options.wait === '' ? Number.POSITIVE_INFINITY : (duration('--wait', options.wait) ?? null),
  };
}

function duration(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new AxError('USAGE', `${option}: expected a duration, found "${text}"`, {
    hint: `${option}=30s, 10m or 2h`,
  });
}
