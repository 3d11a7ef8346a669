import { AxError } from '../errors.ts';
import { orderTasks, type Tasks } from './graph.ts';
import type { Task } from './schema.ts';

/** `{{name}}` in an argument stands for a parameter's value. */
export const PLACEHOLDER = /\{\{\s*([A-Za-z0-9_]*)\s*\}\}/g;

/**
 * What a schema cannot say about tasks: that needs exist and form no circle, that placeholders name parameters,
 * that no variable is set twice. Checked when signing and again when verifying.
 *
 * @throws MANIFEST_INVALID naming the task and the key
 */
export function checkTasks(tasks: Tasks): void {
  for (const [name, task] of Object.entries(tasks)) {
    for (const need of task.needs ?? []) {
      if (!Object.hasOwn(tasks, need)) refuse(name, 'needs', `expected a task of this file, found "${need}"`);
    }
    checkPlaceholders(name, task);
    checkVariables(name, task);
    checkParameters(name, task);
  }
  orderTasks(tasks, Object.keys(tasks));
}

function checkPlaceholders(name: string, task: Task): void {
  if (task.shell !== undefined && matches(task.shell).length > 0) {
    refuse(name, 'shell', 'expected no {{…}}: text pasted into a script is a script; use "$AX_INPUT_<NAME>"');
  }
  if (task.shell !== undefined && task.args !== undefined) {
    refuse(name, 'args', 'expected `run` beside `args`: a shell script takes no arguments here');
  }
  for (const [key, words] of [
    ['run', task.run],
    ['rollback', task.rollback],
  ] as const) {
    if (words?.[0] !== undefined && (words[0] === '' || matches(words[0]).length > 0)) {
      refuse(name, key, 'expected the command itself to be fixed');
    }
    for (const parameter of (words ?? []).flatMap(matches)) {
      if (!Object.hasOwn(task.params ?? {}, parameter)) {
        refuse(name, key, `expected {{…}} to name one of \`params\`, found "${parameter}"`);
      }
    }
  }
}

function matches(text: string): string[] {
  return [...text.matchAll(PLACEHOLDER)].map((match) => match[1] ?? '');
}

function checkVariables(name: string, task: Task): void {
  const seen = new Set<string>();
  for (const variable of [...Object.keys(task.env ?? {}), ...(task.passEnv ?? []), ...(task.secrets ?? [])]) {
    if (seen.has(variable)) refuse(name, 'env', `expected ${variable} once among env, passEnv and secrets`);
    if (variable.startsWith('AX_')) refuse(name, 'env', `expected no AX_ variable, found ${variable}`);
    seen.add(variable);
  }
}

function checkParameters(name: string, task: Task): void {
  const variables = new Set<string>();
  for (const [parameter, { pattern, default: value }] of Object.entries(task.params ?? {})) {
    const variable = parameterVariable(parameter);
    if (variables.has(variable))
      refuse(name, 'params', `expected names that differ in more than case: ${parameter}`);
    variables.add(variable);
    if (value !== undefined && pattern !== undefined && !wholeMatch(pattern, value.trim())) {
      refuse(name, `params.${parameter}.default`, `expected a match of ${pattern}, found "${value}"`);
    }
  }
}

/** The environment variable that carries a parameter to the task. */
export function parameterVariable(parameter: string): string {
  return `AX_INPUT_${parameter.toUpperCase()}`;
}

/** True when the pattern matches all of the text, not a part of it. */
export function wholeMatch(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${pattern})$`, 'v').test(text);
}

function refuse(task: string, key: string, message: string): never {
  throw new AxError('MANIFEST_INVALID', `tasks.${task}.${key}: ${message}`, {
    hint: 'correct ax.yaml, then: ax sign',
  });
}
