import { join } from 'node:path';
import { AxError, isAxError } from '../errors.ts';
import { readIntroduction } from '../manifest/first-contact.ts';
import type { Manifest } from '../manifest/schema.ts';
import type { Trust } from '../manifest/trust.ts';
import { loadTrust, saveTrust } from '../manifest/trust-file.ts';
import { type Verification, type VerifiedManifest, verifyManifest } from '../manifest/verify.ts';
import { visible } from '../output/escape.ts';
import { confirm } from '../output/prompt.ts';
import { sha256Hex } from '../security/digest.ts';
import { appendAudit } from '../store/audit.ts';
import { readFileIfPresent } from '../store/files.ts';
import { highestVersionSeen, rememberVersion } from '../store/versions.ts';
import { endOfKey, readRevocations } from './keys-access.ts';
import { requireRoot, type Session, withStore } from './session.ts';

/** The lock file's bytes, read once: what is verified is what is used. */
export interface Lock {
  readonly root: string;
  readonly bytes: Buffer;
}

/** @throws MANIFEST_MISSING, LOCK_MISSING, IO */
export function readLock(session: Session): Lock {
  const root = requireRoot(session);
  const bytes = readFileIfPresent(join(root, 'ax.lock'));
  if (bytes === null) {
    throw new AxError('LOCK_MISSING', `no ax.lock in ${root}: nothing is signed here`, {
      hint: 'run ax sign',
    });
  }
  return { root, bytes };
}

/**
 * Verifies a lock file against this machine's trust, and remembers its version when it holds.
 *
 * First contact: signed by a key that nobody here has trusted for the project it names, and no other key is
 * trusted for it either. On a terminal the user is shown fingerprint, project and tasks, and asked; anywhere
 * else it is refused with the command that would trust it.
 *
 * @throws TRUST_MALFORMED, KEY_PERMISSIONS, IO
 */
export async function verifyLock(session: Session, lock: Lock): Promise<Verification> {
  const trust = loadTrust(session.context, session.home);
  let verification = verifyAgainst(session, lock, trust);
  if (!verification.ok && verification.error.code === 'SIGNATURE_UNTRUSTED') {
    const introduced = await introduce(session, lock, trust);
    if (introduced === null) return verification;
    if (introduced instanceof AxError) return refuseWith(verification, introduced);
    verification = verifyAgainst(session, lock, introduced);
  }
  if (verification.ok) remember(session, verification.verified);
  return verification;
}

function verifyAgainst(session: Session, { bytes }: Lock, trust: Trust): Verification {
  const { context, home } = session;
  return verifyManifest(bytes, {
    trust,
    revoked: readRevocations(session),
    now: context.now(),
    highestVersionSeen: (project) => highestVersionSeen(home.versionsDir, project),
  });
}

function remember({ context, home }: Session, { manifest }: VerifiedManifest): void {
  const { project, version } = manifest;
  rememberVersion(home.versionsDir, { project, version, uid: context.actor.uid });
}

/** @returns the new trust, the refusal to show instead, or null when the refusal stands as it is */
async function introduce(session: Session, lock: Lock, trust: Trust): Promise<Trust | AxError | null> {
  const introduction = readIntroduction(lock.bytes);
  if (introduction === null) return null;
  const { claimed, keys } = introduction;
  const [key] = keys;
  const known = trust.get(claimed.project)?.keys ?? [];
  // Signed by a trusted key, only not by enough of them: what the refusal says already is what is wrong.
  if (key === undefined || keys.some(({ kid }) => known.some((trusted) => trusted.kid === kid))) return null;
  const ended = endOfKey(session, key);
  if (ended !== null) return ended;
  const command = `ax trust add ${claimed.project} --key ${key.kid}`;
  // A project that has trusted keys is not met for the first time: another key there is a change, not a start.
  if (trust.has(claimed.project)) {
    return new AxError(
      'SIGNATURE_UNTRUSTED',
      `ax.lock: signed for ${claimed.project} by ${key.kid}, which is not one of its trusted keys`,
      { hint: `find out whose key that is; if it may sign for ${claimed.project}: ${command}` },
    );
  }
  if (!session.context.interactive || session.output.json || session.context.env.AX_TRUST !== undefined) {
    return new AxError(
      'SIGNATURE_UNTRUSTED',
      `ax.lock: signed for ${claimed.project} by ${key.kid}, which nobody here trusts yet`,
      { hint: `compare the fingerprint with its owner, then: ${command}` },
    );
  }
  const { output } = session;
  output.note('This project is new to this machine. Its manifest says:');
  output.note(`  project      ${visible(claimed.project)}`);
  output.note(`  fingerprint  ${key.kid}`);
  for (const [name, task] of Object.entries(claimed.tasks)) {
    const does = task.shell ?? (task.run ?? []).join(' ');
    output.note(`  task         ${visible(name)}: ${visible(does)}`);
  }
  if (
    !(await confirm(
      session.context,
      'Compare the fingerprint with its owner. Trust this key for this project?',
    ))
  ) {
    return null;
  }
  const extended = new Map(trust).set(claimed.project, {
    threshold: 1,
    keys: [key],
    approvers: [],
    minVersion: 1,
  });
  await trustWithRecord(session, extended, {
    change: 'add',
    project: claimed.project,
    kid: key.kid,
    threshold: 1,
  });
  return extended;
}

/** Saves trust, once its audit record is on disk: a crash may leave a record without a change, never the reverse. */
export async function trustWithRecord(
  session: Session,
  trust: Trust,
  data: { change: string; project: string; kid: string | null; threshold: number },
): Promise<void> {
  const { context, home } = session;
  await withStore(session, (database) =>
    database.write(() =>
      appendAudit(database, context.now(), { type: 'trust.change', runId: null, actor: context.actor, data }),
    ),
  );
  saveTrust(context, home, trust);
}

function refuseWith(verification: Verification, error: AxError): Verification {
  const checks = verification.checks.map((check) =>
    check.error?.code === error.code ? { ...check, detail: error.message, error } : check,
  );
  return { ok: false, checks, error, manifest: null };
}

/** The verified manifest. @throws whatever verification refuses with */
export async function requireVerified(session: Session, lock: Lock): Promise<VerifiedManifest> {
  const verification = await verifyLock(session, lock);
  if (verification.ok) return verification.verified;
  throw verification.error;
}

/** True when `ax.yaml` is no longer what was signed. A missing one is no drift: the lock is what runs. */
export function hasDrifted(lock: Lock, signed: Manifest): boolean {
  try {
    const source = readFileIfPresent(join(lock.root, 'ax.yaml'));
    return source !== null && sha256Hex(source) !== signed.source.sha256;
  } catch (error) {
    if (isAxError(error)) return true;
    throw error;
  }
}

export const DRIFT =
  'ax.yaml changed since it was signed; what runs is what was signed. To sign the change: ax sign';
