import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  createLineSplitter,
  neutralizeWorkflowCommands,
  visible,
  visibleBlock,
} from '../../src/output/escape.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

/** What must never reach a terminal: stated apart from the code, by code point. */
const PERFORMED = new RegExp(
  [
    '[\\u0000-\\u001f\\u007f-\\u009f\\u00ad]', // C0, DEL, C1, soft hyphen
    '[\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u3164\\uffa0]', // drawn as nothing
    '[\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]', // zero-width, bidi, separators
    '[\\u{e0000}-\\u{e0fff}]', // tags
    '[\\ud800-\\udfff]', // lone surrogates
  ].join('|'),
  'u',
);

describe('visible', () => {
  test.each([
    ['a colour', '\x1b[31mred\x1b[0m', '\\x1b[31mred\\x1b[0m'],
    ['a window title', '\x1b]0;pwned\x07', '\\x1b]0;pwned\\x07'],
    ['a hyperlink', '\x1b]8;;http://x\x1b\\y', '\\x1b]8;;http://x\\x1b\\y'],
    ['CSI in one byte', '\x9b2J', '\\x9b2J'],
    ['a line written over', 'FAILED\rpassed', 'FAILED\\rpassed'],
    ['a character rubbed out', 'no\b\bok\x7f', 'no\\x08\\x08ok\\x7f'],
    ['a forged line', 'x\nax: ok\u2028ax: ok\u0085ax: ok', 'x\\nax: ok\\u2028ax: ok\\x85ax: ok'],
    ['a tab', 'a\tb', 'a\\tb'],
    ['text in reverse', 'user\u202enimda\u202c', 'user\\u202enimda\\u202c'],
    ['an isolate', '\u2066x\u2069\u200f\u061c', '\\u2066x\\u2069\\u200f\\u061c'],
    ['a name with a hole', 'pay\u200bpal\ufeff\u00ad\u2060', 'pay\\u200bpal\\ufeff\\xad\\u2060'],
    ['blank letters', '\u115f\u3164\u180e', '\\u115f\\u3164\\u180e'],
    ['hidden tags', 'hi\u{e0041}', 'hi\\u{e0041}'],
    ['half a character', 'a\ud83d', 'a\\ud83d'],
    ['half a character before a whole one', '\udc00🔑', '\\udc00🔑'],
    ['no character', '\uffff\u{1fffe}', '\\uffff\\u{1fffe}'],
    ['null', '\0', '\\x00'],
    ['emoji that are joined', '👩\u200d🚀', '👩\\u200d🚀'],
    ['a selector that selects nothing', 'a\ufe0f1\ufe0f \ufe0e', 'a\\ufe0f1\\ufe0f \\ufe0e'],
    ['more than one selector', '⚠\ufe0f\ufe0f', '⚠\ufe0f\\ufe0f'],
  ])('%s is shown', (_, text, expected) => {
    expect(visible(text)).toBe(expected);
  });

  test.each([
    'naïve café',
    'e\u0301',
    'Привет, 世界',
    'עברית العربية',
    '🎉 👍🏽 ⚠️ 1️⃣ 🇨🇭',
    'C:\\x1b\\n',
    '\ue0b0',
    ' a  b ',
    '',
  ])('%j is kept', (text) => {
    expect(visible(text)).toBe(text);
    expect(visibleBlock(text)).toBe(text);
  });

  test('a block keeps its lines and tabs, and nothing else', () => {
    expect(visibleBlock('a:\n\tb\r\n\x1b[2J\u2028\v')).toBe('a:\n\tb\\r\n\\x1b[2J\\u2028\\x0b');
  });

  test('of any string nothing is performed, and what is safe stays in place', () => {
    const text = fc.string({
      unit: fc.oneof(fc.string({ unit: 'binary', maxLength: 1 }), hostile()),
      maxLength: 50,
    });
    fc.assert(
      fc.property(text, (written) => {
        const shown = visible(written);
        expect(shown).not.toMatch(PERFORMED);
        expect(visible(shown)).toBe(shown);
        expect(visibleBlock(written).replace(/[\n\t]/g, '')).not.toMatch(PERFORMED);
        expect(visibleBlock(written).replaceAll('\n', '\\n').replaceAll('\t', '\\t')).toBe(shown);
      }),
      { seed: 0x5eed, numRuns: 2000 },
    );
  });

  test('every code point is either kept or escaped with its own number', () => {
    for (let code = 0; code <= 0x10ffff; code++) {
      const char = String.fromCodePoint(code);
      const shown = visible(char);
      if (PERFORMED.test(char)) expect(shown).not.toBe(char);
      if (shown === char || '\n\r\t'.includes(char)) continue;
      const digits = /^\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|u\{([0-9a-f]{5,6})\})$/.exec(shown);
      expect(Number.parseInt(digits?.slice(1).join('') ?? '', 16), shown).toBe(code);
    }
  });
});

