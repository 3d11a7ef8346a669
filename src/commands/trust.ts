import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { readIntroduction } from '../manifest/first-contact.ts';
import { projectName } from '../manifest/schema.ts';
import {
  approvalKeys,
  checkApprovers,
  checkKeys,
  type ProjectTrust,
  parseTrust,
  serializeTrust,
  type Trust,
} from '../manifest/trust.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import { confirm } from '../output/prompt.ts';
import { table } from '../output/table.ts';
import { decodeUtf8, parseJson } from '../security/json.ts';
import { isPrivatePem } from '../security/openssh-key.ts';
import { parseVerificationKey, type VerificationKey } from '../security/signing-keys.ts';
import { isSshPublicKeyText, parseSshPublicKey } from '../security/ssh-public-key.ts';
import type { KeyRole } from '../store/key-file.ts';
import { endOfKey, readKeyring, readRevocations, verificationKey } from './keys-access.ts';
import { readLock, trustWithRecord } from './lock.ts';
import { readNamedFile } from './named-file.ts';
import { type GlobalOptions, openSession, type Session } from './session.ts';

const SIGNERS: readonly KeyRole[] = ['signing', 'approval'];

export interface TrustAddOptions extends GlobalOptions {
  readonly key?: string;
  readonly threshold?: number;
  readonly minVersion?: number;
  readonly for?: 'manifests' | 'approvals';
}

/** `ax trust list`. */
export async function listCommand(context: Context, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  const trust = loadTrust(context, session.home);
  const revocations = readRevocations(session);
  const { output } = session;
  const shown = ({ kid, algorithm, expiresAt }: VerificationKey) => ({
    kid,
    algorithm,
    revoked: revocations.has(kid),
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
  });
  const projects = [...trust].map(([project, { threshold, keys, approvers, minVersion }]) => ({
    project,
    threshold,
    minVersion,
    keys: keys.map(shown),
    approvers: approvers.map(shown),
  }));
  const standing = ({ revoked, expiresAt }: { revoked: boolean; expiresAt: string | null }): string => {
    if (revoked) return ', revoked';
    if (expiresAt === null) return '';
    return context.now() < Date.parse(expiresAt) ? `, until ${expiresAt.slice(0, 10)}` : ', expired';
  };
  output.line(
    table(
      ['PROJECT', 'NEEDS', 'KEY', 'ALGORITHM'],
      projects.flatMap(({ project, threshold, keys, approvers }) =>
        [...keys, ...approvers].map((key, index) => [
          project,
          index < keys.length ? `${threshold} of ${keys.length}` : 'approvals',
          key.kid,
          `${key.algorithm}${standing(key)}`,
        ]),
      ),
      output.style,
    ),
  );
  output.document({ schema: 'ax.trust.list/1', projects });
  return 0;
}

/** `ax trust add <project> [file]`: a key from a file (a JWK, or a public key of OpenSSH), from the keyring, or from ax.lock by its fingerprint. */
export async function addCommand(
  context: Context,
  { project, file }: { project: string; file: string | undefined },
  options: TrustAddOptions,
): Promise<number> {
  const session = await openSession(context, options);
  requireProjectName(project);
  const key = findKey(session, file, options.key);
  requireInUse(session, [key]);
  const trust = loadTrust(context, session.home);
  const entry = trust.get(project);
  const others = (known: readonly VerificationKey[] = []) => known.filter(({ kid }) => kid !== key.kid);
  const approves = options.for === 'approvals';
  const changed: ProjectTrust = {
    threshold: options.threshold ?? entry?.threshold ?? 1,
    minVersion: options.minVersion ?? entry?.minVersion ?? 1,
    keys: [...others(entry?.keys), ...(approves ? [] : [key])],
    approvers: [...others(entry?.approvers), ...(approves ? [key] : [])],
  };
  if (changed.keys.length === 0) throw onlyApprovers(project);
  checkKeys(changed.keys, changed.threshold, `projects.${project}`);
  checkApprovers(changed.approvers, changed.keys, `projects.${project}`);
  return save(session, new Map(trust).set(project, changed), { change: 'add', project, kid: key.kid });
}

