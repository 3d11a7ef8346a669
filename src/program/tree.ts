import type { Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { globalOptions } from './options.ts';

/** What the command groups are declared with. */

/** A command with what its help and man page add to commander's. */
export interface Spec {
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly arguments?: readonly (readonly [string, string])[];
  readonly options?: readonly Option[];
  readonly examples: readonly string[];
}

export interface Tree {
  readonly root: Command;
  readonly context: Context;
  /** What stands after `--` on the command line of `ax run`, `ax retry` and `ax approve`. */
  readonly passThrough: readonly string[];
  /** Adds a command. Its action gets commander's arguments and gives the exit code. */
  readonly add: (parent: Command, spec: Spec, action: (...args: never[]) => Promise<number>) => void;
  /** Adds a group of commands. */
  readonly group: (name: string, summary: string) => Command;
}

const examplesOf = new WeakMap<Command, readonly string[]>();

/** The examples of a command, for its man page. */
export function commandExamples(command: Command): readonly string[] {
  return examplesOf.get(command) ?? [];
}

export function createTree(
  root: Command,
  { onExit, ...about }: Pick<Tree, 'context' | 'passThrough'> & { onExit: (code: number) => void },
): Tree {
  return {
    ...about,
    root,
    add(parent, spec, action) {
      const command = parent.command(spec.name).summary(spec.summary);
      command.description(spec.description ?? `${capital(spec.summary)}.`);
      for (const [name, help] of spec.arguments ?? []) command.argument(name, help);
      for (const option of [...(spec.options ?? []), ...globalOptions()]) command.addOption(option);
      command.addHelpText('after', `\nExamples:\n${spec.examples.map((line) => `  $ ${line}`).join('\n')}`);
      examplesOf.set(command, spec.examples);
      command.action(async (...args: unknown[]) => onExit(await action(...(args as never[]))));
    },
    group: (name, summary) =>
      root
        .command(name)
        .summary(summary)
        .description(`${capital(summary)}.`),
  };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