describe('workflow commands', () => {
  test.each([
    ['::error::gone', ': :error::gone'],
    ['  \t::set-output name=a::b', '  \t: :set-output name=a::b'],
    ['\u00a0\u3000\u0085\ufeff::add-mask::x', '\u00a0\u3000\u0085\ufeff: :add-mask::x'],
    [':::error::x', ': ::error::x'],
    ['::', ': :'],
    ['##[error]gone', '# #[error]gone'],
    ['text ##[group]a ##[endgroup]', 'text # #[group]a # #[endgroup]'],
    ['###[error]', '## #[error]'],
    ['##vso[task.setvariable variable=a]b', '# #vso[task.setvariable variable=a]b'],
    ['##TeamCity[x]', '# #TeamCity[x]'],
  ])('%j becomes %j', (line, expected) => {
    expect(neutralizeWorkflowCommands(line)).toBe(expected);
  });

  test.each(['std::vector', 'a ::b', ': ::', '## Heading', '#[derive]', 'Heading ## [link]', ''])(
    '%j stays',
    (line) => {
      expect(neutralizeWorkflowCommands(line)).toBe(line);
    },
  );

  test('no line is a command afterwards, and only spaces were put in', () => {
    const line = fc.string({ unit: fc.constantFrom(':', '#', '[', ' ', '\u00a0', 'a', 'B'), maxLength: 12 });
    fc.assert(
      fc.property(line, (written) => {
        const safe = neutralizeWorkflowCommands(written);
        expect(safe.trimStart().startsWith('::')).toBe(false);
        expect(safe).not.toMatch(/##[a-z]*\[/i);
        expect(safe.replaceAll(' ', '')).toBe(written.replaceAll(' ', ''));
        expect(neutralizeWorkflowCommands(safe)).toBe(safe);
      }),
      { seed: 0x5eed, numRuns: 3000 },
    );
  });
});

function linesOf(maxLineBytes: number, ...chunks: (string | Uint8Array)[]): string[] {
  const lines: string[] = [];
  const splitter = createLineSplitter({ maxLineBytes }, (line) => lines.push(line));
  for (const chunk of chunks) {
    // A copy that is wiped, as a reader that uses its buffer again would.
    const bytes = Buffer.from(chunk as Uint8Array);
    splitter.push(bytes);
    bytes.fill(0);
  }
  splitter.end();
  return lines;
}

describe('the line splitter', () => {
  test.each<[string, string, string[]]>([
    ['nothing', '', []],
    ['a line', 'one\n', ['one']],
    ['a line without an end', 'one\ntwo', ['one', 'two']],
    ['empty lines', '\n\na\n\n', ['', '', 'a', '']],
    ['CR LF', 'a\r\nb\r\n\r\n', ['a', 'b', '']],
    ['a progress bar', '1%\r2%\r3%\n', ['1%', '2%', '3%']],
    ['CR CR LF', 'a\r\r\nb', ['a', '', 'b']],
    ['LF CR', 'a\n\rb', ['a', '', 'b']],
    ['other separators are text', 'a\u2028b\u0085c\fd\0e', ['a\u2028b\u0085c\fd\0e']],
    ['characters of every size', 'aä€🔑\n\ufeffb', ['aä€🔑', '\ufeffb']],
  ])('%s', (_, text, expected) => {
    expect(linesOf(100, text)).toEqual(expected);
    const bytes = Buffer.from(text);
    expect(linesOf(100, ...Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(expected);
  });

  test.each<[string, string, string[]]>([
    ['exactly the limit', 'abcd\nefgh\r\n', ['abcd', 'efgh']],
    ['one more', 'abcde\n', ['abcd', 'e']],
    ['many more', 'abcdefghij', ['abcd', 'efgh', 'ij']],
    ['cut before a character, not in it', 'abcä', ['abc', 'ä']],
    ['four bytes after one', 'a🔑b', ['a', '🔑', 'b']],
    ['four bytes after four', '🔑🔑', ['🔑', '🔑']],
  ])('a long line, %s', (_, text, expected) => {
    expect(linesOf(4, text)).toEqual(expected);
  });

  test('a line is delivered as soon as it ends', () => {
    const lines: string[] = [];
    const splitter = createLineSplitter({ maxLineBytes: 8 }, (line) => lines.push(line));
    splitter.push(Buffer.from('a\nb\r'));
    expect(lines).toEqual(['a', 'b']);
    splitter.push(Buffer.from('\nc'));
    expect(lines).toEqual(['a', 'b']);
    splitter.end();
    splitter.end();
    expect(lines).toEqual(['a', 'b', 'c']);
  });

  test('bytes that are not UTF-8 are replaced, and take no line end with them', () => {
    expect(linesOf(100, Buffer.of(0x61, 0xff, 0x0a, 0xe2, 0x82, 0x0a, 0x62))).toEqual([
      'a\ufffd',
      '\ufffd',
      'b',
    ]);
    expect(linesOf(4, Buffer.alloc(9, 0x80))).toEqual(['\ufffd'.repeat(4), '\ufffd'.repeat(4), '\ufffd']);
  });

  test('a limit that no character fits is refused', () => {
    for (const maxLineBytes of [3, 0, -1, Number.NaN]) {
      expect(() => createLineSplitter({ maxLineBytes }, () => {})).toThrow(RangeError);
    }
  });

  test('splitting into chunks changes nothing, no piece is too long, and no text is lost', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'ä', '€', '🔑', '\n', '\r'), maxLength: 40 });
    const bytes = fc.oneof(
      text.map((written) => Buffer.from(written)),
      fc
        .array(fc.constantFrom(0x61, 0x80, 0xe2, 0xf0, 0xff, 0x0a, 0x0d), { maxLength: 40 })
        .map((list) => Buffer.from(list)),
    );
    const cuts = fc.array(fc.nat({ max: 160 }), { maxLength: 8 });
    fc.assert(
      fc.property(bytes, fc.integer({ min: 4, max: 12 }), cuts, (written, max, at) => {
        const offsets = [0, ...at.map((offset) => Math.min(offset, written.length)), written.length].sort(
          (a, b) => a - b,
        );
        const pieces = offsets.slice(1).map((to, index) => written.subarray(offsets[index], to));
        const lines = linesOf(max, written);
        expect(linesOf(max, ...pieces)).toEqual(lines);

        const decoded = written.toString();
        if (!Buffer.from(decoded).equals(written)) return;
        for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(max);
        expect(lines.join('')).toBe(decoded.replace(/[\r\n]/g, ''));
        const whole = decoded.split(/\r\n|\r|\n/);
        if (whole.at(-1) === '') whole.pop();
        expect(linesOf(1000, written)).toEqual(whole);
      }),
      { seed: 0x5eed, numRuns: 2000 },
    );
  });
});

