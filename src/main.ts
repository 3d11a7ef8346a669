import { createContext } from './context.ts';
import { AxError } from './errors.ts';
import { safeJson } from './output/escape.ts';
import { describeError, errorDocument } from './output/output.ts';
import { createStyle, wantsColor } from './output/style.ts';
import { buildProgram, usageProblem } from './program.ts';
import { VERSION } from './version.ts';

/**
 * Runs one command line. The only place where an error ends its way: as two lines for people, or with --json
 * as one document.
 */
export async function main(argv: readonly string[]): Promise<number> {
  const context = createContext();
  // A reader that has gone away (`ax receipts list | head`) is not a failure of ours.
  for (const stream of [context.stdout, context.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  const takesArgs = ['run', 'retry', 'approve', 'policy'].includes(argv[0] ?? '');
  const separator = takesArgs ? argv.indexOf('--') : -1;
  // What stands after it is the task's, even where it looks like an option of ours.
  const own = (separator < 0 ? argv : argv.slice(0, separator)).map(
    // Its duration is given with = or not at all; commander would take the next word for one.
    (word) => (word === '--wait' ? '--wait=' : word),
  );
  let exitCode = 0;
  const program = buildProgram(context, {
    version: VERSION,
    passThrough: separator < 0 ? [] : argv.slice(separator + 1),
    onExit: (code) => {
      exitCode = code;
    },
  });
  const json = own.includes('--json');
  try {
    for (const command of [
      program,
      ...program.commands,
      ...program.commands.flatMap((sub) => sub.commands),
    ]) {
      command.exitOverride();
      // commander's own message would come beside ours.
      command.configureOutput({ writeErr: () => {} });
    }
    await program.parseAsync(own, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (usageProblem(error)?.status === 0) return 0;
    const refusal = explain(error, own);
    if (json) {
      context.stdout.write(`${safeJson(errorDocument(refusal))}\n`);
    } else {
      const color = own.includes('--no-color') ? 'never' : 'auto';
      const style = await createStyle(wantsColor(context, color, context.stderrIsTerminal));
      context.stderr.write(`${describeError(refusal, style)}\n`);
    }
    if (refusal.code === 'INTERNAL' && context.env.AX_DEBUG === '1') {
      context.stderr.write(`${String(error instanceof Error ? error.stack : error)}\n`);
    }
    return refusal.exitCode;
  }
}

function explain(error: unknown, argv: readonly string[]): AxError {
  if (error instanceof AxError) return error;
  const problem = usageProblem(error);
  if (problem !== null) {
    const command = argv.find((word) => /^[a-z]+$/.test(word));
    const hint = command === undefined ? 'ax --help' : `ax ${command} --help`;
    return new AxError('USAGE', problem.message, { hint });
  }
  return new AxError(
    'INTERNAL',
    `a defect in ax: ${error instanceof Error ? error.message : String(error)}`,
    {
      hint: 'please report it with what you typed; AX_DEBUG=1 shows where it happened',
      cause: error,
    },
  );
}
