import type { DependencyFinding } from '../manifest/dependencies.ts';
import type { RUNTIME_METADATA } from '../manifest/schema.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import type { JsonValue } from '../security/json.ts';
import type { StoredEvent } from '../store/events.ts';
import type { OutcomeName, Run } from '../store/runs.ts';
import type { ChildEnd } from './child.ts';
import type { Exit } from './executor.ts';
import type { GuardRecord } from './guards/gate.ts';
import type { Plan } from './plan.ts';
import { RUN_MARK } from './process-tree.ts';
import type { Artifact } from './products.ts';

export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const RECEIPT_PREDICATE_TYPE = 'urn:ax:receipt:v1';
/** What was imported from an older store: this host vouches for the import, not for what it says. */
export const LEGACY_PREDICATE_TYPE = 'urn:ax:legacy-receipt:v1';
export const IN_TOTO_PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** Everything a receipt tells. What did not happen is null. */
export interface ReceiptFacts {
  readonly receiptId: string;
  readonly run: Run;
  readonly outcome: OutcomeName;
  readonly exitCode: number;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly verified: VerifiedManifest | null;
  readonly plan: Plan | null;
  readonly before: readonly DependencyFinding[];
  readonly after: readonly DependencyFinding[];
  /** What each guard said when it was last asked in PREPARING, and what right before the start. */
  readonly guards: readonly GuardRecord[];
  readonly events: readonly StoredEvent[];
  readonly exit: Exit | null;
  readonly output: ChildEnd['output'] | null;
  readonly rollback:
    | (Omit<ChildEnd, 'output'> & { argv: readonly string[]; output: ChildEnd['output'] | null })
    | null;
  readonly materials: readonly Artifact[];
  readonly products: readonly Artifact[];
  readonly host: string;
  readonly startedAt: number;
  readonly finishedAt: number;
  /** Monotonic milliseconds from start to finish. */
  readonly durationMs: number;
  /** The last audit record when this was written. */
  readonly audit: { readonly seq: number; readonly hash: string };
}

/** The part of the facts that is found out while an attempt goes on. */
export type ExecutionFacts = Pick<
  ReceiptFacts,
  'before' | 'after' | 'guards' | 'materials' | 'products' | 'exit' | 'output' | 'rollback'
>;

/** Nothing was executed: what a refusal tells, and what an attempt starts from. */
export const NOTHING_EXECUTED: ExecutionFacts = {
  before: [],
  after: [],
  guards: [],
  materials: [],
  products: [],
  exit: null,
  output: null,
  rollback: null,
};

/** The in-toto Statement v1 of a receipt (spec: formats, "Receipts"). */
export function buildStatement(facts: ReceiptFacts): { [name: string]: JsonValue } {
  const subject: readonly Artifact[] =
    facts.products.length > 0
      ? facts.products
      : [{ name: 'ax.lock', digest: { sha256: facts.run.lockSha256 } }];
  const predicate = {
    receiptId: facts.receiptId,
    runId: facts.run.id,
    attempt: facts.run.attempt,
    project: facts.run.project,
    task: facts.run.task,
    outcome: facts.outcome,
    exitCode: facts.exitCode,
    error: facts.error,
    manifest: manifestOf(facts),
    command: commandOf(facts),
    dependencies: dependenciesOf(facts),
    materials: facts.materials,
    transitions: facts.events.map((event) => ({
      event: event.type,
      eventId: event.id,
      seq: event.seq,
      source: event.source,
      at: time(event.at),
      status: event.status,
      from: event.fromState,
      to: event.toState,
      reason: event.reason,
    })),
    guards: facts.guards,
    exit: facts.exit,
    output: facts.output,
    rollback: facts.rollback,
    sandbox: { applied: 'none' },
    actor: facts.run.actor,
    host: facts.host,
    traceId: facts.run.traceId,
    spanId: facts.run.spanId,
    parentSpanId: facts.run.parentSpanId,
    startedAt: time(facts.startedAt),
    finishedAt: time(facts.finishedAt),
    durationMs: facts.durationMs,
    audit: facts.audit,
  };
  // Through text and back: what is signed is plain data, with nothing behind it.
  return JSON.parse(
    JSON.stringify({ _type: STATEMENT_TYPE, subject, predicateType: RECEIPT_PREDICATE_TYPE, predicate }),
  ) as { [name: string]: JsonValue };
}

function manifestOf({ verified, run }: ReceiptFacts) {
  const { lockSha256, manifestDigest, manifestVersion } = run;
  // Of a manifest that was refused nothing is repeated but the digest of the file.
  if (manifestDigest === '') return { verified: false, lockSha256 };
  const digest = { sha256: manifestDigest };
  return { verified: true, lockSha256, digest, version: manifestVersion, keyids: verified?.keyids ?? null };
}

/** Names of variables, never values: what a task was given is evidence, what it said is not ours to keep. */
function commandOf({ plan, run }: ReceiptFacts) {
  if (plan === null) return null;
  return {
    argv: plan.argv,
    cwd: plan.task.cwd ?? '.',
    environment: [...Object.keys(plan.env), RUN_MARK].sort(),
    secrets: plan.secrets.map((secret) => secret.name),
    timeoutMs: plan.timeoutMs,
    metadata: { ...plan.task.metadata, ...runtimeMetadata(run) },
  };
}

/** What ax knows of the attempt, beside what was signed: no manifest can say these. */
function runtimeMetadata(run: Run): Record<(typeof RUNTIME_METADATA)[number], string | number> {
  return {
    taskId: run.task,
    manifestVersion: run.manifestVersion,
    attempt: run.attempt,
    retryCount: run.attempt - 1,
    requestedBy: run.actor.name,
  };
}

function dependenciesOf({ before, after }: ReceiptFacts) {
  const later = new Map(after.map((finding) => [`${finding.pinned.kind}:${finding.pinned.path}`, finding]));
  return before.map((finding) => {
    const { kind, path, sha256 } = finding.pinned;
    const afterwards = later.get(`${kind}:${path}`);
    return {
      kind,
      path,
      signed: { sha256 },
      found: finding.found === null ? null : { sha256: finding.found.sha256 },
      problem: finding.problem,
      after:
        afterwards === undefined
          ? null
          : { problem: afterwards.problem, touched: afterwards.identity !== finding.identity },
    };
  });
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
