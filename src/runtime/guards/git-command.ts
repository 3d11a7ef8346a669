import { execFile } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { absoluteEntries, findExecutable } from '../../manifest/executable.ts';
import { formatDuration } from '../../security/duration.ts';
import { quoted } from './wording.ts';

/**
 * Running git in a checkout that may be hostile. Its configuration can name programs that git runs on the way, so
 * each of those is overridden here, or not reached: only commands that read are run, and a filter, whose name no
 * override can know, is refused before (git.ts).
 */

/** Why something could not be found out, in words that follow "expected …; ". */
export class GitProblem extends Error {}

export interface GitAnswer {
  readonly status: 0 | 1;
  /** Cut where it would have been too long. */
  readonly stdout: string;
  readonly isCut: boolean;
}

/**
 * Runs git with these arguments in a folder. Status 1 is how some commands say that there is none.
 *
 * @throws GitProblem when git fails, cannot be run, or takes too long
 */
export type Git = (folder: string, args: readonly string[]) => Promise<GitAnswer>;

/** Far more than a listing of the index of the largest checkouts. */
const MAX_BYTES = 64 * 1024 * 1024;

const OVERRIDES = [
  // Empty is false for a git that knows the word, and no hook for an older one, which would run a program "false".
  'core.fsmonitor=',
  'core.hooksPath=/dev/null',
  // A hook of Microsoft's fork.
  'core.virtualFilesystem=',
  'core.alternateRefsCommand=',
  'status.submoduleSummary=false',
  // A folder that merely looks like a bare repository is content of a checkout, and so is its configuration.
  'safe.bareRepository=explicit',
  // What these would let pass for unchanged is changed.
  'core.ignoreStat=false',
  'core.checkStat=default',
  'core.trustctime=true',
  'core.untrackedCache=false',
].flatMap((setting) => ['-c', setting]);

/** All that git gets: no GIT_ variable of the surroundings, and no configuration but the checkout's. */
const ENVIRONMENT = {
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  // Nothing is written, the index included; so no hook has an occasion.
  GIT_OPTIONAL_LOCKS: '0',
  GIT_TERMINAL_PROMPT: '0',
  GIT_NO_REPLACE_OBJECTS: '1',
  // A partial clone fetches objects on demand, by programs that its configuration names. An older git does not know
  // the first of these; the second allows no protocol at all.
  GIT_NO_LAZY_FETCH: '1',
  GIT_ALLOW_PROTOCOL: '',
};

/**
 * The git of the search path. Relative entries are passed over, and so is what is inside the checkout: a project
 * that is run by npm has its own `node_modules/.bin` in front.
 *
 * @param timeoutMs for all that is run with it together
 * @returns null when there is none
 */
export function findGit(checkout: string, limits: { searchPath: string; timeoutMs: number }): Git | null {
  const entries = absoluteEntries(limits.searchPath).filter((entry) => !leadsInto(checkout, entry));
  const searchPath = entries.join(':');
  const file = findExecutable('git', searchPath);
  if (file === null || leadsInto(checkout, file)) return null;
  const signal = AbortSignal.timeout(limits.timeoutMs);
  return (folder, args) =>
    new Promise((resolve, reject) => {
      const options = {
        cwd: folder,
        // The checkout is where its .git was found; git is not to find another one further up.
        env: { ...ENVIRONMENT, PATH: searchPath, GIT_CEILING_DIRECTORIES: dirname(folder) },
        maxBuffer: MAX_BYTES,
        signal,
        killSignal: 'SIGKILL',
      } as const;
      const child = execFile(
        file,
        ['--no-pager', ...OVERRIDES, ...args],
        options,
        (error, stdout, stderr) => {
          const isCut = error?.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER';
          if (error === null || isCut || error.code === 1) {
            resolve({ status: error === null || isCut ? 0 : 1, stdout, isCut });
          } else if (signal.aborted) {
            reject(new GitProblem(`git did not answer within ${formatDuration(limits.timeoutMs)}`));
          } else {
            const [line = ''] = stderr.trim().split('\n');
            const found = line === '' ? `${error.signal ?? error.code}` : line.replace(/^fatal: /, '');
            reject(new GitProblem(`git failed: ${quoted(found)}`));
          }
        },
      );
      child.stdin?.end();
    });
}

/** Also for what cannot be resolved: it is nothing to run. */
function leadsInto(folder: string, path: string): boolean {
  try {
    const real = realpathSync(path);
    return real === folder || real.startsWith(`${folder}${sep}`);
  } catch {
    return true;
  }
}
