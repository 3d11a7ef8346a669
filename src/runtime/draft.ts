import * as z from 'zod/mini';
import { AxError } from '../errors.ts';
import { taskNamed } from '../manifest/graph.ts';
import { PLACEHOLDER, wholeMatch } from '../manifest/rules.ts';
import { type Manifest, parameterName, type Task } from '../manifest/schema.ts';
import { parseDuration } from '../security/duration.ts';

/**
 * What a signed task comes to with the inputs and arguments that it was given, before anything of this machine is
 * added. It is worked out in the isolate, so it is also what comes back over a pipe: the schema is the reply's.
 */
export const draftSchema = z.strictObject({
  taskId: z.string(),
  argv: z.array(z.string()).check(z.minLength(1)),
  rollback: z.nullable(z.array(z.string()).check(z.minLength(1))),
  /** Every parameter of the task, with the value that was given or its default. */
  inputs: z.record(parameterName, z.string()),
  timeoutMs: z.int().check(z.minimum(0)),
  graceMs: z.int().check(z.minimum(0)),
  retries: z.strictObject({
    max: z.int().check(z.minimum(0)),
    backoffMs: z.int().check(z.minimum(0)),
    maxBackoffMs: z.int().check(z.minimum(0)),
  }),
});

export type Draft = z.infer<typeof draftSchema>;

export interface DraftRequest {
  readonly taskId: string;
  /** `--input name=value`, for every task that has a parameter of that name. */
  readonly inputs: ReadonlyMap<string, string>;
  /** What stands after `--`. */
  readonly args: readonly string[];
  /** `--timeout`, which may shorten what was signed. */
  readonly timeoutMs: number | undefined;
}

const DEFAULT_TIMEOUT_MS = 60 * 60 * 1000;
const DEFAULT_GRACE_MS = 10_000;
const DEFAULT_BACKOFF_MS = 1000;
const DEFAULT_MAX_BACKOFF_MS = 30_000;
const MAX_INPUT_CHARACTERS = 4000;

/**
 * Hydrates a task: parameters filled in, times resolved. Pure, but not bounded in time: a pattern of the manifest
 * may take for ever over an input.
 *
 * A parameter's value takes the place of `{{name}}` inside one argument, which stays one argument. What the signed
 * task did not foresee is refused.
 *
 * @throws TASK_UNKNOWN, INPUT_INVALID
 */
export function draftTask({ tasks }: Manifest, request: DraftRequest): Draft {
  const task = taskNamed(tasks, request.taskId);
  const inputs = resolveInputs(request, task);
  const fill = (word: string): string =>
    word.replace(PLACEHOLDER, (_, name: string) => inputs.get(name) ?? '');
  const signed = task.shell === undefined ? (task.run ?? []).map(fill) : ['/bin/sh', '-c', task.shell];
  return {
    taskId: request.taskId,
    argv: [...signed, ...checkArgs(request, task)],
    rollback: task.rollback?.map(fill) ?? null,
    inputs: Object.fromEntries(inputs),
    timeoutMs: resolveTimeout(request, task),
    graceMs: parseDuration(task.grace ?? '') ?? DEFAULT_GRACE_MS,
    retries: {
      max: task.retries?.max ?? 0,
      backoffMs: parseDuration(task.retries?.backoff ?? '') ?? DEFAULT_BACKOFF_MS,
      maxBackoffMs: parseDuration(task.retries?.maxBackoff ?? '') ?? DEFAULT_MAX_BACKOFF_MS,
    },
  };
}

function resolveInputs(request: DraftRequest, task: Task): Map<string, string> {
  return new Map(
    Object.entries(task.params ?? {}).map(([name, { pattern, default: fallback }]) => {
      // White space around a value is a slip of quoting or pasting, never part of it.
      const value = (request.inputs.get(name) ?? fallback)?.trim();
      const where = `task ${request.taskId}, input ${name}`;
      if (value === undefined) throw invalidInput(`${where}: expected a value, found none`, name);
      if (value.length > MAX_INPUT_CHARACTERS) {
        throw invalidInput(`${where}: expected at most ${MAX_INPUT_CHARACTERS} characters`, name);
      }
      if (/\p{Cc}/u.test(value)) throw invalidInput(`${where}: expected no control characters`, name);
      if (pattern !== undefined && !wholeMatch(pattern, value)) {
        throw invalidInput(`${where}: expected a match of ${pattern}, found ${JSON.stringify(value)}`, name);
      }
      return [name, value];
    }),
  );
}

function invalidInput(message: string, name: string): AxError {
  return new AxError('INPUT_INVALID', message, { hint: `--input ${name}=VALUE; ax tasks shows what fits` });
}

function checkArgs(request: DraftRequest, task: Task): readonly string[] {
  if (request.args.length === 0) return [];
  if (task.args === undefined) {
    throw new AxError('INPUT_INVALID', `task ${request.taskId}: expected no arguments after --, found some`, {
      hint: 'what runs is what was signed; let the task take them with `args: { pattern: … }`, then: ax sign',
    });
  }
  for (const arg of request.args) {
    if (arg.length > MAX_INPUT_CHARACTERS || /\p{Cc}/u.test(arg) || !wholeMatch(task.args.pattern, arg)) {
      throw new AxError(
        'INPUT_INVALID',
        `task ${request.taskId}: expected arguments that match ${task.args.pattern}, found ${JSON.stringify(arg.slice(0, 80))}`,
        { hint: 'change the argument, or the signed pattern' },
      );
    }
  }
  return request.args;
}

function resolveTimeout(request: DraftRequest, task: Task): number {
  const signed = parseDuration(task.timeout ?? '') ?? DEFAULT_TIMEOUT_MS;
  if (request.timeoutMs === undefined) return signed;
  if (request.timeoutMs > signed) {
    throw new AxError(
      'INPUT_INVALID',
      `task ${request.taskId}: --timeout may shorten the signed ${signed} ms only`,
      {
        hint: 'raise `timeout:` in ax.yaml, then: ax sign',
      },
    );
  }
  return request.timeoutMs;
}
