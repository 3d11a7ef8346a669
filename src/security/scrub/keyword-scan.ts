/**
 * Finds keywords in bytes, letters of either case alike: Aho-Corasick as a table, one step a byte whatever comes. What
 * keeps clean text cheap: only where a keyword is does a rule look.
 */

export interface KeywordScan {
  /**
   * Calls `found` for every occurrence that ends in `from` to `to`, in the order of their ends, longer ones first.
   *
   * @param found gets the keyword's index and where the occurrence starts.
   */
  scan(bytes: Uint8Array, from: number, to: number, found: (keyword: number, start: number) => void): void;
  /** How many bytes at the end of `bytes` could become a keyword with what comes next. */
  heldAt(bytes: Uint8Array, to: number): number;
}

/** @param keywords lower case ASCII, without duplicates, none of them empty. */
export function buildKeywordScan(keywords: readonly string[]): KeywordScan {
  const { classes, count } = byteClasses(keywords);
  const size = keywords.reduce((sum, keyword) => sum + keyword.length, 1);
  const next = new Uint16Array(size * count);
  const depth = new Uint16Array(size);
  const ends: number[][] = Array.from({ length: size }, () => []);

  let states = 1;
  for (const [index, keyword] of keywords.entries()) {
    let state = 0;
    for (const char of Buffer.from(keyword)) {
      const link = state * count + (classes[char] as number);
      if (next[link] === 0) {
        depth[states] = (depth[state] as number) + 1;
        next[link] = states++;
      }
      state = next[link] as number;
    }
    ends[state]?.push(index);
  }

  // Breadth first: a state that a missing link falls back to is complete by then.
  const fallback = new Uint16Array(size);
  const queue = [0];
  for (const state of queue) {
    for (let char = 0; char < count; char++) {
      const link = state * count + char;
      const instead = state === 0 ? 0 : (next[(fallback[state] as number) * count + char] as number);
      const child = next[link] as number;
      if (child === 0) {
        next[link] = instead;
        continue;
      }
      fallback[child] = instead;
      ends[child]?.push(...(ends[instead] as number[]));
      queue.push(child);
    }
  }
  const isEnd = Uint8Array.from(ends, (list) => (list.length > 0 ? 1 : 0));
  const longest = Math.max(...keywords.map((keyword) => keyword.length));

  return {
    scan(bytes, from, to, found) {
      let state = 0;
      for (let at = from; at < to; at++) {
        state = next[state * count + (classes[bytes[at] as number] as number)] as number;
        if (isEnd[state] === 0) continue;
        for (const keyword of ends[state] as number[]) {
          found(keyword, at + 1 - (keywords[keyword] as string).length);
        }
      }
    },
    heldAt(bytes, to) {
      let state = 0;
      for (let at = Math.max(0, to - longest); at < to; at++) {
        state = next[state * count + (classes[bytes[at] as number] as number)] as number;
      }
      return depth[state] as number;
    },
  };
}

/** Bytes that occur in no keyword are one class, letters of either case another each. */
function byteClasses(keywords: readonly string[]): { classes: Uint8Array; count: number } {
  const classes = new Uint8Array(256);
  let count = 1;
  for (const byte of Buffer.from(keywords.join(''))) {
    if (classes[byte] !== 0) continue;
    classes[byte] = count;
    const upper = String.fromCharCode(byte).toUpperCase().charCodeAt(0);
    classes[upper] = count++;
  }
  return { classes, count };
}
