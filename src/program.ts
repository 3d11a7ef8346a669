import { Command, CommanderError } from 'commander';
import type { Context } from './context.ts';
import { addAudit } from './program/audit.ts';
import { addConfig } from './program/config.ts';
import { addKeys } from './program/keys.ts';
import { addPolicy } from './program/policy.ts';
import { addProject } from './program/project.ts';
import { addReceipts } from './program/receipts.ts';
import { addRuns } from './program/runs.ts';
import { createTree } from './program/tree.ts';
import { addTrust } from './program/trust.ts';

/**
 * The one declaration of commands, options and help, a file of `program/` for each group. Help texts and man pages
 * are made from it; what a command does is loaded when it is used.
 */

export interface ProgramOptions {
  readonly version: string;
  /** What stands after `--` on the command line of `ax run`, `ax retry` and `ax approve`. */
  readonly passThrough: readonly string[];
  readonly onExit: (code: number) => void;
}

export function buildProgram(context: Context, { version, passThrough, onExit }: ProgramOptions): Command {
  const program = new Command('ax')
    .description('Run only what was signed. Prove what was run.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showSuggestionAfterError()
    .enablePositionalOptions();
  const tree = createTree(program, { context, passThrough, onExit });
  for (const add of [addProject, addRuns, addReceipts, addKeys, addTrust, addPolicy, addAudit, addConfig]) {
    add(tree);
  }
  return program;
}

/**
 * What commander made of a command line that it could not follow; null for other errors. Help and version end
 * that way too, with status 0.
 */
export function usageProblem(error: unknown): { status: number; message: string } | null {
  if (!(error instanceof CommanderError)) return null;
  if (error.code === 'commander.help') return { status: 1, message: 'expected a command, found none' };
  const message = error.message
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)/, '; did you mean $1?');
  return { status: error.exitCode, message };
}
