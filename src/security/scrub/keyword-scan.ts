/**
 * Finds keywords in bytes, letters of either case alike. What keeps clean text cheap: only where a keyword is, and what
 * stands beside it can be so for a rule, does one look.
 */
import { buildAutomaton, START } from './automaton.ts';
import { createHits, type Hits } from './hits.ts';

export interface Keyword {
  /** Lower case ASCII, not empty. */
  readonly text: string;
  /** What it cannot follow. */
  readonly notAfter: Uint8Array;
  /** What it is followed by; asked once, when the keyword is first met. */
  readonly next: () => Uint8Array;
}

export interface KeywordScan {
  /**
   * The keywords that begin in `from` to `to`, by their numbers; where the bytes end behind one, anything may follow it.
   * As they are until the next scan.
   */
  scan(bytes: Uint8Array, from: number, to: number): Hits;
  /** How many of the bytes could become a keyword with what comes next. */
  heldAt(bytes: Uint8Array): number;
}

/** @param keywords without duplicates. */
export function buildKeywordScan(keywords: readonly Keyword[]): KeywordScan {
  const automaton = buildAutomaton(
    keywords.map(({ text }) => text),
    true,
  );
  const { matches } = automaton;
  const lengths = Uint8Array.from(keywords, ({ text }) => text.length);
  const longest = Math.max(...lengths);
  const next: Uint8Array[] = keywords.map(() => UNKNOWN);
  const notAfter = keywords.map((keyword) => keyword.notAfter);
  const hits = createHits();

  const mayBe = (keyword: number, bytes: Uint8Array, start: number, end: number): boolean => {
    if (start > 0 && notAfter[keyword]?.[bytes[start - 1] as number] === 1) return false;
    if (next[keyword] === UNKNOWN) next[keyword] = keywords[keyword]?.next() ?? UNKNOWN;
    return end === bytes.length || next[keyword]?.[bytes[end] as number] === 1;
  };

  return {
    scan(bytes, from, to) {
      hits.clear();
      const walk = { state: START, at: from };
      const until = Math.min(bytes.length, to + longest);
      while (walk.at < until) {
        automaton.scan(walk, bytes, until);
        for (let match = 0; match < matches.count; match++) {
          const end = matches.ends[match] as number;
          let keyword = matches.patterns[match] as number;
          for (; keyword !== -1; keyword = automaton.suffixOf(keyword)) {
            const start = end - (lengths[keyword] as number);
            if (start < to && mayBe(keyword, bytes, start, end)) hits.add(start, keyword);
          }
        }
      }
      return hits;
    },
    heldAt(bytes) {
      const walk = { state: START, at: Math.max(0, bytes.length - longest) };
      while (walk.at < bytes.length) automaton.scan(walk, bytes, bytes.length);
      return automaton.heldAt(walk.state);
    },
  };
}

const UNKNOWN = new Uint8Array(256);
