import { isAxError } from '../../errors.ts';
import { parseJson } from '../../security/json.ts';
import { isObject } from '../../security/json-shape.ts';
import { parseAnswer } from './answer.ts';
import type { Verdict } from './verdict.ts';

/**
 * What the guard thread says about a job, in this order and once each, as JSON text:
 *
 *     {"id": 1, "began": true}        its code is loaded, the guard's own time begins
 *     {"id": 1, "verdict": {…}}
 *     {"id": 1, "spent": false}       nothing more will come; true: the thread is to be replaced
 */
export type Reply =
  | { readonly kind: 'began' }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'ended'; readonly spent: boolean };

/** Enough for a reason of 500 characters, each escaped. */
const MAX_REPLY_LENGTH = 8 * 1024;

/**
 * Reads a reply about the job that is open, as strictly as if it came from another machine.
 *
 * @returns the reply, or what is wrong with it.
 */
export function parseReply(message: unknown, openJob: number | undefined): Reply | string {
  if (typeof message !== 'string') return 'sent something that is not text';
  if (message.length > MAX_REPLY_LENGTH) return `sent more than ${MAX_REPLY_LENGTH} characters`;
  const value = parseText(message);
  if (!isObject(value)) return 'sent something that is not a JSON object';
  const { id, ...rest } = value;
  if (openJob === undefined) return 'answered when nothing was asked';
  if (id !== openJob) return 'answered for another guard';
  const [[name, content] = ['', undefined], ...more] = Object.entries(rest);
  if (more.length > 0) return 'sent a reply with other members';
  if (name === 'began' && content === true) return { kind: 'began' };
  if (name === 'spent' && typeof content === 'boolean') return { kind: 'ended', spent: content };
  if (name !== 'verdict') return 'sent a reply of no known kind';
  const verdict = parseAnswer(content);
  return typeof verdict === 'string'
    ? `did not answer with a verdict: ${verdict}`
    : { kind: 'verdict', verdict };
}

function parseText(text: string): unknown {
  try {
    return parseJson(text, 'guard');
  } catch (error) {
    if (isAxError(error)) return undefined;
    throw error;
  }
}
