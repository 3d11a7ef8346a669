import type { KeyAge } from '../../manifest/guards/schema.ts';
import { formatDuration } from '../../security/duration.ts';
import { CLOCK_SKEW_MS } from './clock-skew.ts';
import type { GuardSnapshot } from './snapshot.ts';
import { fail, pass, type Verdict } from './verdict.ts';
import { counted, durationMs, listed } from './wording.ts';

/**
 * Every key of the snapshot must be at most `max` old (exactly `max` still passes). Fails when there is no key
 * to ask about, and for a key that is from the future.
 */
export function evaluateKeyAge(config: KeyAge, { now, keys }: GuardSnapshot): Verdict {
  const max = durationMs(config.max);
  if (keys.length === 0) return fail(`expected keys of at most ${config.max}; found no keys`);
  const problems = keys.flatMap(({ kid, role, createdAt }) => {
    const age = now - createdAt;
    // Asked the safe way round: an age that is no number fails too.
    if (age >= -CLOCK_SKEW_MS && age <= max) return [];
    const found = age > max ? `${formatDuration(age)} old` : 'from the future (check the clock)';
    return [`${role} key ${kid} is ${found}`];
  });
  if (problems.length > 0) {
    return fail(
      `expected keys of at most ${config.max}; found ${listed(problems)}; renew with: ax keys rotate`,
    );
  }
  return pass(`${counted(keys.length, 'key')} of at most ${config.max}`);
}
