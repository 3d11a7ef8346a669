import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, sha256Canonical } from '../../src/security/canonical.ts';
import { parseJson } from '../../src/security/json.ts';
import { haveVectors, vectorJson, vectorLines, vectorText } from '../support/vectors.ts';

const RUNS = { seed: 0x5eed, numRuns: 300 };
const INTERNAL = expect.objectContaining({ code: 'INTERNAL' });

describe('canonicalJson', () => {
  it('sorts keys by UTF-16 code units at every level, and leaves arrays in order', () => {
    // U+FB33 sorts after U+1F600 by UTF-16 code units (d83d de00) and before it by code points.
    const value = { '\ufb33': 1, '\u{1f600}': 2, b: [{ z: 1, a: 2 }, 'x'], B: null, '10': 0, '9': 0, '': 0 };
    expect(canonicalJson(value)).toBe(
      '{"":0,"10":0,"9":0,"B":null,"b":[{"a":2,"z":1},"x"],"\u{1f600}":2,"\ufb33":1}',
    );
  });

  it('escapes what RFC 8785 escapes, and nothing else', () => {
    expect(canonicalJson('\0\b\t\n\v\f\r\x1f"\\/\x7f\u2028é')).toBe(
      '"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\"\\\\/\x7f\u2028é"',
    );
  });

  it('writes -0 as 0', () => {
    expect(canonicalJson([-0, 0])).toBe('[0,0]');
  });

  it('writes a key named __proto__, and objects without a prototype', () => {
    expect(canonicalJson(JSON.parse('{"b":1,"__proto__":{"a":2}}'))).toBe('{"__proto__":{"a":2},"b":1}');
    expect(canonicalJson(Object.assign(Object.create(null), { b: 1, a: 2 }))).toBe('{"a":2,"b":1}');
  });

  it('writes one object in two places', () => {
    const shared = { a: 1 };
    expect(canonicalJson([shared, shared, { shared }])).toBe('[{"a":1},{"a":1},{"shared":{"a":1}}]');
  });

  const cycle: unknown[] = [];
  cycle.push({ cycle });
  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['a property set to undefined', { a: undefined }],
    ['undefined in an array', [undefined]],
    ['a hole in an array', new Array(1)],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a bigint', 1n],
    ['NaN', Number.NaN],
    ['infinity', [Number.POSITIVE_INFINITY]],
    ['a lone surrogate', ['a\ud800']],
    ['a lone surrogate in a key', { '\udc00': 1 }],
    ['a Date, which has toJSON', { at: new Date(0) }],
    ['a Map, which would be empty', new Map([[1, 2]])],
    ['bytes, which would be an object of indexes', Buffer.from('a')],
    ['a boxed number', Object(1)],
    ['a cycle', cycle],
    ['nesting without end', JSON.parse('['.repeat(1001) + ']'.repeat(1001))],
  ])('refuses %s', (_, value) => {
    expect(() => canonicalJson(value)).toThrow(INTERNAL);
  });

  it('says where, and does not show the value', () => {
    expect(() => canonicalJson({ tasks: [['a'], { env: { TOKEN: 'hunter2', n: Number.NaN } }] })).toThrow(
      'canonical JSON: expected a JSON value at ["tasks",1,"env","n"], found NaN',
    );
    expect(() => canonicalJson(['hunter2\ud800'])).toThrow(
      'canonical JSON: expected a JSON value at [0], found a lone surrogate',
    );
  });

  it('gives a text that parses back to the same value, and is its own canonical form', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
      RUNS,
    );
  });

  it('is idempotent through the strict parser', () => {
    const integers = fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }).map(withSafeNumbers);
    fc.assert(
      fc.property(integers, (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(parseJson(text, 'test'))).toBe(text);
      }),
      RUNS,
    );
  });

  it('does not depend on the order in which keys were set', () => {
    const entries = fc.uniqueArray(fc.tuple(fc.string(), fc.integer()), { selector: ([key]) => key });
    fc.assert(
      fc.property(entries, (pairs) => {
        const reversed = Object.fromEntries([...pairs].reverse());
        expect(canonicalJson(reversed)).toBe(canonicalJson(Object.fromEntries(pairs)));
      }),
      RUNS,
    );
  });
});

