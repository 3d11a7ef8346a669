import * as z from 'zod/mini';
import { parameterName } from '../../manifest/schema.ts';

/**
 * The shape of a `ModerationFinding` that comes from another process. It has room for names, terms of the policy,
 * run ids and numbers, and for none of the texts.
 */

type FindingSchema = ReturnType<typeof makeSchema>;

let made: FindingSchema | undefined;

/** Made on first use: it takes a millisecond, which runs without moderation need not spend. */
export function findingSchema(): FindingSchema {
  made ??= makeSchema();
  return made;
}

function makeSchema() {
  const count = z.int().check(z.minimum(0));
  const score = z.number().check(z.minimum(0), z.maximum(1));
  const field = z.union([
    z.enum(['title', 'description']),
    z.string().check(
      z.startsWith('inputs.'),
      z.refine((text) => parameterName.safeParse(text.slice('inputs.'.length)).success),
    ),
  ]);
  const runId = z.string().check(z.maxLength(64));
  const closest = z.exactOptional(z.strictObject({ runId, score }));

  return z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('bounds'),
      field,
      problem: z.enum(['too-long', 'control-character', 'lone-surrogate']),
      characters: count,
      limit: count,
    }),
    z.strictObject({ kind: z.literal('term'), field, term: z.string().check(z.maxLength(100)) }),
    z.strictObject({ kind: z.literal('repeat'), max: score, compared: count, runId, score }),
    z.strictObject({ kind: z.literal('too-many-runs'), compared: count, closest }),
    z.strictObject({ kind: z.literal('clean'), compared: count, closest }),
  ]);
}
