import * as z from 'zod';

/**
 * What `--json` prints, as the documentation has it. Strict: a member that nobody documented must not slip in,
 * least of all a private part of a key.
 */

const ulid = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
const kid = z.string().regex(/^[\w-]{43}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const time = z.iso.datetime({ precision: 3 });
const text = z.string().min(1);
const count = z.int().min(0);
const exitCode = z.int().min(0).max(255);

export const outcome = z.enum([
  'completed',
  'failed',
  'timed-out',
  'canceled',
  'refused',
  'deferred',
  'skipped',
  'imported',
]);
const state = z.enum([
  'BOOTSTRAPPING',
  'IDLE',
  'PREPARING',
  'WAITING_ON_DEP',
  'EXECUTING',
  'COMPLETED',
  'FAILED',
  'CANCELED',
]);

const failure = z.strictObject({
  code: z.string().regex(/^[A-Z]+(?:_[A-Z]+)*$/),
  message: text,
  hint: z.string().nullable(),
  exitCode,
});

/** Any failure. */
export const errorShape = z.strictObject({
  schema: z.literal('ax.error/1'),
  error: failure,
  retryAfterSeconds: z.int().min(1).optional(),
  pruned: z
    .strictObject({
      id: ulid,
      runId: ulid,
      attempt: z.int().min(1),
      sha256,
      at: time,
      actor: z.strictObject({ uid: z.int(), name: text }),
      auditSeq: z.int().min(1),
    })
    .optional(),
});

const runSchema = z.literal('ax.run/1');

export const runEvent = z.strictObject({
  schema: runSchema,
  type: z.literal('event'),
  runId: ulid,
  task: text,
  event: z.enum([
    'TaskSubmitted',
    'DependenciesReady',
    'RuleViolation',
    'Timeout',
    'CancelRequest',
    'RetryTrigger',
    'TelemetryFlushed',
  ]),
  fromState: state,
  toState: state,
  at: time,
});

export const runOutput = z.strictObject({
  schema: runSchema,
  type: z.literal('output'),
  runId: ulid,
  task: text,
  stream: z.enum(['stdout', 'stderr']),
  text,
});

export const runWaiting = z.strictObject({
  schema: runSchema,
  type: z.literal('waiting'),
  runId: ulid,
  task: text,
  reason: text,
  until: time,
});

const attempted = z.strictObject({
  runId: ulid,
  attempt: z.int().min(1),
  task: text,
  outcome,
  exitCode,
  receiptId: ulid,
  durationMs: count,
});

export const runResult = z.strictObject({
  schema: runSchema,
  type: z.literal('result'),
  outcome,
  exitCode,
  runs: z.array(attempted),
  error: failure.optional(),
  retryAfterSeconds: z.int().min(1).optional(),
});

/** One line of `ax run --json`. */
export const runLine = z.discriminatedUnion('type', [runEvent, runOutput, runWaiting, runResult]);

export const runPlan = z.strictObject({
  schema: z.literal('ax.run.plan/1'),
  tasks: z.array(
    z.strictObject({
      task: text,
      argv: z.array(z.string()).min(1),
      cwd: text,
      environment: z.array(text),
      dependencies: z.array(
        z.strictObject({
          kind: z.enum(['file', 'directory', 'executable']),
          path: text,
          sha256,
          size: count,
          mode: z.enum(['100644', '100755', '040000']),
        }),
      ),
      timeoutMs: z.int().min(1),
    }),
  ),
});

export const verifyShape = z.strictObject({
  schema: z.literal('ax.verify/1'),
  ok: z.boolean(),
  checks: z
    .array(
      z.union([
        z.strictObject({ name: text, ok: z.literal(true), detail: text }),
        z.strictObject({ name: text, ok: z.literal(false), detail: text, error: failure }),
      ]),
    )
    .min(1),
});

export const policyCheckShape = z.strictObject({
  schema: z.literal('ax.policy.check/1'),
  ok: z.boolean(),
  checks: z.array(
    z.strictObject({
      name: text,
      ok: z.boolean(),
      detail: text,
      error: failure.optional(),
      retryAfterSeconds: z.int().min(1).optional(),
    }),
  ),
});

const answer = { verdict: z.enum(['pass', 'fail', 'defer']), reason: text };

export const policyExplainShape = z.strictObject({
  schema: z.literal('ax.policy.explain/1'),
  task: text,
  ...answer,
  retryAfterSeconds: z.int().min(1).optional(),
  guards: z.array(
    z.strictObject({
      guard: text,
      from: z.enum(['policy', 'task']),
      config: z.json(),
      ...answer,
      retryAfterSeconds: z.int().min(1).optional(),
      finding: z.record(z.string(), z.json()).optional(),
    }),
  ),
  snapshot: z.record(z.string(), z.json()),
});

export const receiptsExport = z.strictObject({
  schema: z.literal('ax.receipts.export/1'),
  format: z.enum(['dsse', 'in-toto', 'slsa', 'jwe', 'age', 'ndjson', 'html']),
  file: text,
  bytes: count,
  receipts: count,
  passedOver: count,
});

export const receiptsImport = z.strictObject({
  schema: z.literal('ax.receipts.import/1'),
  ok: z.boolean(),
  imported: z.array(z.strictObject({ file: text, id: ulid, added: z.boolean() })),
  unread: z.array(
    z.strictObject({
      file: text,
      problem: z.enum(['not-a-receipt', 'malformed', 'not-opened', 'renamed', 'not-a-file', 'too-large']),
      detail: text,
    }),
  ),
});

export const receiptsList = z.strictObject({
  schema: z.literal('ax.receipts.list/1'),
  receipts: z.array(
    z.strictObject({
      id: ulid,
      runId: ulid,
      attempt: z.int().min(1),
      task: text,
      project: text,
      outcome,
      actor: z.strictObject({ uid: z.int(), name: text }),
      startedAt: time,
      durationMs: count,
      recipients: z.array(kid).min(1),
    }),
  ),
  next: ulid.optional(),
});

export const receiptsVerify = z.strictObject({
  schema: z.literal('ax.receipts.verify/1'),
  ok: z.literal(true),
  id: ulid,
  runId: ulid,
  keyid: kid,
  outcome,
  standing: z.enum(['current', 'superseded', 'revoked-later']),
  verdict: z.literal('valid'),
  outputs: z
    .array(z.strictObject({ name: text, state: z.enum(['same', 'changed', 'not-there']) }))
    .nullable(),
});

export const receiptsVerifyAll = z.strictObject({
  schema: z.literal('ax.receipts.verify.all/1'),
  ok: z.boolean(),
  checked: count,
  verdicts: z.strictObject({
    valid: count,
    tampered: count,
    revoked: count,
    expired: count,
    untrusted: count,
    unreadable: count,
    missing: count,
  }),
  outputs: z.strictObject({ same: count, changed: count, notThere: count }).nullable(),
  problems: z
    .array(
      z.strictObject({
        id: text,
        verdict: z.enum(['tampered', 'revoked', 'expired', 'untrusted', 'unreadable', 'missing']),
        message: text,
      }),
    )
    .max(100),
  problemsOmitted: count,
});

export const receiptsPrune = z.strictObject({
  schema: z.literal('ax.receipts.prune/1'),
  dryRun: z.boolean(),
  before: time,
  receipts: count,
  first: ulid.nullable(),
  last: ulid.nullable(),
  records: z.array(z.int().min(1)),
});

export const keysList = z.strictObject({
  schema: z.literal('ax.keys.list/1'),
  keys: z.array(
    z.strictObject({
      kid,
      role: z.enum(['signing', 'approval', 'host', 'receipt', 'recipient']),
      algorithm: z.enum(['Ed25519', 'HS256', 'A256KW', 'X25519']),
      state: z.enum(['active', 'retired', 'revoked']),
      createdAt: time,
      expiresAt: time.nullable(),
      ageDays: count,
      dueAt: time,
      receipts: count,
      private: z.boolean(),
      protected: z.boolean(),
      revokedAt: time.nullable(),
      revokedReason: z.string().nullable(),
    }),
  ),
});

export const keysImport = z.strictObject({
  schema: z.literal('ax.keys.import/1'),
  kid,
  role: z.enum(['signing', 'recipient', 'host']),
  algorithm: z.enum(['Ed25519', 'X25519']),
  private: z.boolean(),
  state: z.enum(['made', 'kept']),
});

/** Of the receipt key. */
export const keysRotate = z.strictObject({
  schema: z.literal('ax.keys.rotate/1'),
  role: z.literal('receipt'),
  kid,
  kind: z.enum(['rewrap', 'reencrypt']),
  rewrapped: count,
  reencrypted: count,
  leftOut: z.array(kid),
  resumed: z.boolean(),
});

export const keysRemove = z.strictObject({
  schema: z.literal('ax.keys.remove/1'),
  kid,
  role: z.enum(['receipt', 'recipient']),
  stores: z.array(z.string()),
  forgotten: z.array(z.string()),
});

export const keysRevoke = z.strictObject({
  schema: z.literal('ax.keys.revoke/1'),
  kid,
  role: z.enum(['signing', 'approval', 'host', 'receipt', 'recipient']),
  revokedAt: time,
  reason: z.string().nullable(),
  state: z.enum(['made', 'kept']),
});

export const keysProtect = z.strictObject({
  schema: z.literal('ax.keys.protect/1'),
  protected: z.boolean(),
  keys: count,
});

export const runsList = z.strictObject({
  schema: z.literal('ax.runs/1'),
  runs: z.array(
    z.strictObject({
      runId: ulid,
      task: text,
      project: text,
      state,
      outcome: outcome.nullable(),
      exitCode: exitCode.nullable(),
      attempt: z.int().min(1),
      actor: z.strictObject({ uid: z.int(), name: text }),
      startedAt: time,
      supervisorAlive: z.boolean(),
    }),
  ),
});

export const approveShape = z.strictObject({
  schema: z.literal('ax.approve/1'),
  file: z.string().regex(/^\//),
  id: ulid,
  project: text,
  task: text,
  manifestDigest: sha256,
  inputsSha256: sha256,
  kid,
  expiresAt: time,
});

/** `ax cancel`: what was asked for was done, or why not yet, or why never. */
export const cancelShape = z.discriminatedUnion('outcome', [
  z.strictObject({ schema: z.literal('ax.cancel/1'), outcome: z.literal('canceled'), runId: ulid }),
  z.strictObject({
    schema: z.literal('ax.cancel/1'),
    outcome: z.literal('confirmation-required'),
    token: text,
    error: failure,
  }),
  z.strictObject({
    schema: z.literal('ax.cancel/1'),
    outcome: z.literal('rate-limited'),
    retryAfterSeconds: z.int().min(1).max(60),
    error: failure,
  }),
  z.strictObject({ schema: z.literal('ax.cancel/1'), outcome: z.literal('not-running'), error: failure }),
]);

export type RunLine = z.infer<typeof runLine>;

/** The one document of a command that prints one. */
export function document<T>(shape: z.ZodType<T>, stdout: string): T {
  expectLines(stdout, 1);
  return shape.parse(JSON.parse(stdout));
}

/** The lines of `ax run --json`. */
export function stream(stdout: string): RunLine[] {
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => runLine.parse(JSON.parse(line)));
}

/** The last line of `ax run --json`. */
export function result(stdout: string): z.infer<typeof runResult> {
  return runResult.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
}

function expectLines(text: string, count: number): void {
  const found = text.split('\n').length - 1;
  if (!text.endsWith('\n') || found !== count) throw new Error(`expected ${count} line(s), found ${found}`);
}
