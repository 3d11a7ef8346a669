import { isAxError } from '../../errors.ts';
import { parsePayload } from '../../manifest/payload.ts';
import { decodeBase64 } from '../../security/base64.ts';
import { draftTask } from '../draft.ts';
import type { HydrateMessage } from './job.ts';

/**
 * Fills in tasks, in the isolate: parses the verified bytes again, with the same strictness, and makes a draft of
 * each task. The answer has the drafts, or the refusal that hydration ended with.
 *
 * @throws whatever is not a refusal; then there is no answer.
 */
export function hydrate({ payload, tasks, inputs, timeoutMs }: HydrateMessage): object {
  const bytes = decodeBase64(payload);
  if (bytes === undefined) throw new Error('expected the payload in base64');
  try {
    const manifest = parsePayload(bytes);
    const given = new Map(inputs);
    return { drafts: tasks.map((task) => draftTask(manifest, { ...task, inputs: given, timeoutMs })) };
  } catch (error) {
    if (!isAxError(error)) throw error;
    const { code, message, hint = '' } = error;
    return { refusal: { code, message, hint } };
  }
}
