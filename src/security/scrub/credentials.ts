/**
 * Finds credentials that are recognised by what they are or where they stand. What is found at a keyword depends on the
 * text around it alone, never on where a search began, so that no cut of a stream changes it.
 */
import { AFTER_NAME, assignedAt, MAX_TO_SIGN, NAME_REST, skip } from './assignment.ts';
import { entropyOf } from './entropy.ts';
import { ANY_BYTE, anyOf } from './following.ts';
import { isSecretName, type Looks, looksOf, TELLING, VALUE } from './generic.ts';
import { CURL_USER_OPTIONS, placeRules } from './headers.ts';
import { buildKeywordScan, type Keyword, type KeywordScan } from './keyword-scan.ts';
import { isOneWord } from './kinds.ts';
import {
  coverData,
  DATA_KEYWORDS,
  KIND_KEYWORDS,
  type Met,
  meetKind,
  meetVersion,
  VERSION_KEYWORD,
} from './kubernetes.ts';
import type { Matcher } from './matcher.ts';
import { PEM_KEYWORD, pemAt } from './pem.ts';
import { isPublished } from './published.ts';
import { serviceRules } from './services.ts';
import type { Cover, Sight } from './sight.ts';
import { type TokenRule, tokenRules } from './tokens.ts';

/** What one search leaves to the next of the same stream, in bytes from the stream's start. */
export interface Memory {
  /** The end of what is covered. */
  covered: number;
  /** Where the last `curl` was. */
  curl: number;
  /** Of an object of Kubernetes. */
  readonly met: Met;
  /** Where what each rule rejected last ends. */
  readonly rejected: Float64Array;
}

interface Rule {
  /** What it cannot follow. */
  readonly notAfter?: Uint8Array | undefined;
  /** What its keywords are followed by, of which it is asked when one is met; not said, it is anything. */
  readonly next?: ((keyword: string) => Uint8Array) | undefined;
  /** @returns where what was rejected ends, or 0. */
  at(sight: Search, start: number, keywordEnd: number, cover: Cover): number;
}

/** What many keywords would look for again and again is looked for once. */
interface Search extends Sight {
  /** Where the value begins that is assigned to a name of which a part ends here, or -1. */
  valueAt(nameEnd: number): number;
  /** The end of the run of what values are made of, of which there is something at `at`. */
  valueEnd(at: number): number;
  /** What the value there looks like; undefined where it is no secret. */
  looksAt(value: number): Looks | undefined;
  /** Whether an `@` comes within so many bytes. */
  hasAtSign(at: number, within: number): boolean;
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
  return {
    covered: 0,
    curl: -CURL_REACH - 1,
    met: { version: Number.NEGATIVE_INFINITY, secret: undefined },
    rejected: new Float64Array(rules),
  };
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
  const lengths = keywords.map((keyword) => keyword.length);
  const rulesOf = [...byKeyword.values()].map((ids) => ids.map((id) => ({ id, ...(rules[id] as Rule) })));
  const curl = keywords.indexOf('curl');
  const pem = keywords.indexOf(PEM_KEYWORD);
  const version = keywords.indexOf(VERSION_KEYWORD);
  const kinds = keywords.map((keyword) => KIND_KEYWORDS.includes(keyword));
  const data = keywords.map((keyword) => DATA_KEYWORDS.includes(keyword));
  const behindCurl = keywords.map((keyword) => CURL_USER_OPTIONS.includes(keyword));
  const scan = buildKeywordScan(
    keywords.map((text, keyword) => ({ text, ...besides(text, rulesOf[keyword] as readonly Rule[]) })),
  );

  return {
    keywords: scan,
    rules: rules.length,
    find(sight, memory, cover) {
      const { bytes, base, from, to } = sight;
      const hits = scan.scan(bytes, from, to);
      const search = createSearch(sight);
      const coverAndRemember: Cover = (start, end, marker) => {
        cover(start, end, marker);
        memory.covered = Math.max(memory.covered, base + end);
      };
      for (let hit = 0; hit < hits.count(); hit++) {
        const start = hits.startOf(hit);
        const keyword = hits.keywordOf(hit);
        if (keyword === curl) memory.curl = base + start;
        if (base + start < memory.covered) continue;
        if (behindCurl[keyword] && base + start - memory.curl > CURL_REACH) continue;
        if (keyword === pem) {
          const end = pemAt(sight, start);
          if (end === 'undecided') return start;
          if (end !== 0) coverAndRemember(start, end, '[credential:private-key]');
          continue;
        }
        if (keyword === version) meetVersion(sight, start, memory.met);
        if (kinds[keyword]) meetKind(sight, start, memory.met);
        if (data[keyword] && !coverData(sight, start, memory.met, coverAndRemember)) return start;
        const keywordEnd = start + (lengths[keyword] as number);
        for (const rule of rulesOf[keyword] as (typeof rulesOf)[number]) {
          if (base + start < (memory.rejected[rule.id] as number)) continue;
          if (start > 0 && rule.notAfter?.[bytes[start - 1] as number] === 1) continue;
          const rejected = rule.at(search, start, keywordEnd, coverAndRemember);
          if (rejected !== 0) memory.rejected[rule.id] = base + rejected;
        }
      }
      return to;
    },
  };
}

const NOTHING = new Uint8Array(256);

/** What can be before and behind a keyword for any of its rules. */
function besides(keyword: string, rules: readonly Rule[]): Pick<Keyword, 'notAfter' | 'next'> {
  const [first, ...others] = rules;
  const isSame = others.every((other) => other.notAfter === first?.notAfter);
  return {
    notAfter: isSame ? (first?.notAfter ?? NOTHING) : NOTHING,
    next() {
      const sets = rules.map(({ next }) => next?.(keyword) ?? ANY_BYTE);
      return sets.length === 0 ? ANY_BYTE : anyOf(sets);
    },
  };
}

