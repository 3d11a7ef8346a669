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
import { type Automaton, buildAutomaton, START } from './scrub/automaton.ts';
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
  /** One character a byte. */
  readonly text: string;
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
  const sought = soughtFor(secrets);
  if (sought === undefined) return { push: asBuffer, end: () => Buffer.alloc(0) };

  const { patterns, automaton } = sought;
  const { matches } = automaton;
  const walk = { state: START, at: 0 };
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
      walk.at = 0;
      while (walk.at < chunk.length) {
        automaton.scan(walk, chunk, chunk.length);
        for (let found = 0; found < matches.count; found++) {
          const { text, name } = patterns[matches.patterns[found] as number] as Pattern;
          const end = start + (matches.ends[found] as number);
          cover(end - text.length, end, name);
        }
      }
      const input = held.length === 0 ? asBuffer(chunk) : Buffer.concat([held, chunk]);
      return settle(input, start + chunk.length - automaton.heldAt(walk.state));
    },
    end() {
      walk.state = START;
      return settle(held, settled + held.length);
    },
  };
}

interface Sought {
  readonly patterns: readonly Pattern[];
  readonly automaton: Automaton;
}

/** What the secrets of one run are looked for with, made once: both streams, the receipt and the guards ask for it. */
const known = new WeakMap<readonly Secret[], Sought>();

function soughtFor(secrets: readonly Secret[]): Sought | undefined {
  const made = known.get(secrets);
  if (made !== undefined) return made;
  const patterns = patternsOf(secrets);
  if (patterns.length === 0) return undefined;
  const sought = { patterns, automaton: buildAutomaton(patterns.map(({ text }) => text)) };
  known.set(secrets, sought);
  return sought;
}

/** The value, the value without the white space around it, and each of its lines that is long enough to tell; each as `formsOf` writes it. */
function patternsOf(secrets: readonly Secret[]): Pattern[] {
  const found = new Map<string, Pattern>();
  for (const { name, value } of secrets) {
    const lines = value.split(/[\r\n]+/).map((line) => line.trim());
    const long = lines.length > 1 ? lines.filter((line) => Buffer.byteLength(line) >= MIN_LINE_BYTES) : [];
    for (const text of [value, value.trim(), ...long]) {
      for (const form of text === '' ? [] : formsOf(text)) {
        if (!found.has(form)) found.set(form, { name, text: form });
      }
    }
  }
  return [...found.values()];
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
