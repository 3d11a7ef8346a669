import type { GuardSnapshot } from './snapshot.ts';
import { fail, pass, type Verdict } from './verdict.ts';
import { counted, listed, quoted } from './wording.ts';

/**
 * Every dependency must have its signed digest. Whether the tasks in `needs` are done is not asked here: the
 * state machine waits for them, and a guard that failed would end what only has to wait.
 */
export function evaluateDependencies(_config: true, { dependencies }: GuardSnapshot): Verdict {
  const broken = dependencies.filter(({ ok }) => ok !== true);
  if (broken.length === 0) return pass(`${counted(dependencies.length, 'dependency check')} passed`);
  const problems = broken.map(({ path, problem }) => `${quoted(path)} (${problem ?? 'not as signed'})`);
  return fail(`expected dependencies as signed; found ${listed(problems)}`);
}
