import * as z from 'zod/mini';
import { AxError } from '../errors.ts';
import type { JsonValue } from '../security/json.ts';
import { RECEIPT_PREDICATE_TYPE } from './statement.ts';

/**
 * What a signed receipt says, for those who make something else of it. Members that this version does not know are
 * left out here and are still in the statement: shapes only grow, so a receipt of a later ax reads the same.
 */

const digest = z.object({ sha256: z.string() });
const artifact = z.object({ name: z.string(), digest });
const words = z.array(z.string());

const exit = z.object({
  kind: z.string(),
  code: z.optional(z.number()),
  signal: z.optional(z.string()),
  reason: z.optional(z.string()),
});

const captured = z.object({
  bytes: z.number(),
  sha256: z.string(),
  head: z.string(),
  tail: z.string(),
  omittedBytes: z.number(),
});
const output = z.object({ stdout: captured, stderr: captured });

const predicate = z.object({
  receiptId: z.string(),
  runId: z.string(),
  attempt: z.number(),
  project: z.string(),
  task: z.string(),
  outcome: z.string(),
  exitCode: z.number(),
  error: z.nullable(z.object({ code: z.string(), message: z.string() })),
  manifest: z.object({
    verified: z.boolean(),
    lockSha256: z.string(),
    digest: z.optional(digest),
    version: z.optional(z.number()),
    keyids: z.optional(z.nullable(words)),
  }),
  command: z.nullable(
    z.object({
      argv: words,
      cwd: z.string(),
      environment: words,
      secrets: words,
      timeoutMs: z.number(),
      metadata: z.record(z.string(), z.unknown()),
    }),
  ),
  dependencies: z.array(
    z.object({
      kind: z.string(),
      path: z.string(),
      signed: digest,
      found: z.nullable(digest),
      problem: z.nullable(z.string()),
      after: z.nullable(z.object({ problem: z.nullable(z.string()), touched: z.boolean() })),
    }),
  ),
  guards: z.array(
    z.object({
      guard: z.string(),
      phase: z.string(),
      verdict: z.object({ verdict: z.string(), reason: z.string() }),
    }),
  ),
  materials: z.array(artifact),
  transitions: z.array(
    z.object({
      event: z.string(),
      source: z.string(),
      at: z.string(),
      status: z.string(),
      from: z.string(),
      to: z.string(),
      reason: z.nullable(z.string()),
    }),
  ),
  exit: z.nullable(exit),
  output: z.nullable(output),
  rollback: z.nullable(z.object({ argv: words, exit: z.nullable(exit), output: z.nullable(output) })),
  actor: z.object({ uid: z.number(), name: z.string() }),
  host: z.string(),
  traceId: z.string(),
  startedAt: z.string(),
  finishedAt: z.string(),
  durationMs: z.number(),
});

const statement = z.object({ subject: z.array(artifact), predicate });

export type ReceiptReading = z.infer<typeof predicate> & {
  /** What the statement is about: the task's outputs, or ax.lock where it has none. */
  readonly subject: readonly z.infer<typeof artifact>[];
};

/**
 * Reads the statement of a receipt.
 *
 * @returns null for a statement of another type than a receipt's
 * @throws RECEIPT_TAMPERED for a receipt without what every receipt has
 */
export function readReceipt(value: { readonly [name: string]: JsonValue }): ReceiptReading | null {
  if (value.predicateType !== RECEIPT_PREDICATE_TYPE) return null;
  const parsed = z.safeParse(statement, value);
  if (parsed.success) return { ...parsed.data.predicate, subject: parsed.data.subject };
  const where = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new AxError('RECEIPT_TAMPERED', `receipt: ${where}: expected what every receipt has there`, {
    hint: 'see what it says with: ax receipts decrypt',
    cause: parsed.error,
  });
}
