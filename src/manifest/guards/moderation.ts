import * as z from 'zod/mini';
import { window } from './fields.ts';

/** The grammar of the `moderation` guard, as people write it and as it is signed. */

/** The most that any moderated text may have, in Unicode code points; a policy can only ask for less. */
export const MAX_CHARACTERS = 4000;

/** Letters and digits that are there to be seen: marks and what is drawn as nothing do not make a term. */
const UNSEEN = /[\p{M}\p{Default_Ignorable_Code_Point}]/gu;
const TWO_VISIBLE = /[\p{Lu}\p{Ll}\p{Lt}\p{Lo}\p{N}].*[\p{Lu}\p{Ll}\p{Lt}\p{Lo}\p{N}]/u;

const term = z.string().check(
  z.minLength(2),
  z.maxLength(100),
  z.refine((text) => !/\p{Cc}|\p{Cs}/u.test(text), 'expected no control characters'),
  z.refine(
    (text) => TWO_VISIBLE.test(text.normalize('NFKD').replace(UNSEEN, '')),
    'expected a term with at least two letters or digits',
  ),
);

/** Two decimals, so that a threshold reads the same wherever it is printed. */
const threshold = z.number().check(
  z.minimum(0),
  z.maximum(0.99, 'expected at most 0.99: a score of 1 is a verbatim repeat, which is never allowed'),
  z.refine((value) => Number(value.toFixed(2)) === value, 'expected at most two decimals'),
);

export const moderationSchema = z.strictObject({
  /** In their base form ("password", not "passwords"): inflections are found, and not undone. */
  deny: z.optional(z.array(term).check(z.minLength(1), z.maxLength(200))),
  /** A run is refused when its score against a run of the window is above `max`. */
  similarity: z.optional(z.strictObject({ max: threshold, window })),
  maxCharacters: z.optional(z.int().check(z.minimum(1), z.maximum(MAX_CHARACTERS))),
});

export type ModerationConfig = z.infer<typeof moderationSchema>;

export function moderationKeys(): string[] {
  return [...Object.keys(moderationSchema.shape), 'max', 'window'];
}
