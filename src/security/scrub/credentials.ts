/**
 * Finds credentials that are recognised by what they are or where they stand. What is found at a keyword depends on the
 * text around it alone, never on where a search began, so that no cut of a stream changes it.
 */
import { assignedAt, MAX_TO_SIGN, NAME_REST, skip } from './assignment.ts';
import { entropyOf } from './entropy.ts';
import { isSecretValue, TELLING, VALUE } from './generic.ts';
import { CURL_USER_OPTIONS, placeRules } from './headers.ts';
import { buildKeywordScan, type KeywordScan } from './keyword-scan.ts';
import { PEM_KEYWORD, pemAt } from './pem.ts';
import { isPublished } from './published.ts';
import { serviceRules } from './services.ts';
import type { Cover, Sight } from './sight.ts';
import { type TokenRule, tokenRules } from './tokens.ts';

/** What one search leaves to the next of the same stream, in bytes from where the next `Sight` has its `from`. */
export interface Memory {
  covered: number;
  curl: number;
  readonly rejected: Int32Array;
}

interface Rule {
  /** What it cannot follow. */
  readonly notAfter: Uint8Array | undefined;
  /** @returns where what was rejected ends, or 0. */
  at(sight: Search, start: number, keywordEnd: number, cover: Cover): number;
}

/** What many keywords would look for again and again is looked for once. */
interface Search extends Sight {
  /** Where the value begins that is assigned to a name of which a part ends here, or -1. */
  valueAt(nameEnd: number): number;
  /** The end of the run of what values are made of, of which there is something at `at`. */
  valueEnd(at: number): number;
  /** Whether this byte comes within so many. */
  has(byte: number, at: number, within: number): boolean;
}

/** curl and its option may be this far apart, on lines that are joined by a backslash. */
const CURL_REACH = 1000;

export interface Finder {
  readonly keywords: KeywordScan;
  readonly rules: number;
  /**
   * Covers what it finds, and remembers how far.
   *
   * @returns where the search ended: `to`, or where something begins that only more input can decide.
   */
  find(sight: Sight, memory: Memory, cover: Cover): number;
}

export function createMemory(rules: number): Memory {
  return { covered: -1, curl: -CURL_REACH - 1, rejected: new Int32Array(rules).fill(-1) };
}

let finder: Finder | undefined;

/** The same for all: its tables take some milliseconds, once. */
export function credentialFinder(): Finder {
  finder ??= createFinder();
  return finder;
}

function createFinder(): Finder {
  const { rules, byKeyword } = collectRules();
  const keywords = [...byKeyword.keys()];
  const ruleIds = [...byKeyword.values()];
  const curl = keywords.indexOf('curl');
  const pem = keywords.indexOf(PEM_KEYWORD);
  const userOptions = new Set(CURL_USER_OPTIONS.map((option) => keywords.indexOf(option)));
  const notAfter = ruleIds.map((ids) => {
    const [first, ...others] = ids.map((id) => (rules[id] as Rule).notAfter);
    return others.every((other) => other === first) ? first : undefined;
  });
  const scan = buildKeywordScan(keywords);

  return {
    keywords: scan,
    rules: rules.length,
    find(sight, memory, cover) {
      const { bytes, to } = sight;
      const hits: number[] = [];
      let sorted = true;
      scan.scan(bytes, sight.from, Math.min(bytes.length, to + MAX_KEYWORD), (keyword, start) => {
        if (start >= to) return;
        if (start > 0 && notAfter[keyword]?.[bytes[start - 1] as number] === 1) return;
        const hit = start * KEYWORDS + keyword;
        if (hits.length > 0 && (hits.at(-1) as number) > hit) sorted = false;
        hits.push(hit);
      });
      if (!sorted) hits.sort((a, b) => a - b);
      const search = createSearch(sight);
      const coverAndRemember: Cover = (start, end, marker) => {
        cover(start, end, marker);
        memory.covered = Math.max(memory.covered, end);
      };
      for (const hit of hits) {
        const start = Math.floor(hit / KEYWORDS);
        const keyword = hit % KEYWORDS;
        if (keyword === curl) memory.curl = start;
        if (start < memory.covered) continue;
        if (userOptions.has(keyword) && start - memory.curl > CURL_REACH) continue;
        if (keyword === pem) {
          const end = pemAt(sight, start);
          if (end === 'undecided') return start;
          if (end !== 0) coverAndRemember(start, end, '[credential:private-key]');
          continue;
        }
        const keywordEnd = start + (keywords[keyword] as string).length;
        for (const id of ruleIds[keyword] as number[]) {
          if (start < (memory.rejected[id] as number)) continue;
          const rule = rules[id] as Rule;
          if (start > 0 && rule.notAfter?.[bytes[start - 1] as number] === 1) continue;
          const rejected = rule.at(search, start, keywordEnd, coverAndRemember);
          if (rejected !== 0) memory.rejected[id] = rejected;
        }
      }
      return to;
    },
  };
}

