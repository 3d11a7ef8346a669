import * as z from 'zod/mini';
import { AxError } from '../../errors.ts';
import type { JsonValue } from '../../security/json.ts';
import { type Draft, draftSchema } from '../draft.ts';
import { parseAnswer } from '../guards/answer.ts';
import { findingSchema } from '../guards/moderation-finding.ts';
import type { Verdict } from '../guards/verdict.ts';
import type { GuardKind, HydrateJob } from './job.ts';
import type { Question } from './process.ts';

/** What the isolate may answer, read as strictly as if it came from another machine. */

/** What a guard says. */
export interface GuardAnswer {
  readonly verdict: Verdict;
  /** Evidence for the record, of moderation alone. */
  readonly finding?: { readonly [name: string]: JsonValue };
}

export interface GuardReply {
  readonly given: GuardAnswer;
  /** The process met a limit or broke something, and is to be replaced. */
  readonly spent: boolean;
}

type Read<T> = Question<T>['read'];

/** Reads `{"verdict": {…}, "finding": {…}, "spent": false}`, where only moderation may have found something. */
export function guardReader(kind: GuardKind): Read<GuardReply> {
  return ({ verdict: claimed, spent, ...rest }) => {
    const { finding, ...more } = rest;
    if (typeof spent !== 'boolean' || Object.keys(more).length > 0) return 'sent a reply of another shape';
    const verdict = parseAnswer(claimed);
    if (typeof verdict === 'string') return `did not answer with a verdict: ${verdict}`;
    if (!('finding' in rest)) return { answer: { given: { verdict }, spent } };
    const found = findingSchema().safeParse(finding);
    if (kind !== 'moderation' || !found.success) return 'sent a finding that none of its kind has';
    return { answer: { given: { verdict, finding: found.data }, spent } };
  };
}

/** Reads `{"verdicts": [{…}, …], "spent": false}`, one for each guard that was asked and in their order. */
export function verdictsReader(count: number): Read<readonly GuardAnswer[]> {
  return ({ verdicts, spent, ...more }) => {
    if (!Array.isArray(verdicts) || spent !== false || Object.keys(more).length > 0) {
      return 'sent a reply of another shape';
    }
    if (verdicts.length !== count) return `answered ${verdicts.length} guards, not ${count}`;
    const answers: GuardAnswer[] = [];
    for (const claimed of verdicts) {
      const verdict = parseAnswer(claimed);
      if (typeof verdict === 'string') return `did not answer with a verdict: ${verdict}`;
      answers.push({ verdict });
    }
    return { answer: answers };
  };
}

const draftsReply = z.strictObject({ drafts: z.array(draftSchema) });

/** Those that hydration ends with; with any other, the isolate could speak for checks that it has no part in. */
const refusalReply = z.strictObject({
  refusal: z.strictObject({
    code: z.enum(['TASK_UNKNOWN', 'INPUT_INVALID', 'MANIFEST_INVALID']),
    message: z.string().check(z.maxLength(100_000)),
    hint: z.string().check(z.maxLength(1000)),
  }),
});

/** Reads `{"drafts": […]}`, one for each task and in their order, or `{"refusal": {…}}`. */
export function hydrateReader({ tasks }: HydrateJob): Read<readonly Draft[] | AxError> {
  return (content) => {
    const refused = refusalReply.safeParse(content);
    if (refused.success) {
      const { code, message, hint } = refused.data.refusal;
      return { answer: new AxError(code, message, { hint }) };
    }
    const drafted = draftsReply.safeParse(content);
    if (!drafted.success) return 'did not answer with drafts or a refusal';
    const { drafts } = drafted.data;
    const asked =
      drafts.length === tasks.length && drafts.every(({ taskId }, at) => taskId === tasks[at]?.taskId);
    return asked ? { answer: drafts } : 'answered for other tasks';
  };
}
