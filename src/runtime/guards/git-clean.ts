import type { GuardSnapshot } from './snapshot.ts';
import { fail, pass, type Verdict } from './verdict.ts';

/** The checkout must be exactly its commit: changed tracked files and untracked files both fail. */
export function evaluateGitClean(_config: true, { git, gitProblem }: GuardSnapshot): Verdict {
  if (git === null) return fail(`expected a clean git checkout; ${gitProblem ?? 'found no git checkout'}`);
  if (git.commit === null) return fail('expected a clean git checkout; found no commit');
  if (!git.clean) return fail('expected a clean git checkout; found changes or untracked files (git status)');
  return pass(`the checkout is clean at ${git.commit.slice(0, 12)}`);
}