/** `ax trust remove <project> [kid]`: one key, or the whole project. */
export async function removeCommand(
  context: Context,
  { project, kid }: { project: string; kid: string | undefined },
  options: GlobalOptions,
): Promise<number> {
  const session = await openSession(context, options);
  const trust = loadTrust(context, session.home);
  const entry = trust.get(project);
  if (entry === undefined) throw unknownProject(project);
  const removed = kid === undefined ? undefined : oneKey(approvalKeys(entry), kid, project);
  const left = (known: readonly VerificationKey[]) =>
    known.filter((key) => removed !== undefined && key !== removed);
  const keys = left(entry.keys);
  const approvers = left(entry.approvers);
  const changed = new Map(trust);
  if (keys.length === 0 && approvers.length > 0) throw onlyApprovers(project);
  if (keys.length === 0) {
    changed.delete(project);
  } else {
    checkKeys(keys, entry.threshold, `projects.${project}`);
    changed.set(project, { ...entry, keys, approvers });
  }
  return save(session, changed, { change: 'remove', project, kid: removed?.kid ?? null });
}

/** Nobody could sign what they are to approve. */
function onlyApprovers(project: string): AxError {
  return new AxError('TRUST_REFUSED', `${project}: expected a key that signs its manifest beside approvers`, {
    hint: `ax trust add ${project} <key.jwk>, or leave it altogether: ax trust remove ${project}`,
  });
}

/** @throws KEY_REVOKED, KEY_EXPIRED: what counts no more is not trusted anew */
function requireInUse(session: Session, keys: readonly VerificationKey[]): void {
  for (const key of keys) {
    const ended = endOfKey(session, key);
    if (ended !== null) throw ended;
  }
}

function oneKey(keys: readonly VerificationKey[], kid: string, project: string): VerificationKey {
  const [key, second] = keys.filter((candidate) => candidate.kid.startsWith(kid));
  if (key !== undefined && second === undefined && kid !== '') return key;
  const found = key === undefined ? 'none' : 'several';
  throw new AxError(
    'KEY_UNKNOWN',
    `${project}: expected one trusted key that begins with "${kid}", found ${found}`,
    { hint: 'ax trust list' },
  );
}

/** `ax trust export [project]`: a trust file on stdout, for AX_TRUST or for another machine. */
export async function exportCommand(
  context: Context,
  project: string | undefined,
  options: GlobalOptions,
): Promise<number> {
  const session = await openSession(context, options);
  const trust = loadTrust(context, session.home);
  const entry = project === undefined ? undefined : trust.get(project);
  if (project !== undefined && entry === undefined) throw unknownProject(project);
  const exported = project === undefined || entry === undefined ? trust : new Map([[project, entry]]);
  const secret = [...exported].find(([, { keys }]) => keys.some((key) => key.algorithm === 'HS256'));
  if (secret !== undefined) {
    throw new AxError('TRUST_REFUSED', `${secret[0]} is trusted by a shared secret, which is not exported`, {
      hint: 'hand a shared secret over by a channel of your own, or sign with ed25519 keys',
    });
  }
  context.stdout.write(serializeTrust(exported));
  return 0;
}

/**
 * `ax trust import <file>`: adds projects that are not known here yet. One that is known is not replaced by a
 * file: whoever could bring a file would decide who is trusted.
 */
export async function importCommand(
  context: Context,
  file: string,
  options: GlobalOptions & { yes?: boolean },
): Promise<number> {
  const session = await openSession(context, options);
  const { output } = session;
  const imported = parseTrust(readNamedFile(context, file), file);
  const trust = loadTrust(context, session.home);
  const added: [string, ProjectTrust][] = [];
  for (const [project, entry] of imported) {
    const known = trust.get(project);
    if (known === undefined) added.push([project, entry]);
    else if (!sameTrust(known, entry)) {
      throw new AxError('TRUST_REFUSED', `${project}: other keys are trusted for it here already`, {
        hint: `change them one by one: ax trust add ${project} <key.jwk>, ax trust remove ${project} <kid>`,
      });
    }
  }
  for (const [, entry] of added) requireInUse(session, approvalKeys(entry));
  for (const [project, entry] of added) output.note(`${project}: ${describe(entry)}`);
  if (added.length > 0 && options.yes !== true) {
    const agreed = context.interactive && !output.json && (await confirm(context, 'Trust these keys?'));
    if (!agreed) {
      throw new AxError('CONFIRMATION_REQUIRED', 'nothing was imported: it takes a yes', {
        hint: `ax trust import ${file} --yes`,
      });
    }
  }
  let changed: Trust = trust;
  for (const [project, entry] of added) {
    changed = new Map(changed).set(project, entry);
    const { threshold } = entry;
    await trustWithRecord(session, changed, { change: 'import', project, kid: null, threshold });
  }
  output.line(`${output.style.green('imported')}  ${added.length} project(s)`);
  output.document({
    schema: 'ax.trust.change/1',
    change: 'import',
    projects: added.map(([project]) => project),
  });
  return 0;
}

