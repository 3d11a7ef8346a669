import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAxError } from '../../src/errors.ts';
import { decodeUtf8, parseJson } from '../../src/security/json.ts';
import { haveVectors, vectorLines } from '../support/vectors.ts';

const RUNS = { seed: 0x5eed, numRuns: 1000 };
const bytes = (...parts: (string | number[])[]) =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string)));

/** The message of the refusal that this call ends in. */
function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (!isAxError(error, 'JSON_MALFORMED')) throw error;
    expect(error.hint).toMatch(/^\S.*\S$/);
    return error.message;
  }
  return 'not refused';
}

describe('decodeUtf8', () => {
  it('gives the text of well-formed bytes, and of a view without the memory around it', () => {
    const text = 'é, 漢, 😀, \0, \ufffd, \ufeff inside';
    expect(decodeUtf8(Buffer.from(text), 'f')).toBe(text);
    expect(decodeUtf8(new Uint8Array([0xff, 0x61, 0xff]).subarray(1, 2), 'f')).toBe('a');
    expect(decodeUtf8(new Uint8Array(), 'f')).toBe('');
  });

  it.each<[string, Buffer, string]>([
    ['a stray continuation byte', bytes('ab', [0x80]), '0x80 at byte offset 2'],
    ['an overlong slash', bytes('"', [0xc0, 0xaf]), '0xc0 at byte offset 1'],
    ['an encoded surrogate', bytes('é', [0xed, 0xa0, 0x80]), '0xed at byte offset 2'],
    ['a code point over U+10FFFF', bytes([0xf4, 0x90, 0x80, 0x80]), '0xf4 at byte offset 0'],
    ['a sequence cut short', bytes('漢', [0xe6, 0xbc]), '0xe6 at byte offset 3'],
    ['a bad byte after genuine U+FFFD', bytes('\ufffda\ufffd', [0xff], '\ufffd'), '0xff at byte offset 7'],
    ['UTF-16 with a byte order mark', Buffer.from('\ufeff{}', 'utf16le'), '0xff at byte offset 0'],
  ])('refuses %s', (_, input, where) => {
    expect(refusal(() => decodeUtf8(input, 'f'))).toBe(`f: expected UTF-8, found byte ${where}`);
  });

  it('refuses a byte order mark', () => {
    expect(refusal(() => decodeUtf8(bytes('\ufeff{}'), 'ax.lock'))).toBe(
      'ax.lock: expected UTF-8 without a byte order mark, found one at byte offset 0',
    );
  });

  it('agrees with the platform on which bytes are UTF-8, and finds the place where they stop being so', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const isStrict = (input: Uint8Array) => {
      try {
        return strict.decode(input) !== undefined;
      } catch {
        return false;
      }
    };
    const part = fc.oneof(
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 3 }).map((raw) => Buffer.from(raw)),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const input = Buffer.concat(parts);
        fc.pre(!input.subarray(0, 3).equals(bytes('\ufeff')));
        if (isStrict(input)) {
          expect(decodeUtf8(input, 'f')).toBe(strict.decode(input));
          return;
        }
        const offset = Number(/offset (\d+)$/.exec(refusal(() => decodeUtf8(input, 'f')))?.[1]);
        expect(isStrict(input.subarray(0, offset))).toBe(true);
        for (let end = offset + 1; end <= offset + 4; end++) {
          expect(isStrict(input.subarray(offset, end))).toBe(false);
        }
      }),
      RUNS,
    );
  });
});

