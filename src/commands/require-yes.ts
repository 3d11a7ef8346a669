import { AxError } from '../errors.ts';
import { confirm } from '../output/prompt.ts';
import type { Session } from './session.ts';

export interface Question {
  readonly text: string;
  /** `--yes`: the answer was given beforehand. */
  readonly yes: boolean;
  /** What to type where nobody can answer. */
  readonly hint: string;
  /** What is so without a yes. */
  readonly otherwise?: string;
}

/**
 * Asks before something is signed, or is done that cannot be taken back; on a terminal only, and not with --json.
 *
 * @throws CONFIRMATION_REQUIRED unless the answer is yes
 */
export async function requireYes({ context, output }: Session, question: Question): Promise<void> {
  if (question.yes) return;
  if (context.interactive && !output.json && (await confirm(context, question.text))) return;
  const { otherwise = 'nothing was signed', hint } = question;
  throw new AxError('CONFIRMATION_REQUIRED', `${otherwise}: it takes a yes`, { hint });
}
