import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeBase64,
  decodeBase64url,
  decodeHex,
  encodeBase64,
  encodeBase64url,
} from '../../src/security/base64.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

const RUNS = { seed: 0x5eed, numRuns: 500 };

const REFUSED_IN_ANY_BASE64 = {
  'a line break inside': 'QUJD\nREVG',
  'a line break at the end': 'QUJD\n',
  'a space before': ' QUJD',
  'a NUL at the end': 'QUJD\0',
  'padding alone': '=',
  'too much padding': 'QUI==',
  'padding after whole groups': 'QUJD====',
  'padding in the middle': 'QQ==QUJD',
  'one character left over': 'QUJDR',
  'non-zero bits after one byte': 'QR==',
  'non-zero bits after two bytes': 'QUJ=',
  'both alphabets': '+-+-',
  'a character whose low byte is a letter': '\u0141UJD',
  'a fullwidth letter': '\uff21UJD',
};

describe('decodeBase64', () => {
  it('reads the test vectors of RFC 4648, section 10', () => {
    const texts = ['', 'Zg==', 'Zm8=', 'Zm9v', 'Zm9vYg==', 'Zm9vYmE=', 'Zm9vYmFy'];
    expect(texts.map((text) => decodeBase64(text)?.toString())).toEqual([
      '',
      'f',
      'fo',
      'foo',
      'foob',
      'fooba',
      'foobar',
    ]);
  });

  it('reads either alphabet, and tells them apart nowhere else', () => {
    expect(decodeBase64('+/+/')).toEqual(Buffer.from('fbffbf', 'hex'));
    expect(decodeBase64('-_-_')).toEqual(Buffer.from('fbffbf', 'hex'));
    expect(decodeBase64('_w==')).toEqual(Buffer.from('ff', 'hex'));
  });

  it.each([...Object.entries(REFUSED_IN_ANY_BASE64), ['no padding', 'QQ']])('refuses %s', (_, text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });

  it('reads back what was encoded, in both alphabets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = encodeBase64(bytes);
        expect(decodeBase64(text)).toEqual(Buffer.from(bytes));
        expect(decodeBase64(text.replaceAll('+', '-').replaceAll('/', '_'))).toEqual(Buffer.from(bytes));
      }),
      RUNS,
    );
  });

  it('never reads the same bytes from a text that differs in one character', () => {
    fc.assert(
      fc.property(edited(encodeBase64), ({ bytes, text, from, to }) => {
        // The one respelling there is: a lone character of one alphabet for its twin in the other.
        fc.pre(!['+-', '-+', '/_', '_/'].includes(from + to));
        expect(decodeBase64(text)?.equals(bytes) ?? false).toBe(false);
      }),
      RUNS,
    );
  });

  it('reads several megabytes', () => {
    const bytes = Buffer.alloc(5_000_000, 0xfb);
    expect(decodeBase64(encodeBase64(bytes))?.equals(bytes)).toBe(true);
    expect(decodeBase64(`${encodeBase64(bytes).slice(0, -1)} `)).toBeUndefined();
  });
});

describe('decodeBase64url', () => {
  it('reads the example of RFC 7515, appendix C', () => {
    expect(decodeBase64url('A-z_4ME')).toEqual(Buffer.from([3, 236, 255, 224, 193]));
  });

  it.each([
    ...Object.entries(REFUSED_IN_ANY_BASE64),
    ['padding', 'QQ=='],
    ['the standard alphabet', '+/+/'],
    ['non-zero bits after one byte, unpadded', 'QR'],
    ['non-zero bits after two bytes, unpadded', 'QUJ'],
  ])('refuses %s', (_, text) => {
    expect(decodeBase64url(text)).toBeUndefined();
  });

  it('reads back what was encoded', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(decodeBase64url(encodeBase64url(bytes))).toEqual(Buffer.from(bytes));
      }),
      RUNS,
    );
  });

  it('never reads the same bytes from a text that differs in one character', () => {
    fc.assert(
      fc.property(edited(encodeBase64url), ({ bytes, text }) => {
        expect(decodeBase64url(text)?.equals(bytes) ?? false).toBe(false);
      }),
      RUNS,
    );
  });
});

describe('encoding', () => {
  it('encodes the bytes of a view, not of the memory behind it', () => {
    const view = new Uint8Array([0, 0, 0xfb, 0xff, 0, 0]).subarray(2, 4);
    expect(encodeBase64(view)).toBe('+/8=');
    expect(encodeBase64url(view)).toBe('-_8');
  });
});

describe('decodeHex', () => {
  it('reads digits of either case', () => {
    expect(decodeHex('00ff7FaB')).toEqual(Buffer.from([0x00, 0xff, 0x7f, 0xab]));
    expect(decodeHex('')).toEqual(Buffer.alloc(0));
  });

  it.each([
    '0',
    'abc',
    '0x00',
    'ab cd',
    'ab:cd',
    'abcg',
    'zzzz',
    'ab\n',
    '\u0141\u0141',
    '\uff10\uff10',
    '--',
  ])('refuses %j', (text) => {
    expect(decodeHex(text)).toBeUndefined();
  });
});

/** Source: go-securesystemslib's base64 tests. */
describe.skipIf(!haveVectors)('the base64 rows of dsse.json', () => {
  interface Row {
    name: string;
    text: string;
    expect: string;
    decodesToHex?: string;
  }
  const rows = haveVectors ? vectorJson<{ base64: Row[] }>('dsse.json').base64 : [];

  it('are all there', () => {
    expect(rows.map(({ name, expect }) => [name, expect === 'ok'])).toEqual([
      ['std', true],
      ['url', true],
      ['std-unpadded', false],
      ['url-unpadded', false],
      ['not-base64', false],
    ]);
  });

  it.each(rows)('$name', (row) => {
    expect(decodeBase64(row.text)?.toString('hex')).toBe(row.decodesToHex);
  });
});

/** An encoding of some bytes with one character replaced, inserted or removed. */
function edited(encode: (bytes: Uint8Array) => string) {
  const characters = [
    ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_= \n\0\u0141\uff21',
  ];
  return fc
    .record({
      bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
      at: fc.nat(),
      to: fc.constantFrom('', ...characters),
      insert: fc.boolean(),
    })
    .map(({ bytes, at, to, insert }) => {
      const original = encode(bytes);
      const index = at % original.length;
      const from = insert ? '' : original.charAt(index);
      const text = original.slice(0, index) + to + original.slice(index + from.length);
      return { bytes: Buffer.from(bytes), original, text, from, to };
    })
    .filter(({ original, text }) => text !== original);
}
