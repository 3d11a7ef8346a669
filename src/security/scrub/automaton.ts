/**
 * Finds any of many patterns in bytes as they come: Aho-Corasick, one step a byte whatever the patterns and the input
 * are. Steps are worked out when they are first taken, so building costs no more than reading the patterns, and the
 * table holds what the input is made of.
 */

/** A state is the longest suffix of the input that is a prefix of a pattern; this is the empty one. */
export const START = 1;

export interface Automaton {
  /** Takes bytes in up to `to`, or up to where as many patterns ended as fit into `matches`: ends and longest patterns. */
  scan(walk: Walk, bytes: Uint8Array, to: number): void;
  /** What the last scan found, in the order of ends. */
  readonly matches: Matches;
  /** The length of the longest suffix of the input that more of it could make a pattern of. */
  heldAt(state: number): number;
  /** The longest other pattern that this one ends with, or -1. */
  suffixOf(pattern: number): number;
}

/** How far an input was taken in. */
export interface Walk {
  state: number;
  at: number;
}

export interface Matches {
  count: number;
  /** The longest pattern that ends there. */
  readonly patterns: Int32Array;
  readonly ends: Int32Array;
}

const MAX_MATCHES = 1024;
const MAX_CLASSES = 64;
/** Steps are kept in a table of so many at most, 8 MiB; the states beyond it take theirs by way of links. */
const MAX_TABLE = 2 ** 21;

/**
 * @param patterns one character a byte; without duplicates, none of them empty.
 * @param anyCase letters of ASCII in the input count whatever their case; the patterns have small ones.
 */
export function buildAutomaton(patterns: readonly string[], anyCase = false): Automaton {
  const { classes, count } = byteClasses(patterns, anyCase);
  const size = patterns.reduce((sum, pattern) => sum + pattern.length, START + 1);
  const rows = Math.min(size, Math.floor(MAX_TABLE / count));
  /**
   * The next state, negative where a pattern ends; 0 is a step that is not known yet. As small as can be: it is the
   * processor's cache that counts.
   */
  const next = size < 2 ** 15 ? new Int16Array(rows * count) : new Int32Array(rows * count);
  const match = links(size).fill(-1);
  const matches = {
    count: 0,
    patterns: new Int32Array(MAX_MATCHES),
    ends: new Int32Array(MAX_MATCHES),
  };
  const table: Table = {
    next,
    classes,
    count,
    rows,
    match,
    matches,
    begins: beginnings(patterns, classes, count),
  };
  // A trie of child and sibling links, and what each state falls back to.
  const [child, sibling, fallback, depth] = [links(size), links(size), links(size), links(size)];
  const label = new Uint16Array(size);
  const fromStart = links(count);
  const held = links(size);
  const suffix = links(patterns.length);

  const childOf = (state: number, char: number): number => {
    if (state === START) return fromStart[char] as number;
    let at = child[state] as number;
    while (at !== 0 && label[at] !== char) at = sibling[at] as number;
    return at;
  };

  const follow = (state: number, char: number): number => {
    for (let at = state; ; at = fallback[at] as number) {
      const to = childOf(at, char);
      if (to !== 0) return to;
      if (at === START) return START;
    }
  };

  const learn = (state: number, char: number): number => {
    const to = follow(state, char);
    const step = match[to] === -1 ? to : -to;
    if (state < rows) next[state * count + char] = step;
    return step;
  };

  let states = START + 1;
  for (const [index, pattern] of patterns.entries()) {
    let state = START;
    for (let at = 0; at < pattern.length; at++) {
      const char = classes[pattern.charCodeAt(at)] as number;
      let to = childOf(state, char);
      if (to === 0) {
        to = states++;
        label[to] = char;
        depth[to] = (depth[state] as number) + 1;
        sibling[to] = child[state] as number;
        child[state] = to;
        if (state === START) fromStart[char] = to;
      }
      state = to;
    }
    match[state] = index;
  }

  // Breadth first: what a state falls back to is shorter, and so is complete before it.
  const queue = [START];
  for (const state of queue) {
    for (let to = child[state] as number; to !== 0; to = sibling[to] as number) {
      const shorter = state === START ? START : follow(fallback[state] as number, label[to] as number);
      fallback[to] = shorter;
      const own = match[to] as number;
      if (own === -1) match[to] = match[shorter] as number;
      else suffix[own] = match[shorter] as number;
      held[to] = (child[to] === 0 ? held[shorter] : depth[to]) as number;
      queue.push(to);
    }
  }

  return {
    matches,
    scan(walk, bytes, to) {
      matches.count = 0;
      for (;;) {
        run(table, walk, bytes, to);
        if (walk.at >= to || matches.count === MAX_MATCHES) return;
        const step = learn(walk.state, classes[bytes[walk.at] as number] as number);
        walk.at++;
        walk.state = Math.abs(step);
        if (step > 0) continue;
        matches.patterns[matches.count] = match[walk.state] as number;
        matches.ends[matches.count++] = walk.at;
      }
    },
    heldAt: (state) => held[state] as number,
    suffixOf: (pattern) => suffix[pattern] as number,
  };
}

