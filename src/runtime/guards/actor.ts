import type { ActorRule } from '../../manifest/guards/schema.ts';
import type { GuardSnapshot } from './snapshot.ts';
import { fail, pass, type Verdict } from './verdict.ts';
import { listed, quoted } from './wording.ts';

/**
 * The OS user must be listed, by name (exactly) or as `uid:N`. An entry that begins with `uid:` is only ever a
 * number: a user who managed to be called `uid:0` is not root.
 */
export function evaluateActor({ allow }: ActorRule, { actor }: GuardSnapshot): Verdict {
  const who = `${quoted(actor.name)} (uid ${actor.uid})`;
  const isAllowed = allow.some((entry) =>
    entry.startsWith('uid:') ? entry === `uid:${actor.uid}` : entry === actor.name,
  );
  return isAllowed ? pass(`${who} is allowed`) : fail(`expected one of ${listed(allow)}; found ${who}`);
}
