import type { Context } from '../context.ts';

/**
 * Asks a question on the terminal. Only yes is yes: an empty line, the end of input and anything else are no.
 * Call it only where `context.interactive`; ax never asks where nobody can answer.
 */
export async function confirm(context: Context, question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: context.stdin, output: context.stderr });
  try {
    const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
    const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed]);
    return ['y', 'yes'].includes(answer.trim().toLowerCase());
  } finally {
    terminal.close();
  }
}
