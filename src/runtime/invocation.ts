import type { Context } from '../context.ts';
import type { AxError } from '../errors.ts';
import type { DependencyRoots } from '../manifest/dependencies.ts';
import type { VerifiedManifest } from '../manifest/verify.ts';
import type { Database } from '../store/database.ts';
import type { CancelPolicy, OutcomeName, Supervisor } from '../store/runs.ts';
import type { LiveRun } from './dispatcher.ts';
import type { EventSource } from './events.ts';
import type { OutputStream } from './executor.ts';
import type { GuardSources } from './guards/collect.ts';
import type { EvidenceKeys } from './receipt.ts';
import type { Trace } from './trace.ts';

/** What all attempts of one invocation share. */
export interface Invocation {
  readonly context: Context;
  readonly database: Database;
  readonly verified: VerifiedManifest;
  readonly keys: EvidenceKeys;
  readonly roots: DependencyRoots;
  readonly trace: Trace;
  readonly supervisor: Supervisor;
  readonly guarding: GuardSources;
  /** Path of the socket on which cancel requests arrive. */
  readonly channel: string | null;
  /** A promise is given for output that the reader has not taken yet. */
  readonly report: (report: Report) => Promise<void> | undefined;
}

/** What an attempt tells while it goes on. */
export type Report =
  | { readonly type: 'started'; readonly runId: string; readonly task: string; readonly title: string }
  | {
      readonly type: 'event';
      readonly runId: string;
      readonly task: string;
      readonly event: string;
      readonly fromState: string;
      readonly toState: string;
      readonly at: number;
    }
  | {
      readonly type: 'output';
      readonly runId: string;
      readonly task: string;
      readonly stream: OutputStream;
      /** Secrets are masked already. */
      readonly chunk: Buffer;
    }
  | {
      /** Its guards defer. */
      readonly type: 'waiting';
      readonly runId: string;
      readonly task: string;
      readonly reason: string;
      /** When they are asked again: wall clock, milliseconds. */
      readonly until: number;
    }
  | {
      readonly type: 'finished';
      readonly result: AttemptResult;
      /** Another attempt of the same run follows. */
      readonly goesOn: boolean;
    };

export interface AttemptResult {
  readonly runId: string;
  readonly task: string;
  readonly attempt: number;
  readonly outcome: OutcomeName;
  readonly exitCode: number;
  readonly receiptId: string;
  readonly durationMs: number;
  readonly error: AxError | null;
}

export interface CancelOrder {
  readonly requestedBy: string;
  readonly source: EventSource;
  /** 130 for Ctrl-C and `ax cancel`, 128 + n for another signal. */
  readonly exitCode: number;
}

export interface Attempt {
  readonly run: LiveRun;
  /** As it was signed. */
  readonly cancelPolicy: CancelPolicy;
  readonly result: Promise<AttemptResult>;
  /** Gives the CancelRequest to the machine; true when that is what ends the run. */
  cancel(order: CancelOrder): boolean;
  /** Ends the child at once and leaves the rollback out; for the second Ctrl-C. */
  force(): void;
}
