import type { Context } from '../context.ts';
import { AxError, type ErrorCode, exitCodeOf } from '../errors.ts';
import { visible } from '../output/escape.ts';
import { createSteps, type Steps } from '../output/steps.ts';
import type { Standing } from '../runtime/receipt-standing.ts';
import {
  checkOutputs,
  createDigests,
  type DigestAt,
  type OutputState,
  outputsOf,
} from '../runtime/verify-outputs.ts';
import { VERDICTS, type Verdict, type VerifyingKeys, verifyStored } from '../runtime/verify-receipt.ts';
import { verifyReceipts } from '../runtime/verify-receipts.ts';
import type { JsonValue } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import { parseVerificationKey } from '../security/signing-keys.ts';
import { appendAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import type { Keyring } from '../store/keyring.ts';
import { findMissing } from '../store/missing-receipts.ts';
import { openingIdentities } from '../store/receipt-keys.ts';
import { findReceipt } from '../store/receipts.ts';
import { readKeyring, unlockKeyring } from './keys-access.ts';
import { parseMoment } from './moment.ts';
import { recordRead } from './receipts.ts';
import { type GlobalOptions, openSession, type Session, withStore } from './session.ts';

export interface VerifyOptions extends GlobalOptions {
  readonly all?: boolean;
  readonly since?: string;
  readonly offline?: boolean;
}

/** `ax receipts verify [id]`: one, or with --all or --since many. */
export async function verifyCommand(
  context: Context,
  id: string | undefined,
  options: VerifyOptions,
): Promise<number> {
  const session = await openSession(context, options);
  await unlockKeyring(session);
  const since = parseMoment(options.since, '--since', context.now());
  const many = options.all === true || since !== undefined;
  if (id !== undefined && !many) return verifyOne(session, id, options);
  if (id === undefined && many) return verifyMany(session, since, options);
  throw new AxError('USAGE', 'expected either the id of a receipt, or --all or --since', {
    hint: 'ax receipts verify --all',
  });
}

async function verifyOne(session: Session, id: string, options: VerifyOptions): Promise<number> {
  const { output, context } = session;
  const { receipt, keyid, standing, statement } = await withStore(session, (database) => {
    const found = findReceipt(database, id.toUpperCase());
    const verified = verifyStored(database, found, verifyingKeys(session, context));
    recordRead(session, database, found, 'verify');
    return { receipt: found, ...verified };
  });
  const digestOf = digestsOf(session, options);
  const outputs = digestOf === null ? null : checkOutputs(outputsOf(statement), digestOf);
  const outcome = isObject(statement.predicate) ? String(statement.predicate.outcome) : 'unknown';
  output.line(
    `${output.style.green('ok')}  receipt ${receipt.id}: seal, signature, row and audit position hold; signed by ${keyid}${STANDING[standing]}`,
  );
  output.line(`    run ${receipt.runId} of ${visible(receipt.task)}: ${outcome}`);
  for (const { name, state } of outputs ?? []) output.line(`    output ${visible(name)}: ${WORDS[state]}`);
  output.document({
    schema: 'ax.receipts.verify/1',
    ok: true,
    id: receipt.id,
    runId: receipt.runId,
    keyid,
    outcome,
    standing,
    verdict: 'valid',
    outputs: outputs?.map(({ name, state }) => ({ name, state })) ?? null,
  });
  return 0;
}

const STANDING: Readonly<Record<Standing, string>> = {
  current: '',
  superseded: ', superseded since and valid then',
  'revoked-later': ', revoked since and valid then',
};

const WORDS: Readonly<Record<OutputState, string>> = {
  same: 'as it was',
  changed: 'changed since',
  'not-there': 'not there',
};

/** Receipts from one sign of progress to the next. */
const STEP = 500;
/** What is wrong with more of them than this is counted, and no longer listed. */
const MOST_PROBLEMS = 100;

interface Problem {
  readonly id: string;
  readonly verdict: Verdict;
  readonly message: string;
}

interface Tally {
  readonly verdicts: Record<Verdict, number>;
  readonly outputs: Record<OutputState, number>;
  readonly problems: Problem[];
}

async function verifyMany(
  session: Session,
  since: number | undefined,
  options: VerifyOptions,
): Promise<number> {
  const { output, context } = session;
  const steps = await createSteps(context, output);
  const digestOf = digestsOf(session, options);
  const tally = await withStore(session, async (database) => {
    const keys = verifyingKeys(session, context);
    recordReadOfMany(session, database, since);
    const tally = await tallyOf(database, { keys, since, digestOf, steps });
    findMissing(database, since, (missing) => count(tally, { ...missing, verdict: 'missing' }));
    return tally;
  });
  steps.done();
  report(session, tally, digestOf !== null);
  const code = CODES.find(([verdict]) => tally.verdicts[verdict] > 0)?.[1];
  return code === undefined ? 0 : exitCodeOf(code);
}

/** What a store with several kinds of receipts that did not verify comes to: the gravest of them. */
const CODES: readonly (readonly [Verdict, ErrorCode])[] = [
  ['tampered', 'RECEIPT_TAMPERED'],
  ['missing', 'RECEIPT_MISSING'],
  ['revoked', 'KEY_REVOKED'],
  ['expired', 'KEY_EXPIRED'],
  ['untrusted', 'SIGNATURE_UNTRUSTED'],
  ['unreadable', 'KEY_UNKNOWN'],
];

interface Going {
  readonly keys: VerifyingKeys;
  readonly since: number | undefined;
  readonly digestOf: DigestAt | null;
  readonly steps: Steps;
}

async function tallyOf(database: Database, { keys, since, digestOf, steps }: Going): Promise<Tally> {
  const tally: Tally = {
    verdicts: { valid: 0, tampered: 0, revoked: 0, expired: 0, untrusted: 0, unreadable: 0, missing: 0 },
    outputs: { same: 0, changed: 0, 'not-there': 0 },
    problems: [],
  };
  let done = 0;
  for await (const one of verifyReceipts(database, { since }, keys)) {
    if (one.verdict !== 'valid') {
      count(tally, { id: one.id, verdict: one.verdict, message: one.error.message });
    } else {
      tally.verdicts.valid++;
      const outputs = digestOf === null ? [] : checkOutputs(one.outputs, digestOf);
      for (const { state } of outputs) tally.outputs[state]++;
    }
    done++;
    if (done % STEP === 0) steps.update(`verified ${done} receipts`);
  }
  return tally;
}

function count({ verdicts, problems }: Tally, problem: Problem): void {
  verdicts[problem.verdict]++;
  if (problems.length < MOST_PROBLEMS) problems.push(problem);
}

function report({ output, context }: Session, { verdicts, outputs, problems }: Tally, online: boolean): void {
  const { style } = output;
  const checked = VERDICTS.reduce((sum, verdict) => sum + verdicts[verdict], 0);
  const bad = checked - verdicts.valid;
  for (const { id, verdict, message } of problems) {
    output.line(`${style.red(verdict.padEnd(10))}  ${visible(id)}  ${visible(message)}`);
  }
  if (bad > problems.length) output.line(`and ${bad - problems.length} more`);
  output.line(
    `${bad === 0 ? style.green('ok') : style.red('failed')}  ${checked} receipt(s): ` +
      VERDICTS.map((verdict) => `${verdicts[verdict]} ${verdict}`).join(', '),
  );
  if (online) {
    output.line(
      `    outputs of the valid ones: ${outputs.same} as they were, ${outputs.changed} changed since, ` +
        `${outputs['not-there']} not there`,
    );
  }
  output.document({
    schema: 'ax.receipts.verify.all/1',
    ok: bad === 0,
    checked,
    verdicts,
    outputs: online ? { same: outputs.same, changed: outputs.changed, notThere: outputs['not-there'] } : null,
    problems,
    problemsOmitted: bad - problems.length,
  });
  if (bad > 0 && !output.json) context.stderr.write(`ax: ${bad} of ${checked} receipts did not verify\n`);
}

/** Null with --offline, and outside any project, where there is nothing to hold outputs against. */
function digestsOf({ root }: Session, { offline }: VerifyOptions): DigestAt | null {
  return offline === true || root === null ? null : createDigests(root);
}

function verifyingKeys(session: Session, context: Context): VerifyingKeys {
  const keyring = readKeyring(session);
  const hosts = keyring.filter(({ role }) => role === 'host');
  return {
    identities: openingIdentities(context, keyring),
    hosts: hostKeys(hosts),
    keyring: hosts,
    now: context.now(),
  };
}

/** Of this machine and of others; without any, no receipt is by somebody known. */
function hostKeys(hosts: Keyring) {
  return hosts.map((entry) => parseVerificationKey(entry.publicJwk, entry.kid));
}

/** One record for all, before the first is read: killed in between, what was read is on record too. */
function recordReadOfMany({ context }: Session, database: Database, since: number | undefined): void {
  const data: Record<string, JsonValue> = {
    receiptId: null,
    how: 'verify',
    since: since === undefined ? null : new Date(since).toISOString(),
  };
  database.write(() =>
    appendAudit(database, context.now(), { type: 'receipt.read', runId: null, actor: context.actor, data }),
  );
}
