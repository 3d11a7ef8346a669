import { existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Context } from '../context.ts';
import { projectName } from '../manifest/schema.ts';
import { parseSource } from '../manifest/source.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import { isExpired } from '../security/expiry.ts';
import { throwIo, writeFileAtomic } from '../store/files.ts';
import type { KeyRole } from '../store/key-file.ts';
import { activeKey, newestKey } from '../store/keyring.ts';
import { createKey, readKeyring, unlockKeyring, verificationKey } from './keys-access.ts';
import { trustWithRecord } from './lock.ts';
import { type GlobalOptions, openSession, type Session, withStore } from './session.ts';

const TEMPLATE = (
  project: string,
): string => `# What may run here. \`ax sign\` turns this file into ax.lock, and \`ax run\` runs what ax.lock says.
version: 1
project: ${project}
expires: 90d
tasks:
  hello:
    title: Say hello
    run: [echo, hello from ax]
`;

/** `ax init [dir]`: what is there already stays as it is. */
export async function init(
  context: Context,
  dir: string | undefined,
  options: GlobalOptions,
): Promise<number> {
  // Before anything is written: a home, a key or trust that cannot be used is found out first.
  const outside = await openSession(context, options);
  readKeyring(outside);
  loadTrust(context, outside.home);
  const root = resolve(context.cwd, dir ?? '.');
  try {
    mkdirSync(root, { recursive: true });
  } catch (error) {
    throwIo(`make the folder ${root}`, error);
  }
  const folder = realpathSync(root);
  const steps: { what: string; state: 'made' | 'kept' }[] = [];
  const manifest = join(folder, 'ax.yaml');
  if (existsSync(manifest)) {
    steps.push({ what: 'ax.yaml', state: 'kept' });
  } else {
    writeFileAtomic(manifest, TEMPLATE(suggestProject(folder)), 0o644);
    steps.push({ what: 'ax.yaml', state: 'made' });
  }
  const source = parseSource(readFileSync(manifest), 'ax.yaml');
  const { project } = source;
  steps.push({ what: '.ax/ in .gitignore', state: ignoreStore(folder) ? 'made' : 'kept' });

  const session = await openSession({ ...context, cwd: folder }, options);
  await unlockKeyring(session);
  await withStore(session, (database) => {
    for (const role of ['signing', 'receipt', 'host'] as const satisfies readonly KeyRole[]) {
      const keyring = readKeyring(session);
      // A machine that only writes receipts for others stays one.
      const reader = role === 'receipt' ? activeKey(keyring, 'recipient') : undefined;
      // A revoked one too: that another takes its place is a decision, and a rotation's.
      const existing = newestKey(keyring, role) ?? reader;
      const { kid } = existing ?? createKey(session, database, { role, change: 'generate' });
      steps.push({
        what: `${existing?.role ?? role} key ${kid}`,
        state: existing === undefined ? 'made' : 'kept',
      });
    }
  });
  steps.push({
    what: `trust for ${project}`,
    state: (await trustOwnKey(session, project)) ? 'made' : 'kept',
  });

  const { output } = session;
  for (const { what, state } of steps) {
    output.line(
      state === 'made' ? `${output.style.green('made')}  ${what}` : `${output.style.dim('kept')}  ${what}`,
    );
  }
  const next = Object.keys(source.tasks)[0] ?? 'hello';
  output.line(`\nnext: ${output.style.bold('ax sign')}, then ${output.style.bold(`ax run ${next}`)}`);
  output.document({ schema: 'ax.init/1', root: folder, project, steps });
  return 0;
}

/** Trusts this machine's own signing key for a project that nobody is trusted for yet. */
export async function trustOwnKey(session: Session, project: string): Promise<boolean> {
  const trust = loadTrust(session.context, session.home);
  const signing = activeKey(readKeyring(session), 'signing');
  if (trust.has(project) || signing === undefined || session.context.env.AX_TRUST !== undefined) return false;
  if (isExpired(signing, session.context.now())) return false;
  const key = verificationKey(signing);
  const extended = new Map(trust).set(project, { threshold: 1, keys: [key], approvers: [], minVersion: 1 });
  await trustWithRecord(session, extended, { change: 'add', project, kid: key.kid, threshold: 1 });
  return true;
}

/** @returns false when the store is ignored already */
function ignoreStore(folder: string): boolean {
  const path = join(folder, '.gitignore');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (/^\/?\.ax\/?$/m.test(text)) return false;
  const separator = text === '' || text.endsWith('\n') ? '' : '\n';
  writeFileAtomic(path, `${text}${separator}.ax/\n`, 0o644);
  return true;
}

function suggestProject(folder: string): string {
  const candidates = [packageName(folder), basename(folder)];
  for (const candidate of candidates) {
    const name = (candidate ?? '')
      .toLowerCase()
      .replace(/^@/, '')
      .replace(/[^a-z0-9._/-]+/g, '-')
      .replace(/^[^a-z0-9]+/, '');
    if (projectName.safeParse(name).success) return name;
  }
  return 'my-project';
}

function packageName(folder: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return typeof parsed === 'object' && parsed !== null && 'name' in parsed
      ? String(parsed.name)
      : undefined;
  } catch {
    return undefined;
  }
}
