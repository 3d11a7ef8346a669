import type { Context } from '../context.ts';

/**
 * Asks for a secret on the terminal, which shows nothing of it. Empty when nothing was typed or input ended. Call it
 * only where `context.interactive`.
 */
export async function askSecret(context: Context, question: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const { Writable } = await import('node:stream');
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  context.stderr.write(`${question} `);
  const terminal = createInterface({ input: context.stdin, output: silent, terminal: true });
  try {
    const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
    return await Promise.race([terminal.question(''), closed]);
  } finally {
    terminal.close();
    context.stderr.write('\n');
  }
}

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