describe('parseJson', () => {
  it('reads every kind of value, with and without white space', () => {
    const text =
      ' {"a" : [ 1 , -2.5e-3 , 0.5E+1, true,false , null ],\r\n\t"": {}, "b":[], "c":"\\u00e9\\n\\/"} ';
    expect(parseJson(text, 'f')).toEqual({
      a: [1, -0.0025, 5, true, false, null],
      '': {},
      b: [],
      c: 'é\n/',
    });
  });

  it('reads every escape', () => {
    expect(parseJson(String.raw`"\"\\\/\b\f\n\r\t\u0000\u00E9\u00e9\ud83d\uDE00x"`, 'f')).toBe(
      '"\\/\b\f\n\r\t\0éé😀x',
    );
  });

  it('makes objects that inherit nothing', () => {
    const value = parseJson('{"constructor": 1, "hasOwnProperty": 2}', 'f');
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect((parseJson('{}', 'f') as Record<string, unknown>).toString).toBeUndefined();
  });

  it('keeps the sign of zero, and the safe integers at both ends', () => {
    expect(
      parseJson('[-0, -9007199254740991, 9007199254740991, 9007199254740991.0, 900719925474099.1e1]', 'f'),
    ).toEqual([
      -0,
      -Number.MAX_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER,
    ]);
  });

  it.each([
    // Structure
    ['', 'f:1:1: expected a value, found the end'],
    [' \r\n ', 'f:2:2: expected a value, found the end'],
    ['{', 'f:1:2: expected a key in double quotes, found the end'],
    ['[1', 'f:1:3: expected "," or "]", found the end'],
    ['[1,]', 'f:1:4: expected a value, found "]"'],
    ['[,1]', 'f:1:2: expected a value, found ","'],
    ['[1 2]', 'f:1:4: expected "," or "]", found "2"'],
    ['{"a" 1}', 'f:1:6: expected ":", found "1"'],
    ['{"a":1,}', 'f:1:8: expected a key in double quotes, found "}"'],
    ['{a:1}', 'f:1:2: expected a key in double quotes, found "a"'],
    ["['a']", 'f:1:2: expected a value, found "\'"'],
    ['{"a":1]', 'f:1:7: expected "," or "}", found "]"'],
    ['{}{}', 'f:1:3: expected nothing after the value, found "{"'],
    ['1 // one', 'f:1:3: expected nothing after the value, found "/"'],
    ['{\n  "a": 1,\n  /* */ }', 'f:3:3: expected a key in double quotes, found "/"'],
    ['{\r\n"é😀": x}', 'f:2:8: expected a value, found "x"'],
    ['\u00a01', 'f:1:1: expected a value, found "\\u00a0"'],
    ['\ufeff1', 'f:1:1: expected a value, found "\\ufeff"'],
    ['[\u202e]', 'f:1:2: expected a value, found "\\u202e"'],
    ['[😀]', 'f:1:2: expected a value, found "\\ud83d\\ude00"'],
    // Words
    ['True', 'f:1:1: expected a value, found "T"'],
    ['[nul]', 'f:1:2: expected null, found "nul]"'],
    ['truex', 'f:1:5: expected nothing after the value, found "x"'],
    ['NaN', 'f:1:1: expected a value, found "N"'],
    ['undefined', 'f:1:1: expected a value, found "u"'],
    // Numbers
    ['01', 'f:1:2: expected no digit after a leading zero, found "1"'],
    ['-', 'f:1:2: expected a digit, found the end'],
    ['-Infinity', 'f:1:2: expected a digit, found "I"'],
    ['+1', 'f:1:1: expected a value, found "+"'],
    ['.5', 'f:1:1: expected a value, found "."'],
    ['[1.]', 'f:1:4: expected a digit, found "]"'],
    ['1e', 'f:1:3: expected a digit, found the end'],
    ['1e+', 'f:1:4: expected a digit, found the end'],
    ['0x10', 'f:1:2: expected nothing after the value, found "x"'],
    ['1_000', 'f:1:2: expected nothing after the value, found "_"'],
    ['９', 'f:1:1: expected a value, found "\\uff19"'],
    ['[1, 9007199254740992]', 'f:1:5: expected a number within ±(2^53 - 1), found "9007199254740992"'],
    ['-9007199254740993', 'f:1:1: expected a number within ±(2^53 - 1), found "-9007199254740993"'],
    ['1e17', 'f:1:1: expected a number within ±(2^53 - 1), found "1e17"'],
    ['1e400', 'f:1:1: expected a number within ±(2^53 - 1), found "1e400"'],
    ['-1E+400', 'f:1:1: expected a number within ±(2^53 - 1), found "-1E+400"'],
    ['9'.repeat(30), `f:1:1: expected a number within ±(2^53 - 1), found "${'9'.repeat(24)}"…`],
    // Strings
    ['"a', 'f:1:3: expected a closing double quote, found the end'],
    ['"a\\', 'f:1:4: expected one of "\\/bfnrtu after a backslash, found the end'],
    ['"\\x41"', 'f:1:3: expected one of "\\/bfnrtu after a backslash, found "x"'],
    ['"\\u00"', 'f:1:3: expected four hex digits after \\u, found "00\\""'],
    ['"\\u123', 'f:1:3: expected four hex digits after \\u, found "123"'],
    ['"\\u00g0"', 'f:1:3: expected four hex digits after \\u, found "00g0"'],
    ['"\\u+123"', 'f:1:3: expected four hex digits after \\u, found "+123"'],
    ['"a\nb"', 'f:1:3: expected control characters escaped, found "\\n"'],
    ['"\0"', 'f:1:2: expected control characters escaped, found "\\u0000"'],
    ['"\x1f"', 'f:1:2: expected control characters escaped, found "\\u001f"'],
    // Surrogates
    ['[1, "\\ud800"]', 'f:1:5: expected surrogates in pairs, found one alone'],
    ['"\\udc00\\ud800"', 'f:1:1: expected surrogates in pairs, found one alone'],
    ['"\\ud83d😀"', 'f:1:1: expected surrogates in pairs, found one alone'],
    ['{"\\ud800": 1}', 'f:1:2: expected surrogates in pairs, found one alone'],
    ['{"😀": "\ud800"}', 'f:1:9: expected surrogates in pairs, found "\\ud800"'],
    // Keys
    ['{"a":1,\n "a":1}', 'f:2:2: expected each key once, found "a" again'],
    ['{"a":1,"\\u0061":2}', 'f:1:8: expected each key once, found "a" again'],
    ['[{"b":{"x":0,"y":0,"x":0}}]', 'f:1:20: expected each key once, found "x" again'],
    ['{"1":1,"1":2}', 'f:1:8: expected each key once, found "1" again'],
    ['{"__proto__":{}}', 'f:1:2: expected any other key, found "__proto__"'],
    ['{"a":{"__pr\\u006fto__":1}}', 'f:1:7: expected any other key, found "__proto__"'],
  ])('refuses %j', (text, message) => {
    expect(refusal(() => parseJson(text, 'f'))).toBe(message);
  });

  it('compares keys as they are, without normalising', () => {
    expect(parseJson('{"\u00e9":1,"e\u0301":2,"E":3,"e":4}', 'f')).toEqual({
      é: 1,
      'e\u0301': 2,
      E: 3,
      e: 4,
    });
    expect(parseJson('[{"a":1},{"a":1,"b":{"a":1}}]', 'f')).toEqual([{ a: 1 }, { a: 1, b: { a: 1 } }]);
  });

  it('reads 32 levels and refuses the 33rd', () => {
    const nested = (levels: number) => '[{"a":'.repeat(levels / 2) + '}]'.repeat(levels / 2);
    const full = nested(32).replace(':}', ':1}');
    expect(parseJson(full, 'f')).toEqual(JSON.parse(full));
    expect(refusal(() => parseJson(full.replace('1', '[]'), 'f'))).toBe(
      'f:1:97: expected at most 32 levels of nesting, found level 33',
    );
  });

  it('takes another limit, which siblings do not use up', () => {
    expect(parseJson('[[],[],[[]]]', 'f', { maxDepth: 3 })).toEqual([[], [], [[]]]);
    expect(refusal(() => parseJson('[[],[],[[]]]', 'f', { maxDepth: 2 }))).toContain('at most 2 levels');
    expect(refusal(() => parseJson('[]', 'f', { maxDepth: 0 }))).toContain('at most 0 levels');
    expect(parseJson('1', 'f', { maxDepth: 0 })).toBe(1);
  });

  it('ends a hostile text early: the limit is met before the stack is', () => {
    expect(refusal(() => parseJson('['.repeat(4_000_000), 'f'))).toContain('f:1:33:');
  });

  it('does not show a secret that stands near the mistake', () => {
    expect(refusal(() => parseJson('{"d":"hunter2-hunter2" "x":1}', 'f'))).not.toContain('hunter');
    expect(refusal(() => parseJson('{"d":"hunter2\\ud800"}', 'f'))).not.toContain('hunter');
    expect(refusal(() => parseJson('{"d":hunter2}', 'f'))).toBe('f:1:6: expected a value, found "h"');
  });

  it('agrees with JSON.parse on what JSON.stringify writes', () => {
    fc.assert(
      fc.property(anyJson(), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(parseJson(text, 'f')).toEqual(JSON.parse(text));
      }),
      RUNS,
    );
  });

  it('finds what ends a long string, or has no place in one, wherever it stands', () => {
    const lengths = [0, 1, 62, 63, 64, 65, 66, 127, 128, 129, 5000];
    for (const before of lengths) {
      for (const after of lengths) {
        for (const unit of ['a', '\\n', '\\"', '\\\\', '\\u0041', 'é', '😀', '\u007f']) {
          const text = `"${'A'.repeat(before)}${unit}${'b'.repeat(after)}"`;
          expect(parseJson(text, 'f')).toBe(JSON.parse(text));
        }
        for (const unit of ['\n', '\0', '\u001f', '"', '\\x', '\\ud800']) {
          const text = `"${'A'.repeat(before)}${unit}${'b'.repeat(after)}"`;
          expect(refusal(() => parseJson(text, 'f'))).toMatch(/^f:1:\d+: expected /);
        }
      }
      expect(refusal(() => parseJson(`"${'A'.repeat(before)}`, 'f'))).toBe(
        `f:1:${before + 2}: expected a closing double quote, found the end`,
      );
    }
  });

  it('accepts nothing that JSON.parse refuses or reads otherwise', () => {
    const edit = fc.record({
      at: fc.nat(),
      remove: fc.nat(2),
      insert: fc.string({ unit: fc.constantFrom(...'"\\{}[]:, 0123456789.eE+-tfnu\n\0é'), maxLength: 3 }),
    });
    let accepted = 0;
    fc.assert(
      fc.property(anyJson(), edit, (value, { at, remove, insert }) => {
        const whole = JSON.stringify(value);
        const index = at % (whole.length + 1);
        const text = whole.slice(0, index) + insert + whole.slice(index + remove);
        let strict: unknown;
        try {
          strict = parseJson(text, 'f');
        } catch (error) {
          expect(isAxError(error, 'JSON_MALFORMED')).toBe(true);
          return;
        }
        accepted += 1;
        expect(strict).toEqual(JSON.parse(text));
      }),
      { ...RUNS, numRuns: 5000 },
    );
    // Were everything refused, the property would hold and mean nothing.
    expect(accepted).toBeGreaterThan(500);
  });
});

