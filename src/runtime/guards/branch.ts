import type { BranchRule } from '../../manifest/guards/schema.ts';
import { matchesPath } from './path-pattern.ts';
import type { GuardSnapshot } from './snapshot.ts';
import { fail, pass, type Verdict } from './verdict.ts';
import { listed, quoted } from './wording.ts';

/**
 * The checked-out branch must match one of the patterns. Fails on a detached HEAD, outside a checkout, and
 * where git could not say.
 */
export function evaluateBranch({ allow }: BranchRule, { git, gitProblem }: GuardSnapshot): Verdict {
  const expected = `expected a branch of ${listed(allow)}`;
  if (git === null) return fail(`${expected}; ${gitProblem ?? 'found no git checkout'}`);
  const { branch } = git;
  if (branch === null) return fail(`${expected}; found a detached HEAD`);
  const pattern = allow.find((each) => matchesPath(each, branch));
  if (pattern === undefined) return fail(`${expected}; found ${quoted(branch)}`);
  return pass(`branch ${quoted(branch)} is allowed by ${pattern}`);
}
