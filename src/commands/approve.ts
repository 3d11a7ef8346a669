import { resolve } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { APPROVAL_PAYLOAD_TYPE, signApproval } from '../manifest/approval.ts';
import { visible } from '../output/escape.ts';
import { confirm } from '../output/prompt.ts';
import { hydratePlan } from '../runtime/plan.ts';
import { serializeEnvelope } from '../security/dsse-sign.ts';
import { parseDuration } from '../security/duration.ts';
import { createUlid } from '../security/ulid.ts';
import { writeFileAtomic } from '../store/files.ts';
import { readKeyring } from './keys-access.ts';
import { DRIFT, hasDrifted, readLock, requireVerified } from './lock.ts';
import { parseRequest, type RunOptions } from './run-request.ts';
import { openSession } from './session.ts';
import { findSigningKey } from './signing-key.ts';

export interface ApproveOptions extends RunOptions {
  readonly key?: string;
  readonly expires?: string;
  readonly out?: string;
  readonly yes?: boolean;
}

const DEFAULT_VALIDITY = '24h';

/** `ax approve`: signs one task of the manifest that is here, with the inputs it is to be run with. */
export async function approve(
  context: Context,
  { task, args }: { task: string; args: readonly string[] },
  options: ApproveOptions,
): Promise<number> {
  const session = await openSession(context, options);
  const { output } = session;
  const request = parseRequest([task], args, options);
  const validMs = parseDuration(options.expires ?? DEFAULT_VALIDITY);
  if (validMs === undefined) {
    throw new AxError('USAGE', `--expires: expected a duration, found "${options.expires}"`, {
      hint: '--expires 24h',
    });
  }
  const lock = readLock(session);
  const verified = await requireVerified(session, lock);
  if (hasDrifted(lock, verified.manifest)) output.warn(DRIFT);
  const { project, version } = verified.manifest;
  const environment = { ...context.env, ...placeholders(verified.manifest.tasks[task]?.secrets ?? []) };
  const plan = hydratePlan(verified, { ...request, taskId: task }, { root: lock.root, environment });
  output.note(`${project} version ${version}, task ${visible(task)}:`);
  output.note(`  ${plan.argv.map((word) => visible(JSON.stringify(word))).join(' ')}`);
  if (options.yes !== true) {
    const agreed = context.interactive && !output.json && (await confirm(context, 'Approve it?'));
    if (!agreed) {
      throw new AxError('CONFIRMATION_REQUIRED', 'nothing was approved: it takes a yes', {
        hint: `ax approve ${task} --yes`,
      });
    }
  }
  const id = createUlid(context.now(), context.randomBytes);
  const key = findSigningKey(readKeyring(session), options.key);
  const envelope = signApproval(
    { project, manifestDigest: verified.digest, task, inputsSha256: plan.inputsSha256 },
    { id, key, now: context.now(), validMs },
  );
  const file = options.out ?? `${task.replaceAll(':', '-')}.${id}.approval.json`;
  writeFileAtomic(resolve(context.cwd, file), serializeEnvelope(envelope), 0o644);
  output.line(
    `${output.style.green('approved')}  ${file}, by ${key.kid}, for ${options.expires ?? DEFAULT_VALIDITY}`,
  );
  output.document({
    schema: 'ax.approve/1',
    file,
    id,
    kid: key.kid,
    payloadType: APPROVAL_PAYLOAD_TYPE,
    task,
    expiresAt: new Date(context.now() + validMs).toISOString(),
  });
  return 0;
}

/** An approver need not hold the secrets of the task that is approved; none of them is part of what is signed. */
function placeholders(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, 'not needed to approve']));
}