function findKey(session: Session, file: string | undefined, kid: string | undefined): VerificationKey {
  if (file !== undefined) {
    const key = parsePublicKey(readNamedFile(session.context, file), file);
    if (kid === undefined || key.kid === kid) return key;
    throw new AxError('KEY_UNKNOWN', `${file}: expected the key ${kid}, found ${key.kid}`, {
      hint: 'this is not the key you compared; ask its owner again',
    });
  }
  if (kid === undefined) {
    throw new AxError('USAGE', 'expected a file with a public key, or --key with a fingerprint', {
      hint: 'ax trust add <project> <key.jwk>',
    });
  }
  const own = readKeyring(session).find((entry) => SIGNERS.includes(entry.role) && entry.kid === kid);
  if (own !== undefined) return verificationKey(own);
  const introduced = session.root === null ? null : readIntroduction(readLock(session).bytes);
  const brought = introduced?.keys.find((key) => key.kid === kid);
  if (brought !== undefined) return brought;
  throw new AxError('KEY_UNKNOWN', `no key ${kid} in the keyring, nor one that signed the ax.lock here`, {
    hint: 'give its file: ax trust add <project> <key.jwk>',
  });
}

/** A JWK, or a line of OpenSSH. */
function parsePublicKey(bytes: Buffer, file: string): VerificationKey {
  const text = bytes.toString('latin1');
  if (isSshPublicKeyText(text)) return parseSshPublicKey(text, file);
  if (isPrivatePem(text)) {
    throw new AxError('KEY_MALFORMED', `${file}: expected a public key, found a private one`, {
      hint: 'a private key never leaves its owner: ask for the file that ends in .pub',
    });
  }
  return parseVerificationKey(parseJson(decodeUtf8(bytes, file), file), file);
}

async function save(
  session: Session,
  trust: Trust,
  change: { change: string; project: string; kid: string | null },
): Promise<number> {
  const { output } = session;
  const entry = trust.get(change.project);
  await trustWithRecord(session, trust, { ...change, threshold: entry?.threshold ?? 0 });
  const now = entry === undefined ? 'nobody' : describe(entry);
  output.line(`${output.style.green('trusted')}  for ${change.project}: ${now}`);
  output.document({ schema: 'ax.trust.change/1', ...change, projects: [change.project] });
  return 0;
}

function describe({ threshold, keys, approvers }: ProjectTrust): string {
  const kids = (some: readonly VerificationKey[]) => some.map(({ kid }) => kid).join(', ');
  const besides = approvers.length === 0 ? '' : `; approvals also by ${kids(approvers)}`;
  return `${threshold} of ${kids(keys)}${besides}`;
}

function sameTrust(a: ProjectTrust, b: ProjectTrust): boolean {
  const one = (entry: ProjectTrust) => serializeTrust(new Map([['p', entry]]));
  return one(a) === one(b);
}

function requireProjectName(project: string): void {
  if (projectName.safeParse(project).success) return;
  throw new AxError('USAGE', `expected a project name such as acme/web, found "${project.slice(0, 80)}"`, {
    hint: 'it stands in ax.yaml under `project`',
  });
}

function unknownProject(project: string): AxError {
  return new AxError('PROJECT_UNKNOWN', `nobody is trusted for ${project}`, { hint: 'ax trust list' });
}