/** More than there are keywords. */
const KEYWORDS = 1024;
const MAX_KEYWORD = 40;
const MAX_SERVICE_VALUE = 400;
const MAX_PLACE = 800;

function createSearch(sight: Sight): Search {
  const { bytes } = sight;
  const names = runsOf(bytes, NAME_REST);
  const values = runsOf(bytes, VALUE);
  let seen = -1;
  let next = -1;
  return {
    ...sight,
    // What is longer than any rest of a name has no sign within reach.
    valueAt: (at) => (names(at) - at > MAX_TO_SIGN ? -1 : assignedAt(bytes, at, bytes.length)),
    valueEnd: values,
    has(byte, at, within) {
      if (seen !== byte || (next !== -1 && next < at)) {
        seen = byte;
        next = bytes.indexOf(byte, at);
      }
      return next !== -1 && next - at <= within;
    },
  };
}

/** Gives the end of the run of `set` at a place, and looks at no byte twice for places that come in order. */
function runsOf(bytes: Uint8Array, set: Uint8Array): (at: number) => number {
  let start = 0;
  let end = 0;
  return (at) => {
    if (at < start || at >= end) {
      start = at;
      end = skip(bytes, at, bytes.length, set);
    }
    return end;
  };
}

function collectRules(): { rules: Rule[]; byKeyword: Map<string, number[]> } {
  const rules: Rule[] = [];
  const byKeyword = new Map<string, number[]>([
    [PEM_KEYWORD, []],
    ['curl', []],
  ]);
  const add = (keywords: readonly string[], rule: Rule): void => {
    for (const keyword of keywords) byKeyword.set(keyword, [...(byKeyword.get(keyword) ?? []), rules.length]);
    rules.push(rule);
  };

  const tokens = tokenRules();
  for (const { name, keywords, pattern, entropy, notAfter, check } of tokens) {
    add(keywords, {
      notAfter,
      at({ text }, start, _, cover) {
        pattern.lastIndex = start;
        const match = pattern.exec(text)?.[0];
        if (match === undefined) return 0;
        const end = start + match.length;
        if (entropyOf(match) < entropy || isPublished(match) || !check(match)) return end;
        cover(start, end, `[credential:${name}]`);
        return 0;
      },
    });
  }
  for (const { name, keywords, pattern, entropy } of serviceRules()) {
    add(keywords, {
      notAfter: undefined,
      at({ text, valueAt, valueEnd }, start, keywordEnd, cover) {
        const value = valueAt(keywordEnd);
        if (value === -1 || valueEnd(value) - value > MAX_SERVICE_VALUE) return 0;
        pattern.lastIndex = value;
        const match = pattern.exec(text)?.[0];
        if (match === undefined || entropyOf(match) < entropy || isPublished(match)) return 0;
        // `setSysctl` has etsy in it, and `sumOf` sumo.
        if (keywordEnd - start <= 6 && !/^(?:[a-z]+|[A-Z][a-z]+|[A-Z]+)$/.test(text.slice(start, keywordEnd)))
          return 0;
        cover(value, value + match.length, `[credential:${name}]`);
        return 0;
      },
    });
  }
  for (const { name, keywords, needs, pattern, accepts } of placeRules()) {
    add(keywords, {
      notAfter: undefined,
      at({ text, has }, start, _, cover) {
        if (needs !== undefined && !has(needs, start, MAX_PLACE)) return 0;
        pattern.lastIndex = start;
        const match = pattern.exec(text);
        const secret = match?.groups?.secret;
        if (match === null || secret === undefined) return 0;
        const end = start + match[0].length;
        if (!accepts(secret)) return end;
        cover(end - secret.length, end, `[credential:${name}]`);
        return 0;
      },
    });
  }
  add(TELLING, {
    notAfter: undefined,
    at({ text, bytes, valueAt, valueEnd }, start, keywordEnd, cover) {
      const value = valueAt(keywordEnd);
      if (value === -1) return 0;
      const end = valueEnd(value);
      if (isSecretValue(bytes, text, { name: start, nameEnd: keywordEnd, value, end })) {
        // Told by its name; the marker says more where it is also one of those above.
        cover(value, end, `[credential:${tokenNameAt(tokens, text, value) ?? 'assigned'}]`);
      }
      return 0;
    },
  });
  return { rules, byKeyword };
}

function tokenNameAt(tokens: readonly TokenRule[], text: string, at: number): string | undefined {
  return tokens.find(({ pattern }) => {
    pattern.lastIndex = at;
    return pattern.test(text);
  })?.name;
}
