/**
 * Masking of declared secret values in output of any size, as it streams by, in every form of `formsOf`.
 *
 * Guaranteed, with "pattern" for what a secret is looked for as (see `patternsOf`):
 * - Every byte covered by any occurrence of any pattern is replaced, overlapping occurrences included. Each maximal
 *   run of such bytes becomes one marker, which names the secret whose occurrence begins the run (the longest of
 *   those that begin there; of two secrets with one value, the one declared first).
 * - What comes out does not depend on how the input was cut into chunks.
 * - What is held back between chunks is exactly the longest suffix that is a proper prefix of a pattern, so it is
 *   always shorter than the longest form of a secret.
 * - Time is linear in the input and memory in the secrets, whatever either contains: one Aho-Corasick automaton
 *   stands for all patterns, so a value like `aaaa…` in output like it costs no more than any other.
 */
import { formsOf } from './scrub/forms.ts';

export interface Secret {
  /** Shown in place of the value. */
  readonly name: string;
  readonly value: string;
}

/** Masks one stream. */
export interface Masker {
  /** What can be shown after this chunk. The result may share memory with the chunk, the held-back part never does. */
  push(chunk: Uint8Array): Buffer;
  /** What was still held back, at the end of the stream. */
  end(): Buffer;
}

interface Pattern {
  readonly name: string;
  readonly bytes: Buffer;
}

/** A covered stretch of the stream, in bytes from its start. */
interface Run {
  readonly start: number;
  end: number;
  readonly name: string;
}

/** Shorter lines of a secret of many lines (`{`, `-----`) occur in innocent output too. */
const MIN_LINE_BYTES = 8;

export function createMasker(secrets: readonly Secret[]): Masker {
  const automaton = automatonOf(secrets);
  if (automaton === undefined) return { push: asBuffer, end: () => Buffer.alloc(0) };

  const { step, matchAt, heldAt } = automaton;
  let state = 0;
  // The stream up to `settled` has been shown or masked; `held` is what follows it.
  let settled = 0;
  let held: Buffer = Buffer.alloc(0);
  // Disjoint, not even touching, in order. A run that starts before `settled` has its marker out already; it is
  // kept while a later occurrence can still join it.
  let runs: Run[] = [];

  // Occurrences come in the order of their ends, so one can join or swallow only the last runs.
  const cover = (start: number, end: number, name: string): void => {
    for (let last = runs.at(-1); last !== undefined && last.end >= start; last = runs.at(-1)) {
      if (last.start < start) {
        last.end = end;
        return;
      }
      runs.pop();
    }
    runs.push({ start, end, name });
  };

  // No occurrence that is still to come can start before `until`: the text from there would be a prefix of it, and
  // so would have been held back. Coverage and names before `until` are therefore final.
  const settle = (input: Buffer, until: number): Buffer => {
    const out: Buffer[] = [];
    const show = (from: number, to: number): void => {
      if (from < to) out.push(input.subarray(from - settled, to - settled));
    };
    let at = settled;
    for (const run of runs) {
      if (run.start >= until) break;
      if (run.start >= settled) {
        show(at, run.start);
        out.push(Buffer.from(`[secret:${run.name}]`));
      }
      at = Math.min(run.end, until);
    }
    show(at, until);
    runs = runs.filter((run) => run.end >= until);
    held = Buffer.from(input.subarray(until - settled));
    settled = until;
    return out.length === 1 && out[0] !== undefined ? out[0] : Buffer.concat(out);
  };

  return {
    push(chunk) {
      const start = settled + held.length;
      for (let i = 0; i < chunk.length; i++) {
        state = step(state, chunk[i] as number);
        const match = matchAt(state);
        if (match === undefined) continue;
        const end = start + i + 1;
        cover(end - match.bytes.length, end, match.name);
      }
      const input = held.length === 0 ? asBuffer(chunk) : Buffer.concat([held, chunk]);
      return settle(input, start + chunk.length - heldAt(state));
    },
    end() {
      state = 0;
      return settle(held, settled + held.length);
    },
  };
}

/** What the secrets of one run are looked for with, made once: both streams, the receipt and the guards ask for it. */
const automatons = new WeakMap<readonly Secret[], ReturnType<typeof buildAutomaton>>();