const MAX_SERVICE_VALUE = 400;
const MAX_PLACE = 800;
const AT_SIGN = 0x40;

function createSearch(sight: Sight): Search {
  const { bytes } = sight;
  const names = runsOf(bytes, NAME_REST);
  const values = runsOf(bytes, VALUE);
  let [judged, atSign] = [-1, -1];
  let looks: Looks | undefined;
  return {
    ...sight,
    // What is longer than any rest of a name has no sign within reach.
    valueAt: (at) => (names(at) - at > MAX_TO_SIGN ? -1 : assignedAt(bytes, at, bytes.length)),
    valueEnd: values,
    looksAt(value) {
      if (value !== judged) {
        judged = value;
        looks = looksOf(sight, value, values(value));
      }
      return looks;
    },
    hasAtSign(at, within) {
      const end = Math.min(bytes.length, at + within + 1);
      // From the last place that was asked about up to this one there is none.
      atSign = Math.max(at, atSign);
      while (atSign < end && bytes[atSign] !== AT_SIGN) atSign++;
      return atSign < end;
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
    ...[PEM_KEYWORD, 'curl', VERSION_KEYWORD, ...KIND_KEYWORDS, ...DATA_KEYWORDS].map(
      (keyword): [string, number[]] => [keyword, []],
    ),
  ]);
  const add = (keywords: readonly string[], rule: Rule): void => {
    for (const keyword of keywords) {
      const ids = byKeyword.get(keyword);
      if (ids === undefined) byKeyword.set(keyword, [rules.length]);
      else ids.push(rules.length);
    }
    rules.push(rule);
  };

  const tokens = tokenRules();
  const tokenMarkerAt = tokenMarkers(tokens);
  for (const { name, keywords, match, entropy, notAfter, next, check } of tokens) {
    const marker = markerOf(name);
    add(keywords, {
      notAfter,
      next,
      at(sight, start, _, cover) {
        const { bytes, text } = sight;
        const end = match(sight, start);
        if (end === -1) return 0;
        if (entropyOf(bytes, start, end) < entropy || isPublished(sight, start, end)) return end;
        if (check !== undefined && !check(text.slice(start, end))) return end;
        cover(start, end, marker);
        return 0;
      },
    });
  }
  for (const { name, keywords, match, entropy } of serviceRules()) {
    const marker = markerOf(name);
    add(keywords, {
      next: () => AFTER_NAME,
      at(sight, start, keywordEnd, cover) {
        const { bytes, valueAt, valueEnd } = sight;
        const value = valueAt(keywordEnd);
        if (value === -1 || valueEnd(value) - value > MAX_SERVICE_VALUE) return 0;
        const end = match(sight, value);
        if (end === -1 || entropyOf(bytes, value, end) < entropy || isPublished(sight, value, end)) return 0;
        // `setSysctl` has etsy in it, and `sumOf` sumo.
        if (keywordEnd - start <= 6 && !isOneWord(bytes, start, keywordEnd)) return 0;
        cover(value, end, marker);
        return 0;
      },
    });
  }
  for (const { keywords, next, ...rule } of placeRules()) {
    const marker = markerOf(rule.name);
    add(keywords, {
      next: next && (() => next),
      at(sight, start, _, cover) {
        const { bytes, text, hasAtSign } = sight;
        if (rule.needsAtSign && !hasAtSign(start, MAX_PLACE)) return 0;
        const from = rule.lead(sight, start);
        const end = from === -1 ? -1 : rule.secret(sight, from);
        if (end === -1) return 0;
        if (rule.entropy !== undefined && entropyOf(bytes, from, end) < rule.entropy) return end;
        if (rule.sparesPublished && isPublished(sight, from, end)) return end;
        if (rule.accepts !== undefined && !rule.accepts(text.slice(from, end))) return end;
        cover(from, end, marker);
        return 0;
      },
    });
  }
  for (const part of TELLING) {
    add([part], {
      next: () => AFTER_NAME,
      at(sight, start, keywordEnd, cover) {
        const value = sight.valueAt(keywordEnd);
        const looks = value === -1 ? undefined : sight.looksAt(value);
        if (looks === undefined || !isSecretName(sight, start, part, looks)) return 0;
        // Told by its name; the marker says more where it is also one of those above.
        cover(value, looks.end, tokenMarkerAt(sight, value) ?? ASSIGNED);
        return 0;
      },
    });
  }
  return { rules, byKeyword };
}

function markerOf(name: string): string {
  return `[credential:${name}]`;
}

const ASSIGNED = markerOf('assigned');

/** Gives the marker of the token that begins at a place, if any does. */
function tokenMarkers(tokens: readonly TokenRule[]): (sight: Sight, at: number) => string | undefined {
  let byStart: Map<number, { readonly match: Matcher; readonly marker: string }[]> | undefined;
  return (sight, at) => {
    byStart ??= Map.groupBy(
      tokens.flatMap(({ keywords, match, name }) =>
        keywords.map((keyword) => ({ start: Buffer.from(keyword), match, marker: markerOf(name) })),
      ),
      ({ start }) => beginningAt(start, 0),
    );
    const begun = byStart.get(beginningAt(sight.bytes, at));
    return begun?.find(({ match }) => match(sight, at) !== -1)?.marker;
  };
}

/** The same for letters of either case; other bytes may share it. */
function beginningAt(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) | 0x20) << 8) | ((bytes[at + 1] ?? 0) | 0x20);
}
