import { ATOM, setOf } from './atoms.ts';
import type { Sight } from './sight.ts';

/** Where what begins at `at` ends, or -1: nothing begins there. */
export type Matcher = (sight: Pick<Sight, 'bytes' | 'text'>, at: number) => number;

/**
 * A matcher of a sticky regular expression, which is made when it is first asked: of some hundred rules, most texts need
 * a few.
 */
export function matcher(make: () => RegExp): Matcher {
  let pattern: RegExp | undefined;
  return ({ text }, at) => {
    pattern ??= make();
    pattern.lastIndex = at;
    return pattern.test(text) ? pattern.lastIndex : -1;
  };
}

/** What cannot stand behind a match: a set of bytes, and the same as an expression that looks ahead. */
export interface NotBefore {
  readonly set: Uint8Array;
  readonly source: string;
}

interface Source {
  readonly source: string;
  readonly anyCase: boolean;
  readonly notBefore: NotBefore | undefined;
}

/** None of a class, which has both cases of its letters. */
export function notBefore(charClass: string): NotBefore {
  return { set: setOf(charClass, false), source: `(?!${charClass})` };
}

/** Nothing but what is in a class, with both cases of its letters, or the end. */
export function onlyBefore(charClass: string): NotBefore {
  return { set: setOf(charClass, false).map((has) => 1 - has), source: `(?=${charClass}|$)` };
}

/**
 * A matcher of a source that is a sequence of characters and classes, each once or so many times, as most tokens are;
 * of any other by a regular expression. A walk over bytes takes a fifth of the time, and knows at once where a sequence
 * of one length cannot end.
 */
export function sequenceMatcher(make: () => Source): Matcher {
  let match: Matcher | undefined;
  return (sight, at) => {
    match ??= build(make());
    return match(sight, at);
  };
}

/** The first of some that matches. */
export function firstOf(matchers: readonly Matcher[]): Matcher {
  const [only, ...others] = matchers;
  if (only !== undefined && others.length === 0) return only;
  return (sight, at) => {
    for (const match of matchers) {
      const end = match(sight, at);
      if (end !== -1) return end;
    }
    return -1;
  };
}

function build(of: Source): Matcher {
  const items = itemsOf(of);
  if (items !== undefined) return walk(items, of.notBefore?.set ?? NO_BYTE);
  const { source, anyCase } = of;
  return matcher(() => new RegExp(`(?:${source})${of.notBefore?.source ?? ''}`, anyCase ? 'iy' : 'y'));
}

const NO_BYTE = new Uint8Array(256);

/** So many of a set, one after the other. */
interface Item {
  readonly set: Uint8Array;
  readonly min: number;
  readonly max: number;
}

const COUNT = /\{(\d+)(?:,(\d+))?\}|(\?)/y;

/** Undefined where more is needed than to take as much as there is of each. */
function itemsOf({ source, anyCase }: Source): Item[] | undefined {
  const items: Item[] = [];
  for (let at = 0; at < source.length; ) {
    ATOM.lastIndex = at;
    const atom = ATOM.exec(source)?.[0];
    if (atom === undefined) return undefined;
    at = COUNT.lastIndex = ATOM.lastIndex;
    const [count, least, most, optional] = COUNT.exec(source) ?? [''];
    at += count.length;
    if (/[?*+]/.test(source[at] ?? '')) return undefined;
    const min = optional === undefined ? Number(least ?? 1) : 0;
    const max = optional === undefined ? Number(most ?? least ?? 1) : 1;
    const item = { set: setOf(atom, anyCase), min, max };
    if (!isSeparate(items, item)) return undefined;
    items.push(item);
  }
  const [before, last] = items.slice(-2);
  // Without the last, the one before it would have to give back.
  return last?.min === 0 && before?.min !== before?.max ? undefined : items;
}

/** Whether what it takes is taken by none before it that could take more. */
function isSeparate(items: readonly Item[], { set }: Item): boolean {
  for (const before of items.toReversed()) {
    if (before.min < before.max && set.some((has, byte) => has === 1 && before.set[byte] === 1)) return false;
    if (before.min > 0) return true;
  }
  return true;
}

function walk(items: readonly Item[], notBefore: Uint8Array): Matcher {
  const length = items.reduce((sum, { min }) => sum + min, 0);
  const isFixed = items.every(({ min, max }) => min === max);
  const last = items.at(-1) ?? { set: NO_BYTE, min: 0, max: 0 };
  /** Whatever the last item takes cannot stand behind it: no end before its last is one. */
  const isClosed = last.set.every((has, byte) => has === 0 || notBefore[byte] === 1);
  return ({ bytes }, start) => {
    const most = bytes.length;
    if (start + length > most) return -1;
    if (isFixed && start + length < most && notBefore[bytes[start + length] as number] === 1) return -1;
    let at = start;
    let from = start;
    for (let index = 0; index < items.length; index++) {
      const { set, min, max } = items[index] as Item;
      const end = Math.min(most, at + max);
      from = at;
      while (at < end && set[bytes[at] as number] === 1) at++;
      if (at - from < min) return -1;
    }
    // As an expression would go back.
    while (at < most && notBefore[bytes[at] as number] === 1) {
      if (isClosed || --at < from + last.min) return -1;
    }
    return at;
  };
}
