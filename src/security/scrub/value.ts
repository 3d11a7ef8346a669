/** Scrubs values of any shape: keys and values, at any depth. */
import type { JsonValue } from '../json.ts';
import type { ScrubPolicy } from './stream.ts';
import { createTextScrubber } from './text.ts';

/** What stands in place of what could not be looked at. */
export const WITHHELD = '[withheld]';
const CIRCULAR = '[circular]';
/** Deeper than anything that is written on purpose, and no deeper than the stack. */
const MAX_DEPTH = 500;

export interface ValuePolicy extends ScrubPolicy {
  /**
   * Whether the text at the end of these keys is an id, a digest or a name that is kept as it is: only declared secrets
   * are looked for in it. Items of a list have the keys of the list.
   */
  readonly keeps: Keeps;
}

export type Keeps = (path: readonly string[]) => boolean;

/**
 * Plain data like the value, scrubbed. A text under a telling key is judged with it, as in `{"password": "…"}`. Errors
 * become objects of their name, message, code and cause; what contains itself ends in `[circular]`, what is nested too
 * deep in `[withheld]`. Two keys that come out alike are told apart by a number.
 */
export function createValueScrubber(policy: ValuePolicy): (value: unknown) => JsonValue {
  const scrub = createTextScrubber(policy);
  const maskOnly = createTextScrubber({ secrets: policy.secrets, credentials: false, personal: false });

  const textUnder = (path: readonly string[], text: string): string => {
    const key = path.at(-1) ?? '';
    if (policy.keeps(path)) return maskOnly(text).toWellFormed();
    const scrubbed = scrub(text);
    if (scrubbed !== text || text.includes('\n') || !/^[\w.-]{1,50}$/.test(key))
      return scrubbed.toWellFormed();
    const before = `${key}="`;
    const together = scrub(`${before}${text}"`);
    return (together.startsWith(before) ? together.slice(before.length, -1) : scrubbed).toWellFormed();
  };

  const walk = (path: readonly string[], value: unknown, above: readonly object[]): JsonValue => {
    if (typeof value === 'string') return textUnder(path, value);
    if (value === null || typeof value === 'boolean') return value;
    if (typeof value === 'number') return Number.isFinite(value) ? value : null;
    if (typeof value === 'bigint') return textUnder(path, String(value));
    if (typeof value !== 'object') return null;
    if (above.includes(value)) return CIRCULAR;
    if (above.length >= MAX_DEPTH) return WITHHELD;
    const here = [...above, value];
    if (Array.isArray(value)) return value.map((item) => walk(path, item, here));
    const entries = value instanceof Error ? entriesOf(value) : Object.entries(value);
    const out: Record<string, JsonValue> = Object.create(null);
    for (const [name, item] of entries) {
      if (item === undefined) continue;
      const scrubbed = scrub(name).toWellFormed();
      let free = scrubbed;
      for (let count = 2; free in out; count++) free = `${scrubbed} (${count})`;
      out[free] = walk([...path, name], item, here);
    }
    return { ...out };
  };
  return (value) => walk([], value, []);
}

/** Only what is plain about an error; the rest is the runtime's. */
function entriesOf(error: Error): [string, unknown][] {
  const { name, message, cause } = error;
  const code = 'code' in error ? error.code : undefined;
  const errors = error instanceof AggregateError ? error.errors : undefined;
  return Object.entries({ name, message, code, cause, errors });
}

/** The same shape with every text that is not kept withheld: what is left to say when scrubbing itself failed. */
export function withhold(value: JsonValue, keeps: Keeps, path: readonly string[] = []): JsonValue {
  if (typeof value === 'string') return keeps(path) ? value : WITHHELD;
  if (Array.isArray(value)) return value.map((item) => withhold(item, keeps, path));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, withhold(item, keeps, [...path, name])]),
  );
}
