import * as z from 'zod/mini';
import { expect, path } from '../fields.ts';
import { moderationKeys, moderationSchema } from './moderation.ts';
import { oneGuardOf } from './one-guard.ts';
import { BUILTIN_GUARDS, type BuiltinGuard, builtinKeys } from './schema.ts';

/** Every guard that a manifest may ask for: the built-in ones, moderation, and the two that a team writes. */

/** In UTF-8. The CEL library's parser takes time that grows with the square of the length. */
export const MAX_EXPRESSION_BYTES = 2048;
/** Bytes of a guard's script. */
export const MAX_SCRIPT_BYTES = 256 * 1024;

const cel = z.string().check(
  z.minLength(1, 'expected an expression'),
  expect((text) => Buffer.byteLength(text) <= MAX_EXPRESSION_BYTES, `at most ${MAX_EXPRESSION_BYTES} bytes`),
  expect((text) => !/[^\P{Cc}\n\t]|\p{Cs}/u.test(text), 'no control characters'),
);

const OTHERS = [
  z.strictObject({ moderation: moderationSchema }),
  z.strictObject({ cel }),
  /** A file of the project; pinned by its digest like a dependency. */
  z.strictObject({ script: path }),
] as const;

const guard = oneGuardOf([...BUILTIN_GUARDS, ...OTHERS]);

export type Guard = z.infer<typeof guard>;

export const guards = z.array(guard).check(z.maxLength(64, 'expected at most 64 guards'));

/** What a task is guarded by: the policy's guards, which are every task's, and its own. */
export function guardsOf({ policy }: { policy: Guarded }, task: Guarded): readonly Guard[] {
  return [...(policy.guards ?? []), ...(task.guards ?? [])];
}

interface Guarded {
  readonly guards?: readonly Guard[] | undefined;
}

/** The name under which a guard was written: its only key. */
export function guardName(one: Guard): string {
  return Object.keys(one)[0] ?? '';
}

export function isBuiltin(one: Guard): one is BuiltinGuard {
  return !('moderation' in one || 'cel' in one || 'script' in one);
}

/** The paths of the scripts among guards. */
export function scriptsOf(all: readonly Guard[]): string[] {
  return all.flatMap((one) => ('script' in one ? [one.script] : []));
}

/** Every key that a person may write in a guard, for "did you mean". */
export function guardKeys(): string[] {
  return [...builtinKeys(), ...moderationKeys(), ...OTHERS.flatMap((schema) => Object.keys(schema.shape))];
}
