import { join } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { describeChanges } from '../manifest/changes.ts';
import { compile } from '../manifest/compile.ts';
import { parsePayload } from '../manifest/payload.ts';
import type { Manifest } from '../manifest/schema.ts';
import { parseSource } from '../manifest/source.ts';
import { withoutExpiry } from '../manifest/trust.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import { MANIFEST_PAYLOAD_TYPE, readEnvelope, verifyManifest } from '../manifest/verify.ts';
import { visible } from '../output/escape.ts';
import { canonicalJson } from '../security/canonical.ts';
import { sha256Hex } from '../security/digest.ts';
import type { Envelope } from '../security/dsse.ts';
import { addSignatureOf, serializeEnvelope, unsignedEnvelope } from '../security/dsse-sign.ts';
import type { Signer } from '../security/signer.ts';
import { appendAudit } from '../store/audit.ts';
import { readFileIfPresent, writeFileAtomic } from '../store/files.ts';
import { highestVersionSeen } from '../store/versions.ts';
import { trustOwnKey } from './init.ts';
import { readRevocations } from './keys-access.ts';
import { type Lock, readLock } from './lock.ts';
import { requireYes } from './require-yes.ts';
import { type GlobalOptions, openSession, requireRoot, type Session, withStore } from './session.ts';
import { findSigner } from './signing-key.ts';

export interface SignOptions extends GlobalOptions {
  readonly add?: boolean;
  readonly key?: string;
  readonly yes?: boolean;
}

/** `ax sign`: `ax.yaml` becomes `ax.lock`, or with `--add` the lock gets one more signature. */
export async function sign(context: Context, options: SignOptions): Promise<number> {
  const session = await openSession(context, options);
  const signer = await findSigner(session, options.key);
  // Before anything is written: trust that cannot be read refuses, and leaves no trace.
  loadTrust(context, session.home);
  return options.add === true ? coSign(session, signer, options) : signAnew(session, signer, options);
}

async function signAnew(session: Session, signer: Signer, options: SignOptions): Promise<number> {
  const { context, output, home } = session;
  const root = requireRoot(session);
  const sourceBytes = readFileIfPresent(join(root, 'ax.yaml'));
  if (sourceBytes === null) {
    throw new AxError('MANIFEST_MISSING', `no ax.yaml in ${root}`, { hint: 'ax init' });
  }
  const source = parseSource(sourceBytes, 'ax.yaml');
  const previous = readPrevious(session, root);
  const manifest = compile({
    source,
    sourceBytes,
    roots: { root, searchPath: context.env.PATH ?? '' },
    version: Math.max(previous.version, highestVersionSeen(home.versionsDir, source.project)) + 1,
    now: context.now(),
  });
  const changes = previous.manifest === null ? [] : describeChanges(previous.manifest, manifest);
  if (previous.exists) {
    for (const change of previous.manifest === null ? [previous.problem] : changes)
      output.note(visible(change));
    if (previous.manifest !== null && changes.length === 0)
      output.note('nothing changed but version and dates');
    await requireYes(session, {
      text: `Sign version ${manifest.version} of ${manifest.project}?`,
      yes: options.yes === true,
      hint: 'ax sign --yes',
    });
  }
  const { kid } = signer.key;
  const unsigned = unsignedEnvelope(MANIFEST_PAYLOAD_TYPE, Buffer.from(canonicalJson(manifest)));
  const envelope = await addSignatureOf(unsigned, signer);
  await writeLock(session, root, envelope, manifest, kid);
  const trusted = await trustOwnKey(session, manifest.project);
  if (trusted)
    output.note(`trusting ${kid} for ${manifest.project} on this machine: it is the first to sign it`);
  return report(session, root, envelope, manifest, changes);
}

async function coSign(session: Session, signer: Signer, options: SignOptions): Promise<number> {
  const { output } = session;
  const { kid } = signer.key;
  const lock = readLock(session);
  const envelope = readEnvelope(lock.bytes).value;
  const manifest = parsePayload(envelope.payload);
  output.note(
    `version ${manifest.version} of ${visible(manifest.project)}, valid until ${manifest.expiresAt}`,
  );
  for (const [name, task] of Object.entries(manifest.tasks)) {
    output.note(`  ${visible(name)}: ${visible(task.shell ?? (task.run ?? []).join(' '))}`);
  }
  await requireYes(session, {
    text: `Add your signature with ${kid}?`,
    yes: options.yes === true,
    hint: 'ax sign --add --yes',
  });
  const extended = await addSignatureOf(envelope, signer);
  await writeLock(session, lock.root, extended, manifest, kid);
  return report(session, lock.root, extended, manifest, []);
}

interface Previous {
  readonly exists: boolean;
  readonly manifest: Manifest | null;
  readonly version: number;
  readonly problem: string;
}

/** The signed version that this one follows, as far as it can be believed. */
function readPrevious({ context, home }: Session, root: string): Previous {
  const bytes = readFileIfPresent(join(root, 'ax.lock'));
  if (bytes === null) return { exists: false, manifest: null, version: 0, problem: '' };
  // Expiry is a reason to sign again, and so is a revoked or expired key; for a comparison, and for the version that is to be
  // exceeded, it takes trusted signatures and nothing else.
  const verification = verifyManifest(bytes, {
    trust: withoutExpiry(loadTrust(context, home)),
    revoked: new Map(),
    now: context.now(),
    highestVersionSeen: () => 0,
  });
  const manifest = verification.ok ? verification.verified.manifest : verification.manifest;
  if (manifest !== null) return { exists: true, manifest, version: manifest.version, problem: '' };
  const reason = verification.ok ? '' : verification.error.message;
  const problem = `the ax.lock that is here cannot be compared: ${reason}`;
  return { exists: true, manifest: null, version: 0, problem };
}

async function writeLock(
  session: Session,
  root: string,
  envelope: Envelope,
  manifest: Manifest,
  kid: string,
): Promise<void> {
  const { context } = session;
  await withStore(session, (database) =>
    database.write(() => {
      appendAudit(database, context.now(), {
        type: 'manifest.sign',
        runId: null,
        actor: context.actor,
        data: {
          project: manifest.project,
          version: manifest.version,
          digest: sha256Hex(envelope.payload),
          kid,
        },
      });
      writeFileAtomic(join(root, 'ax.lock'), serializeEnvelope(envelope), 0o644);
    }),
  );
}

/** Says what was signed, and whether it is enough to run. */
function report(
  session: Session,
  root: string,
  envelope: Envelope,
  manifest: Manifest,
  changes: readonly string[],
): number {
  const { context, output, home } = session;
  const lock: Lock = { root, bytes: Buffer.from(serializeEnvelope(envelope)) };
  const verification = verifyManifest(lock.bytes, {
    trust: loadTrust(context, home),
    revoked: readRevocations(session),
    now: context.now(),
    highestVersionSeen: () => 0,
  });
  const tasks = Object.keys(manifest.tasks);
  output.line(
    `${output.style.green('signed')}  ${manifest.project} version ${manifest.version}: ${tasks.length} task(s), ` +
      `${manifest.dependencies.length} dependency digest(s), valid until ${manifest.expiresAt.slice(0, 10)}`,
  );
  if (!verification.ok) output.warn(`not runnable here yet: ${verification.error.message}`);
  output.document({
    schema: 'ax.sign/1',
    project: manifest.project,
    version: manifest.version,
    digest: sha256Hex(envelope.payload),
    keyids: envelope.signatures.map((signature) => signature.keyid),
    changes,
    runnable: verification.ok,
  });
  return 0;
}