describe.skipIf(!haveVectors)('naughty strings', () => {
  const strings = haveVectors ? vectorJson<string[]>('naughty-strings.json') : [];

  test('nothing in them is performed', () => {
    expect(strings.length).toBeGreaterThan(400);
    for (const text of strings) {
      expect(visible(text)).not.toMatch(PERFORMED);
      expect(visibleBlock(text).replace(/[\n\t]/g, '')).not.toMatch(PERFORMED);
      expect(neutralizeWorkflowCommands(visible(text)).trimStart()).not.toMatch(/^::|##\[/);
    }
  });

  test('as the output of a task they come out line by line', () => {
    const output = Buffer.from(strings.join('\n'));
    const lines = linesOf(64, output);
    expect(lines.join('')).toBe(output.toString().replace(/[\r\n]/g, ''));
    for (const line of lines) expect(visible(line)).not.toMatch(PERFORMED);
  });
});

/** The characters that attacks on terminals and readers are made of. */
function hostile(): fc.Arbitrary<string> {
  return fc.constantFrom(
    '\x1b',
    '\x9b',
    '\r',
    '\n',
    '\t',
    '\u202e',
    '\u2066',
    '\u200b',
    '\ufe0f',
    '⚠',
    '\ud83d',
    '\udd11',
  );
}
