import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTraceparent, parseTraceparent } from '../../src/runtime/traceparent.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

/** Lower-case hex digits of this length. */
const hex = (length: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
    .map((digits) => digits.join(''));
const id = (length: number) => hex(length).filter((digits) => !/^0*$/.test(digits));
const parts = fc.record({ traceId: id(32), spanId: id(16), flags: fc.integer({ min: 0, max: 3 }) });

describe('a traceparent is read', () => {
  test('as it was written', () => {
    fc.assert(
      fc.property(parts, (made) => {
        expect(parseTraceparent(formatTraceparent(made))).toEqual(made);
      }),
    );
  });

  test.each([
    ['the example of the specification', `00-${TRACE}-${SPAN}-01`, 1],
    ['flags that are not known', `00-${TRACE}-${SPAN}-fe`, 2],
    ['a version that is not known', `01-${TRACE}-${SPAN}-01`, 1],
    ['the highest version', `fe-${TRACE}-${SPAN}-00`, 0],
    ['more fields in such a version', `cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, 1],
    ['an empty field in such a version', `cc-${TRACE}-${SPAN}-01-`, 1],
  ])('with %s', (_, text, flags) => {
    expect(parseTraceparent(text)).toEqual({ traceId: TRACE, spanId: SPAN, flags });
  });
});

describe('a traceparent is none', () => {
  test.each([
    ['with nothing in it', ''],
    ['with an id of zeros for its trace', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['with an id of zeros for its span', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['of version ff', `ff-${TRACE}-${SPAN}-01`],
    ['with more fields in version 00', `00-${TRACE}-${SPAN}-01-more`],
    ['with a dash at its end in version 00', `00-${TRACE}-${SPAN}-01-`],
    ['with more characters in a later version', `cc-${TRACE}-${SPAN}-01.more`],
    ['in upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['with too short a trace', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['with too long a span', `00-${TRACE}-${SPAN}0-01`],
    ['without flags', `00-${TRACE}-${SPAN}`],
    ['with one digit of flags', `00-${TRACE}-${SPAN}-1`],
    ['with white space around it', ` 00-${TRACE}-${SPAN}-01 `],
    ['with a line feed at its end', `00-${TRACE}-${SPAN}-01\n`],
    ['with a digit that is no hex', `00-${TRACE.replace('0', 'g')}-${SPAN}-01`],
  ])('%s', (_, text) => {
    expect(parseTraceparent(text)).toBeNull();
  });

  test('when one character of it is another', () => {
    const changed = fc
      .tuple(parts.map(formatTraceparent), fc.nat(54), fc.string({ minLength: 1, maxLength: 1 }))
      .filter(([, , character]) => !/[0-9a-f-]/.test(character))
      .map(([text, at, character]) => text.slice(0, at) + character + text.slice(at + 1));
    fc.assert(
      fc.property(changed, (text) => {
        expect(parseTraceparent(text)).toBeNull();
      }),
    );
  });

  test('when it is any other text; and what is read is always well formed', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.tuple(hex(2), hex(32), hex(16), hex(2)).map((all) => all.join('-')),
        ),
        (text) => {
          const read = parseTraceparent(text);
          if (read === null) return;
          expect(formatTraceparent(read)).toMatch(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]$/);
          expect(text.slice(3, 52)).toBe(`${read.traceId}-${read.spanId}`);
        },
      ),
    );
  });
});
