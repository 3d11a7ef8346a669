import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { STORE_FILE } from '../../store/database.ts';
import { findGit, type Git, GitProblem } from './git-command.ts';
import type { GitFacts, GuardSnapshot } from './snapshot.ts';
import { listed, quoted } from './wording.ts';

const TIMEOUT_MS = 30_000;

/**
 * What git says of the checkout that a project is in. Runs nothing that the checkout brings along: a configuration
 * that would need it is a problem, and so is anything that keeps git from answering.
 *
 * `clean` is what git's index and ignore rules say, for people who forgot to commit. It is no defence against someone
 * who writes to `.git`: they can as well commit. Ignore rules and filters of the user's own configuration do not
 * count, so what needs them is not clean.
 *
 * @param root the project's folder, links resolved
 * @param storeDir likewise; its database may lie in the checkout, not ignored, and leave it clean
 */
export async function readGit(
  root: string,
  about: { searchPath: string; storeDir: string; timeoutMs?: number },
): Promise<Pick<GuardSnapshot, 'git' | 'gitProblem'>> {
  const { searchPath, storeDir, timeoutMs = TIMEOUT_MS } = about;
  try {
    const checkout = findCheckout(root);
    if (checkout === null) return { git: null, gitProblem: null };
    const git = findGit(checkout, { searchPath, timeoutMs });
    if (git === null) return { git: null, gitProblem: 'found no git on PATH' };
    return { git: await readFacts(git, checkout, storeDir), gitProblem: null };
  } catch (error) {
    if (error instanceof GitProblem) return { git: null, gitProblem: error.message };
    // A file system that gives no answer is one more way of not finding out.
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return { git: null, gitProblem: `the checkout cannot be read: ${quoted(error.message)}` };
  }
}

/** The nearest folder upwards that has a `.git`; a link or a file too, which git may find fault with. */
function findCheckout(from: string): string | null {
  for (let folder = from; ; folder = dirname(folder)) {
    if (lstatSync(join(folder, '.git'), { throwIfNoEntry: false }) !== undefined) return folder;
    if (folder === dirname(folder)) return null;
  }
}

async function readFacts(git: Git, checkout: string, storeDir: string): Promise<GitFacts> {
  await refuseForeign(git, checkout);
  const head = await git(checkout, ['symbolic-ref', '--quiet', 'HEAD']);
  const status = await readStatus(git, checkout, storeDir);
  return {
    branch: branchOf(head.stdout),
    commit: status.commit,
    clean: status.clean && (await submodulesAreClean(git, checkout, storeDir)),
  };
}

/** What would run a program that no override of ours turns off, or show another folder's files. */
async function refuseForeign(git: Git, checkout: string): Promise<void> {
  const configuration = await read(git, checkout, ['config', '--list', '--null', '--includes']);
  const filters = configuration
    .split('\0')
    .map((entry) => entry.split('\n', 1)[0] ?? '')
    .filter((key) => /^filter\..*\.(?:clean|process)$/s.test(key));
  if (filters.length > 0) {
    const names = listed([...new Set(filters)].map(quoted));
    throw new GitProblem(`found programs in the configuration of the checkout, which are not run: ${names}`);
  }
  const top = (await read(git, checkout, ['rev-parse', '--show-toplevel'])).replace(/\n$/, '');
  if (realpathSync(top) !== checkout)
    throw new GitProblem(`found a checkout of another folder: ${quoted(top)}`);
}

/** Null on a detached HEAD, where git says nothing, and on one that follows something else than a branch. */
function branchOf(head: string): string | null {
  const prefix = 'refs/heads/';
  return head.startsWith(prefix) ? head.slice(prefix.length).replace(/\n$/, '') : null;
}

async function readStatus(
  git: Git,
  checkout: string,
  storeDir: string,
): Promise<{ commit: string | null; clean: boolean }> {
  const { stdout, isCut } = await git(checkout, [
    'status',
    '--porcelain=v2',
    '--branch',
    '--no-ahead-behind',
    '--no-renames',
    '--untracked-files=all',
    // Git would run itself in submodules, and the filters of a configuration that nobody has looked at.
    '--ignore-submodules=dirty',
    '-z',
    '--',
    ':/',
    ...storeFiles(checkout, storeDir).map((file) => `:(top,exclude,literal)${file}`),
  ]);
  const lines = stdout.split('\0');
  const oid = lines.find((line) => line.startsWith('# branch.oid '))?.slice('# branch.oid '.length);
  if (oid === undefined) throw new GitProblem('git gave an answer of an unknown form');
  return {
    commit: oid === '(initial)' ? null : oid,
    clean: !isCut && lines.every((line) => line === '' || line.startsWith('# ')),
  };
}

/** Named one by one: a store that is in a folder of the project hides nothing else that is there. */
function storeFiles(checkout: string, storeDir: string): string[] {
  const folder = relative(checkout, storeDir);
  if (folder === '..' || folder.startsWith(`..${sep}`)) return [];
  return ['', '-wal', '-shm', '-journal'].map((suffix) => join(folder, `${STORE_FILE}${suffix}`));
}

/** Whether each submodule is clean by the same measure; that it is at its recorded commit, the status has said. */
async function submodulesAreClean(git: Git, checkout: string, storeDir: string): Promise<boolean> {
  const index = await read(git, checkout, ['ls-files', '--stage', '-z']);
  for (const entry of index.split('\0').filter((each) => each.startsWith('160000 '))) {
    const folder = join(checkout, entry.slice(entry.indexOf('\t') + 1));
    const content = readdirSync(folder);
    if (content.length === 0) continue;
    if (!content.includes('.git')) return false;
    await refuseForeign(git, folder);
    const { clean } = await readStatus(git, folder, storeDir);
    if (!clean || !(await submodulesAreClean(git, folder, storeDir))) return false;
  }
  return true;
}

/** An answer that counts as a whole or not at all. */
async function read(git: Git, folder: string, args: readonly string[]): Promise<string> {
  const { status, stdout, isCut } = await git(folder, args);
  if (status !== 0) throw new GitProblem(`git ${args[0]} ended with status ${status}`);
  if (isCut) throw new GitProblem(`git ${args[0]} had more to say than is read`);
  return stdout;
}