function automatonOf(secrets: readonly Secret[]): ReturnType<typeof buildAutomaton> | undefined {
  const known = automatons.get(secrets);
  if (known !== undefined) return known;
  const patterns = patternsOf(secrets);
  if (patterns.length === 0) return undefined;
  const automaton = buildAutomaton(patterns);
  automatons.set(secrets, automaton);
  return automaton;
}

/** The value, the value without the white space around it, and each of its lines that is long enough to tell; each as `formsOf` writes it. */
function patternsOf(secrets: readonly Secret[]): Pattern[] {
  const found = new Map<string, Pattern>();
  for (const { name, value } of secrets) {
    const lines = value.split(/[\r\n]+/).map((line) => line.trim());
    const long = lines.length > 1 ? lines.filter((line) => Buffer.byteLength(line) >= MIN_LINE_BYTES) : [];
    for (const text of [value, value.trim(), ...long]) {
      for (const bytes of text === '' ? [] : formsOf(text)) {
        const key = bytes.toString('latin1');
        if (!found.has(key)) found.set(key, { name, bytes });
      }
    }
  }
  return [...found.values()];
}

/**
 * Aho-Corasick over a trie of child and sibling links. A state is the longest suffix of the input that is a prefix
 * of a pattern; 0 is the empty one.
 */
function buildAutomaton(patterns: readonly Pattern[]) {
  const size = patterns.reduce((sum, { bytes }) => sum + bytes.length, 1);
  const [child, sibling, fallback, depth] = [links(size), links(size), links(size), links(size)];
  const label = new Uint8Array(size);
  /** The longest pattern that ends here, or -1. */
  const match = links(size).fill(-1);
  /** The length of the longest suffix that more input could make a pattern of. */
  const held = links(size);
  /** Most output is in no pattern, and so most steps are one look-up here. */
  const fromRoot = links(256);

  const childOf = (node: number, byte: number): number => {
    if (node === 0) return fromRoot[byte] as number;
    let next = child[node] as number;
    while (next !== 0 && label[next] !== byte) next = sibling[next] as number;
    return next;
  };

  const step = (state: number, byte: number): number => {
    for (let node = state; node !== 0; node = fallback[node] as number) {
      const next = childOf(node, byte);
      if (next !== 0) return next;
    }
    return fromRoot[byte] as number;
  };

  let count = 1;
  for (const [index, { bytes }] of patterns.entries()) {
    let node = 0;
    for (const byte of bytes) {
      let next = childOf(node, byte);
      if (next === 0) {
        next = count++;
        label[next] = byte;
        depth[next] = (depth[node] as number) + 1;
        sibling[next] = child[node] as number;
        child[node] = next;
        if (node === 0) fromRoot[byte] = next;
      }
      node = next;
    }
    match[node] = index;
  }

  // Breadth first: what a node falls back to is shorter, and so is complete before it.
  const queue = [0];
  for (const node of queue) {
    for (let next = child[node] as number; next !== 0; next = sibling[next] as number) {
      const shorter = node === 0 ? 0 : step(fallback[node] as number, label[next] as number);
      fallback[next] = shorter;
      if (match[next] === -1) match[next] = match[shorter] as number;
      held[next] = (child[next] === 0 ? held[shorter] : depth[next]) as number;
      queue.push(next);
    }
  }

  return {
    step: denseStep(step, queue.length) ?? step,
    matchAt: (state: number): Pattern | undefined =>
      match[state] === -1 ? undefined : patterns[match[state] as number],
    heldAt: (state: number): number => held[state] as number,
  };
}

/** Steps in a table take a third of the time, as long as the table stays small. */
const MAX_TABLE = 2 ** 21;

function denseStep(step: (state: number, byte: number) => number, states: number): typeof step | undefined {
  if (states * 256 > MAX_TABLE) return undefined;
  const table = links(states * 256);
  for (let state = 0; state < states; state++) {
    for (let byte = 0; byte < 256; byte++) table[state * 256 + byte] = step(state, byte);
  }
  return (state, byte) => table[state * 256 + byte] as number;
}

function links(size: number): Int32Array {
  return new Int32Array(size);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
