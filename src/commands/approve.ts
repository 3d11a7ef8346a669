import { resolve } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { requireApproverKey, signApproval } from '../manifest/approval.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import { readEnvelope, type VerifiedManifest } from '../manifest/verify.ts';
import { visible } from '../output/escape.ts';
import { serializeEnvelope } from '../security/dsse-sign.ts';
import { verifiedKeys } from '../security/dsse-verify.ts';
import { formatDuration, parseDuration } from '../security/duration.ts';
import type { SigningKey } from '../security/signing-keys.ts';
import { createUlid } from '../security/ulid.ts';
import { appendAudit } from '../store/audit.ts';
import { createFileAtomic, refuseExisting } from '../store/files.ts';
import { type Proposal, proposalFor } from './approve-subject.ts';
import { readKeyring, unlockKeyring } from './keys-access.ts';
import { DRIFT, hasDrifted, type Lock, readLock, requireVerified } from './lock.ts';
import { requireYes } from './require-yes.ts';
import { parseRequest } from './run-request.ts';
import { type GlobalOptions, openSession, type Session, withStore } from './session.ts';
import { findSigningKey } from './signing-key.ts';

export interface ApproveOptions extends GlobalOptions {
  readonly input?: readonly string[];
  readonly expires?: string;
  readonly key?: string;
  readonly output?: string;
  readonly yes?: boolean;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const MAX_EXPIRES_MS = 30 * DAY_MS;

/** `ax approve`: a signed approval of one task with its inputs, as a file. `args` is what stands after `--`. */
export async function approve(
  context: Context,
  { target, args }: { target: string; args: readonly string[] },
  options: ApproveOptions,
): Promise<number> {
  const session = await openSession(context, options);
  const { output } = session;
  const request = parseRequest([target], args, options);
  const validMs = parseExpires(options.expires);
  await unlockKeyring(session);
  const key = findSigningKey(readKeyring(session), options.key, context.now());
  requireApproverKey(key);
  const lock = readLock(session);
  const verified = await requireVerified(session, lock);
  if (hasDrifted(lock, verified.manifest)) output.warn(DRIFT);
  const proposal = await proposalFor(session, verified, { target, request });
  const { subject } = proposal;
  const name = options.output ?? `${subject.task}.${key.kid.slice(0, 8)}.approval.json`;
  const file = fileNamed(context, name);
  // Both times are those that are shown, however long the answer takes.
  const now = context.now();
  const expiresAt = new Date(now + validMs).toISOString();
  show(session, verified, proposal, [
    ['expires', `${expiresAt}, in ${formatDuration(validMs)}`],
    ['key', key.kid],
  ]);
  warnOf(session, { lock, key, proposal });
  await requireYes(session, {
    text: `Approve this with ${key.kid}?`,
    yes: options.yes === true,
    hint: 'look at what is approved, then the same command with --yes',
  });

  const id = createUlid(now, context.randomBytes);
  const content = serializeEnvelope(signApproval(subject, { id, key, now, validMs }));
  await withStore(session, (database) =>
    createFileAtomic(file, { content, mode: 0o644 }, () =>
      database.write(() =>
        appendAudit(database, context.now(), {
          type: 'approval.sign',
          runId: proposal.runId,
          actor: context.actor,
          data: { id, ...subject, kid: key.kid, expiresAt },
        }),
      ),
    ),
  );
  output.line(
    `${output.style.green('approved')}  ${subject.task} of ${subject.project} version ` +
      `${verified.manifest.version} until ${expiresAt}: ${visible(name)}`,
  );
  output.document({ schema: 'ax.approve/1', file, id, ...subject, kid: key.kid, expiresAt });
  return 0;
}

function parseExpires(text = '24h'): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms <= MAX_EXPIRES_MS) return ms;
  throw new AxError('USAGE', `--expires: expected a duration of at most 30d, found "${text.slice(0, 80)}"`, {
    hint: '--expires 2h, 24h or 7d',
  });
}

/** The file that will be made; asked for before anybody is asked to approve. */
function fileNamed(context: Context, name: string): string {
  if (name === '') {
    throw new AxError('USAGE', '--output: expected a file, found nothing', {
      hint: '--output deploy.approval.json',
    });
  }
  const file = resolve(context.cwd, name);
  refuseExisting(file);
  return file;
}

function show(
  { output }: Session,
  { manifest, digest }: VerifiedManifest,
  { subject, argv, inputs }: Proposal,
  rest: readonly (readonly [string, string])[],
): void {
  if (output.json) return;
  const lines: (readonly [string, string])[] = [
    ['project', `${manifest.project} version ${manifest.version}`],
    ['manifest', `sha256:${digest}`],
    ['task', subject.task],
    ['command', argv.map((word) => JSON.stringify(word)).join(' ')],
    ...Object.entries(inputs).map(
      ([name, value]) => ['input', `${name} = ${JSON.stringify(value)}`] as const,
    ),
    ...rest,
  ];
  output.note('To be approved:');
  for (const [name, value] of lines) output.note(`  ${name.padEnd(8)}  ${visible(value)}`);
}

/** What may keep the approval from counting. Whether it does is decided where the task is run. */
function warnOf(
  { context, home, output }: Session,
  { lock, key, proposal }: { lock: Lock; key: SigningKey; proposal: Proposal },
): void {
  const { project } = proposal.subject;
  const trusted = loadTrust(context, home).get(project)?.keys ?? [];
  if (!trusted.some(({ kid }) => kid === key.kid)) {
    output.warn(`${key.kid} is not trusted for ${project} here; it counts where it is trusted`);
  }
  if (verifiedKeys(readEnvelope(lock.bytes).value, [key]).length > 0) {
    output.warn(`${key.kid} also signed this manifest; where authors may not approve, it does not count`);
  }
}
