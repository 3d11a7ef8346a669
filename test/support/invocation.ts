import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Context, createContext } from '../../src/context.ts';
import { loadTrust } from '../../src/manifest/trust-file.ts';
import { verifyManifest } from '../../src/manifest/verify.ts';
import { startAttempt } from '../../src/runtime/attempt.ts';
import type { AttemptResult, Invocation, Report } from '../../src/runtime/invocation.ts';
import { createIsolate } from '../../src/runtime/isolate/isolate.ts';
import { completePlan, type Plan } from '../../src/runtime/plan.ts';
import { ownIdentity } from '../../src/runtime/supervisor-identity.ts';
import { beginTrace } from '../../src/runtime/trace.ts';
import { parseReceiptKey } from '../../src/security/encryption-keys.ts';
import { parseSigningKey } from '../../src/security/signing-keys.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { resolveHome } from '../../src/store/home.ts';
import { loadKeyring, requireKey } from '../../src/store/keyring.ts';
import { submissionKey, submissionKeys } from '../../src/store/submissions.ts';
import type { Rig } from './rig.ts';

/** The real parts of an `ax run`, in this process, so that a test can stand between two of its steps. */
export interface InProcess {
  readonly context: Context;
  readonly database: Database;
  readonly invocation: Invocation;
  plan(taskId: string, inputs?: Readonly<Record<string, string>>): Promise<Plan>;
  /** Runs one attempt; nobody waits for guards that defer. */
  attempt(plan: Plan): Promise<AttemptResult>;
}

/**
 * @param changes a clock, for instance
 * @param report is called between a transition and what follows from it
 */
export function inProcess(
  rig: Rig,
  { changes = {}, report = () => {} }: { changes?: Partial<Context>; report?: (report: Report) => void } = {},
): InProcess {
  const context: Context = { ...createContext(), cwd: rig.project, env: rig.env, ...changes };
  const home = resolveHome(context, rig.home);
  const database = openDatabase(join(rig.project, '.ax'), context.actor.uid);
  const isolate = createIsolate();
  onTestFinished(async () => {
    await isolate.close();
    database.close();
  });
  const verification = verifyManifest(readFileSync(join(rig.project, 'ax.lock')), {
    trust: loadTrust(context, home),
    revoked: new Map(),
    now: context.now(),
    highestVersionSeen: () => 0,
  });
  if (!verification.ok) throw verification.error;
  const { verified } = verification;
  const keyring = loadKeyring(home.keysDir, context.actor.uid);
  const [host, receipt] = [requireKey(keyring, 'host'), requireKey(keyring, 'receipt')];
  const hostKey = parseSigningKey(host.jwk, host.kid);
  const roots = { root: rig.project, searchPath: rig.env.PATH ?? '' };
  const invocation: Invocation = {
    context,
    database,
    verified,
    roots,
    keys: { host: hostKey, recipients: [parseReceiptKey(receipt.jwk, receipt.kid)] },
    trace: beginTrace(context.randomBytes),
    supervisor: ownIdentity(context),
    channel: null,
    guarding: {
      isolate,
      storeDir: join(rig.project, '.ax'),
      keys: [],
      approvals: () => [],
      submissionKey: () => submissionKey(hostKey),
      submissionKeys: () => submissionKeys(keyring),
    },
    report: (told) => {
      report(told);
      return undefined;
    },
  };
  return {
    context,
    database,
    invocation,
    async plan(taskId, inputs = {}) {
      const [draft] = await isolate.hydrate({
        payload: verified.payload,
        tasks: [{ taskId, args: [] }],
        inputs: new Map(Object.entries(inputs)),
        timeoutMs: undefined,
      });
      if (draft === undefined) throw new Error('expected a draft');
      return completePlan(verified, { draft, args: [] }, { root: rig.project, environment: rig.env });
    },
    attempt: (plan) =>
      startAttempt(invocation, {
        plan,
        checked: [],
        retryOf: null,
        needsMet: () => true,
        turns: { take: async () => true, release: async () => 'alone' },
        waitMs: null,
      }).result,
  };
}