describe('sha256Canonical', () => {
  it('is the SHA-256 of the canonical text', () => {
    // printf '{"a":[1,"\xc3\xa9"],"b":null}' | sha256sum
    expect(sha256Canonical({ b: null, a: [1, 'é'] })).toBe(
      '1e02bc81a26af2f027329541e97eef36f3290bedc6dfe043dbe66b057ecb13ba',
    );
  });

  it('refuses what has no canonical text', () => {
    expect(() => sha256Canonical({ a: undefined })).toThrow(INTERNAL);
  });
});

describe.skipIf(!haveVectors)('the reference data of RFC 8785', () => {
  it.each(['arrays', 'french', 'structures', 'unicode', 'values', 'weird'])('%s, byte for byte', (name) => {
    const text = canonicalJson(JSON.parse(vectorText(`rfc8785/input/${name}.json`)));
    expect(text).toBe(vectorText(`rfc8785/output/${name}.json`));
    const hex = vectorText(`rfc8785/outhex/${name}.txt`).replace(/\s/g, '');
    expect(Buffer.from(text).toString('hex')).toBe(hex);
  });

  it('10,000 numbers', () => {
    const wrong: string[] = [];
    const lines = vectorText('rfc8785/es6-numbers-10000.txt').trimEnd().split('\n');
    for (const line of lines) {
      const [hex = '', expected] = line.split(',');
      const double = Buffer.from(hex.padStart(16, '0'), 'hex').readDoubleBE();
      if (canonicalJson(double) !== expected) wrong.push(line);
    }
    expect(lines).toHaveLength(10_000);
    expect(wrong).toEqual([]);
  });

  it('667 pairs on which three implementations agree', () => {
    interface Pair {
      id: string;
      inputB64: string;
      canonicalB64: string;
    }
    const pairs = vectorLines<Pair>('rfc8785/generated.jsonl');
    const wrong = pairs.filter(({ inputB64, canonicalB64 }) => {
      const input = JSON.parse(Buffer.from(inputB64, 'base64').toString());
      return Buffer.from(canonicalJson(input)).toString('base64') !== canonicalB64;
    });
    expect(pairs).toHaveLength(667);
    expect(wrong.map(({ id }) => id)).toEqual([]);
  });

  describe('must-refuse', () => {
    const rows = haveVectors ? vectorJson<{ rows: string[][] }>('rfc8785/must-refuse.json').rows : [];
    // The last column is a text from which JSON.parse makes the same value, but for overflow, which it has as
    // [null]; there the number comes from the text of the same name in the parsing tests.
    const parsing = haveVectors ? vectorLines<{ name: string; b64: string }>('json-parsing.jsonl') : [];

    it('has all its rows', () => {
      expect(rows).toHaveLength(18);
    });

    it.each(rows.map((row) => ({ id: row[0] ?? '', escaped: row[3] ?? '' })))('$id', ({ id, escaped }) => {
      const source = parsing.find(({ name }) => id === `parsing/${name}`);
      const text = escaped === '[null]' ? Buffer.from(source?.b64 ?? '', 'base64').toString() : escaped;
      const value: unknown = JSON.parse(text);
      expect(() => canonicalJson(value)).toThrow(INTERNAL);
      expect(() => parseJson(text, id)).toThrow(expect.objectContaining({ code: 'JSON_MALFORMED' }));
    });
  });
});

/** The value with each number that the strict parser refuses cut to 32 bits, and keys it refuses left out. */
function withSafeNumbers(value: unknown): unknown {
  if (typeof value === 'number') return Math.abs(value) > Number.MAX_SAFE_INTEGER ? value | 0 : value;
  if (Array.isArray(value)) return value.map(withSafeNumbers);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => key !== '__proto__');
  return Object.fromEntries(entries.map(([key, item]) => [key, withSafeNumbers(item)]));
}
