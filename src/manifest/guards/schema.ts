import * as z from 'zod/mini';
import { expect } from '../fields.ts';
import {
  actorEntry,
  branchPattern,
  count,
  duration,
  endOfWindow,
  environmentName,
  environmentPattern,
  exactValue,
  kid,
  listOf,
  timeOfDay,
  timezone,
  window,
  yes,
} from './fields.ts';
import { oneGuardOf } from './one-guard.ts';

/**
 * The grammar of the built-in guards in `ax.yaml` and `ax.lock`. Everything that could make an evaluation fail
 * later (an unknown time zone, a pattern that does not compile, a threshold out of reach) is refused here,
 * when a person is there to correct it.
 */

const changeWindow = z
  .strictObject({
    days: listOf(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']), 7),
    from: timeOfDay,
    to: endOfWindow,
    timezone,
  })
  .check(
    expect(({ from, to }) => from !== to, 'from and to to differ; from "00:00" to "24:00" is the whole day'),
  );

const rateLimit = z.strictObject({ max: count, per: window });

const quota = z
  .strictObject({
    concurrent: z.optional(count),
    perDay: z.optional(count),
    timezone: z.optional(timezone),
  })
  .check(
    expect(
      ({ concurrent, perDay }) => concurrent !== undefined || perDay !== undefined,
      'concurrent or perDay',
    ),
    expect(
      ({ perDay, timezone: zone }) => zone === undefined || perDay !== undefined,
      'a timezone only with perDay',
    ),
  );

const branch = z.strictObject({ allow: listOf(branchPattern, 64) });

const actor = z.strictObject({ allow: listOf(actorEntry, 256) });

const env = z
  .record(
    environmentName,
    z.union([exactValue, z.strictObject({ pattern: environmentPattern })], {
      error: 'expected the exact value in quotes, or { pattern: … }',
    }),
  )
  .check(
    expect((all) => Object.keys(all).length > 0, 'at least one variable'),
    expect((all) => Object.keys(all).length <= 64, 'at most 64 variables'),
  );

const keyAge = z.strictObject({ max: duration });

const approvals = z
  .strictObject({
    threshold: z.int().check(z.minimum(1, 'expected at least 1'), z.maximum(64, 'expected at most 64')),
    keys: z.optional(listOf(kid, 64)),
    notAuthor: z.optional(z.boolean()),
    expires: z.optional(duration),
  })
  .check(
    expect(
      ({ threshold, keys }) => keys === undefined || threshold <= keys.length,
      'a threshold that the listed keys can reach',
    ),
  );

export type ChangeWindow = z.infer<typeof changeWindow>;
export type RateLimit = z.infer<typeof rateLimit>;
export type Quota = z.infer<typeof quota>;
export type BranchRule = z.infer<typeof branch>;
export type ActorRule = z.infer<typeof actor>;
export type EnvRule = z.infer<typeof env>;
export type KeyAge = z.infer<typeof keyAge>;
export type ApprovalRule = z.infer<typeof approvals>;

/** One per guard, for `oneGuardOf` to make the union of these and others. */
export const BUILTIN_GUARDS = [
  z.strictObject({ changeWindow }),
  z.strictObject({ rateLimit }),
  z.strictObject({ quota }),
  z.strictObject({ branch }),
  z.strictObject({ gitClean: yes }),
  z.strictObject({ actor }),
  z.strictObject({ env }),
  z.strictObject({ keyAge }),
  z.strictObject({ approvals }),
  z.strictObject({ dependencies: yes }),
] as const;

export const builtinGuard = oneGuardOf(BUILTIN_GUARDS);

export type BuiltinGuard = z.infer<typeof builtinGuard>;

/** Every key that a person may write in a built-in guard, for "did you mean". */
export function builtinKeys(): string[] {
  const shapes = [changeWindow, rateLimit, quota, branch, actor, keyAge, approvals, ...BUILTIN_GUARDS];
  return shapes.flatMap((schema) => Object.keys(schema.shape));
}
