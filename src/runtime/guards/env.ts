import type { BuiltinGuard, EnvRule } from '../../manifest/guards/schema.ts';
import { wholeMatch } from '../../manifest/rules.ts';
import type { GuardSnapshot } from './snapshot.ts';
import { fail, pass, type Verdict } from './verdict.ts';
import { listed, quoted } from './wording.ts';

/**
 * Every named variable must be set, to exactly the value or to one that the pattern matches as a whole. The
 * reason tells what was expected, never what was found: the variable may hold a secret.
 */
export function evaluateEnv(config: EnvRule, { env }: GuardSnapshot): Verdict {
  const problems = Object.entries(config).flatMap(([name, expected]) => {
    // Asked of the record itself: `constructor` is a name that a variable may have.
    const found = Object.hasOwn(env, name) ? env[name] : undefined;
    const words = typeof expected === 'string' ? quoted(expected) : `a match of ${quoted(expected.pattern)}`;
    if (found === undefined) return [`${name}: expected ${words}, found it unset`];
    const holds = typeof expected === 'string' ? found === expected : wholeMatch(expected.pattern, found);
    return holds ? [] : [`${name}: expected ${words}, found another value`];
  });
  if (problems.length > 0) return fail(listed(problems));
  return pass(`${listed(Object.keys(config))} as expected`);
}

/** The variables that these guards ask about: the only ones that belong in a snapshot. Sorted, each once. */
export function variablesOf(guards: readonly BuiltinGuard[]): string[] {
  const names = guards.flatMap((guard) => ('env' in guard ? Object.keys(guard.env) : []));
  return [...new Set(names)].sort();
}