/** Values whose text the strict parser accepts. */
function anyJson(): fc.Arbitrary<unknown> {
  const limit = Number.MAX_SAFE_INTEGER;
  const { json } = fc.letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(null, true, false),
      fc.double({ min: -limit, max: limit, noNaN: true }),
      fc.integer(),
      fc.string({ unit: 'binary' }),
      fc.array(tie('json'), { maxLength: 5 }),
      fc.dictionary(
        fc.string({ unit: 'binary' }).filter((key) => key !== '__proto__'),
        tie('json'),
        { maxKeys: 5 },
      ),
    ),
  }));
  return json;
}

/** Source: nst/JSONTestSuite. */
describe.skipIf(!haveVectors)('JSONTestSuite', () => {
  interface Row {
    name: string;
    expect: 'accept' | 'reject' | 'either';
    b64: string;
  }
  const rows = haveVectors ? vectorLines<Row>('json-parsing.jsonl') : [];
  const parse = ({ b64 }: Row) => parseJson(decodeUtf8(Buffer.from(b64, 'base64'), 'f'), 'f');

  const TOO_LARGE = 'expected a number within';
  const LONE = 'expected surrogates in pairs';
  const NOT_UTF8 = 'expected UTF-8,';

  /** RFC 8259 lets a parser decide; this is the decision, with the words of the refusal that say why. */
  const EITHER: Record<string, 'accepted' | string> = {
    // A number too small for a double rounds to zero, as every fraction rounds to the double nearest to it.
    'i_number_double_huge_neg_exp.json': 'accepted',
    'i_number_real_underflow.json': 'accepted',
    'i_number_huge_exp.json': TOO_LARGE,
    'i_number_neg_int_huge_exp.json': TOO_LARGE,
    'i_number_pos_double_huge_exp.json': TOO_LARGE,
    'i_number_real_neg_overflow.json': TOO_LARGE,
    'i_number_real_pos_overflow.json': TOO_LARGE,
    'i_number_too_big_neg_int.json': TOO_LARGE,
    'i_number_too_big_pos_int.json': TOO_LARGE,
    'i_number_very_big_negative_int.json': TOO_LARGE,
    'i_object_key_lone_2nd_surrogate.json': LONE,
    'i_string_1st_surrogate_but_2nd_missing.json': LONE,
    'i_string_1st_valid_surrogate_2nd_invalid.json': LONE,
    'i_string_incomplete_surrogate_and_escape_valid.json': LONE,
    'i_string_incomplete_surrogate_pair.json': LONE,
    'i_string_incomplete_surrogates_escape_valid.json': LONE,
    'i_string_invalid_lonely_surrogate.json': LONE,
    'i_string_invalid_surrogate.json': LONE,
    'i_string_inverted_surrogates_U+1D11E.json': LONE,
    'i_string_lone_second_surrogate.json': LONE,
    'i_string_UTF-16LE_with_BOM.json': NOT_UTF8,
    'i_string_UTF-8_invalid_sequence.json': NOT_UTF8,
    'i_string_UTF8_surrogate_U+D800.json': NOT_UTF8,
    'i_string_invalid_utf-8.json': NOT_UTF8,
    'i_string_iso_latin_1.json': NOT_UTF8,
    'i_string_lone_utf8_continuation_byte.json': NOT_UTF8,
    'i_string_not_in_unicode_range.json': NOT_UTF8,
    'i_string_overlong_sequence_2_bytes.json': NOT_UTF8,
    'i_string_overlong_sequence_6_bytes.json': NOT_UTF8,
    'i_string_overlong_sequence_6_bytes_null.json': NOT_UTF8,
    'i_string_truncated-utf-8.json': NOT_UTF8,
    'i_string_utf16BE_no_BOM.json': NOT_UTF8,
    'i_string_utf16LE_no_BOM.json': NOT_UTF8,
    'i_structure_500_nested_arrays.json': 'expected at most 32 levels of nesting',
    'i_structure_UTF-8_BOM_empty_object.json': 'expected UTF-8 without a byte order mark',
  };

  /** RFC 8259 accepts these and ax does not: duplicate keys, and integers that a double cannot tell apart. */
  const STRICTER: Record<string, string> = {
    'y_object_duplicated_key.json': 'expected each key once',
    'y_object_duplicated_key_and_value.json': 'expected each key once',
    'y_number.json': TOO_LARGE,
    'y_number_real_capital_e.json': TOO_LARGE,
    'y_number_real_exponent.json': TOO_LARGE,
    'y_number_real_fraction_exponent.json': TOO_LARGE,
    'y_object_extreme_numbers.json': TOO_LARGE,
  };

  it('has all its rows, and a decision for each that leaves one open', () => {
    expect(rows).toHaveLength(318);
    const open = rows.filter((row) => row.expect === 'either').map((row) => row.name);
    expect(open.sort()).toEqual(Object.keys(EITHER).sort());
    expect(rows.filter((row) => row.name in STRICTER)).toHaveLength(Object.keys(STRICTER).length);
  });

  for (const row of rows) {
    const decision = STRICTER[row.name] ?? EITHER[row.name] ?? (row.expect === 'accept' ? 'accepted' : '');
    it(`${row.name}: ${decision || 'refused'}`, () => {
      if (decision === 'accepted') {
        expect(parse(row)).toEqual(JSON.parse(Buffer.from(row.b64, 'base64').toString()));
      } else {
        expect(refusal(() => parse(row))).toMatch(/^f:/);
        expect(refusal(() => parse(row))).toContain(decision);
      }
    });
  }
});
