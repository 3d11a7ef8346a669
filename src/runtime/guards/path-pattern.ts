/**
 * Whether a name with slashes matches a pattern, whole and case-sensitive: `*` stands for any characters within
 * one part, `**` as a whole part for any number of parts (at the end: at least one), and everything else for
 * itself. A name with an empty part matches nothing.
 *
 * Takes at most the product of both lengths in steps, whatever the pattern: no regular expression is made of it.
 */
export function matchesPath(pattern: string, name: string): boolean {
  const found = name.split('/');
  if (found.includes('')) return false;
  const parts = pattern.split('/');
  // "release/**" is about what is in release, not about a branch called release.
  const whole = parts.at(-1) === '**' ? [...parts.slice(0, -1), '*', '**'] : parts;
  return matches(whole, found, { any: '**', one: matchesPart });
}

function matchesPart(pattern: string, part: string): boolean {
  return matches([...pattern], [...part], { any: '*', one: (expected, found) => expected === found });
}

interface Rule {
  /** The item of a pattern that stands for any number of items. */
  readonly any: string;
  /** Whether an item of the pattern, other than `any`, matches an item. */
  readonly one: (expected: string, found: string) => boolean;
}

/**
 * What stands between two `any` has a fixed length, so taking each at the first place where it fits is never
 * worse than a later one: only the last `any` is ever tried again, which keeps this from exploding.
 */
function matches(pattern: readonly string[], items: readonly string[], { any, one }: Rule): boolean {
  let [at, next] = [0, 0];
  let lastAny: { pattern: number; item: number } | undefined;
  while (at < items.length) {
    const expected = pattern[next];
    if (expected === any) {
      lastAny = { pattern: next, item: at };
      next += 1;
    } else if (expected !== undefined && one(expected, items[at] ?? '')) {
      at += 1;
      next += 1;
    } else if (lastAny !== undefined) {
      lastAny.item += 1;
      at = lastAny.item;
      next = lastAny.pattern + 1;
    } else {
      return false;
    }
  }
  return pattern.slice(next).every((rest) => rest === any);
}
