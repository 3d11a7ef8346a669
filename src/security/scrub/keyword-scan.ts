/**
 * Finds keywords in bytes, letters of either case alike. What keeps clean text cheap: only where a keyword is does a
 * rule look.
 */
import { buildAutomaton, START } from './automaton.ts';

export interface KeywordScan {
  /**
   * Calls `found` for every occurrence in `from` to `to`, in the order of their ends, longer ones first.
   *
   * @param found gets the keyword's index, where the occurrence starts and where it ends.
   */
  scan(
    bytes: Uint8Array,
    from: number,
    to: number,
    found: (keyword: number, start: number, end: number) => void,
  ): void;
  /** How many bytes before `to` could become a keyword with what comes next. */
  heldAt(bytes: Uint8Array, to: number): number;
}

/** @param keywords lower case ASCII, without duplicates, none of them empty. */
export function buildKeywordScan(keywords: readonly string[]): KeywordScan {
  const automaton = buildAutomaton(keywords, true);
  const lengths = keywords.map((keyword) => keyword.length);
  const longest = Math.max(...lengths);

  return {
    scan(bytes, from, to, found) {
      automaton.scan(START, bytes, from, to, (keyword, end) => {
        for (let other = keyword; other !== -1; other = automaton.suffixOf(other)) {
          found(other, end - (lengths[other] as number), end);
        }
      });
    },
    heldAt(bytes, to) {
      const state = automaton.scan(START, bytes, Math.max(0, to - longest), to, () => {});
      return automaton.heldAt(state);
    },
  };
}
