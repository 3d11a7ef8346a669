/** Occurrences of keywords by where they start, and by keyword where several start at one place. */
export interface Hits {
  clear(): void;
  add(start: number, keyword: number): void;
  count(): number;
  startOf(hit: number): number;
  keywordOf(hit: number): number;
}

/** They are added in the order of their ends: each is at most a keyword's length from its place. */
export function createHits(): Hits {
  let starts = new Int32Array(1024);
  let keywords = new Int32Array(1024);
  let count = 0;
  return {
    clear() {
      count = 0;
    },
    add(start, keyword) {
      if (count === starts.length) {
        starts = larger(starts);
        keywords = larger(keywords);
      }
      let at = count++;
      for (; at > 0; at--) {
        const before = starts[at - 1] as number;
        if (before < start || (before === start && (keywords[at - 1] as number) < keyword)) break;
        starts[at] = before;
        keywords[at] = keywords[at - 1] as number;
      }
      starts[at] = start;
      keywords[at] = keyword;
    },
    count: () => count,
    startOf: (hit) => starts[hit] as number,
    keywordOf: (hit) => keywords[hit] as number,
  };
}

function larger(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(array.length * 2);
  copy.set(array);
  return copy;
}