function beginnings(
  patterns: readonly string[],
  classes: Uint16Array,
  count: number,
): Uint8Array | undefined {
  if (count > MAX_CLASSES) return undefined;
  const begins = new Uint8Array(count ** 3);
  for (const pattern of patterns) {
    // A shorter one begins with whatever follows it.
    let [from, width] = [0, begins.length];
    for (let at = 0; at < 3 && at < pattern.length; at++) {
      width /= count;
      from += (classes[pattern.charCodeAt(at)] as number) * width;
    }
    begins.fill(1, from, from + width);
  }
  return begins;
}

interface Table {
  readonly next: Int16Array | Int32Array;
  readonly classes: Uint16Array;
  readonly count: number;
  readonly rows: number;
  /** The longest pattern that ends in a state, or -1. */
  readonly match: Int32Array;
  readonly matches: Matches;
  /** By the classes of three bytes, whether a pattern begins with them; undefined where there are too many classes. */
  readonly begins: Uint8Array | undefined;
}

/**
 * Takes the steps that are known, up to `end` or to as many matches as there is room for. By itself, since nothing is
 * called in it: what the loop needs is looked up once, not for every byte.
 */
function run(table: Table, walk: Walk, bytes: Uint8Array, end: number): void {
  const { next, classes, count, rows, match, matches, begins } = table;
  const { patterns, ends } = matches;
  let found = matches.count;
  let { state, at } = walk;
  for (; at < end && state < rows && found < MAX_MATCHES; at++) {
    if (state === START && begins !== undefined && at + 2 < end) {
      let [first, second] = [
        classes[bytes[at] as number] as number,
        classes[bytes[at + 1] as number] as number,
      ];
      for (; at + 2 < end; at++) {
        const third = classes[bytes[at + 2] as number] as number;
        if (begins[(first * count + second) * count + third] === 1) break;
        first = second;
        second = third;
      }
    }
    const to = next[state * count + (classes[bytes[at] as number] as number)] as number;
    if (to === 0) break;
    state = to;
    if (to > 0) continue;
    state = -to;
    patterns[found] = match[state] as number;
    ends[found++] = at + 1;
  }
  matches.count = found;
  walk.state = state;
  walk.at = at;
}

/** Bytes that occur in no pattern are one class, 0; the others have one each, or one for both cases. */
function byteClasses(patterns: readonly string[], anyCase: boolean): { classes: Uint16Array; count: number } {
  const classes = new Uint16Array(256);
  let count = 1;
  for (const pattern of patterns) {
    for (let at = 0; at < pattern.length; at++) {
      const byte = pattern.charCodeAt(at);
      if (classes[byte] !== 0) continue;
      classes[byte] = count;
      if (anyCase && byte >= SMALL_A && byte <= SMALL_Z) classes[byte - CASE] = count;
      count++;
    }
  }
  return { classes, count };
}

const SMALL_A = 0x61;
const SMALL_Z = 0x7a;
const CASE = 0x20;

function links(size: number): Int32Array {
  return new Int32Array(size);
}
