import ora, { type Ora } from 'ora';
import type { Context } from '../context.ts';

/** ora, on stderr and with its hands off stdin: Ctrl-C is ax's to handle. */
export function createSpinner(context: Context): Ora {
  return ora({ stream: context.stderr as NodeJS.WriteStream, discardStdin: false, hideCursor: true });
}
