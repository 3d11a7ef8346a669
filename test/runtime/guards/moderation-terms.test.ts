import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { foldText } from '../../../src/runtime/guards/moderation-fold.ts';
import { inflectionsOf } from '../../../src/runtime/guards/moderation-inflections.ts';
import { LETTERS } from '../../../src/runtime/guards/moderation-lookalikes.ts';
import { readingsOf } from '../../../src/runtime/guards/moderation-readings.ts';
import { createTermFinder } from '../../../src/runtime/guards/moderation-terms.ts';
import { haveVectors, vectorJson } from '../../support/vectors.ts';

const find = (term: string, text: string): string | undefined => createTermFinder([term]).find(text);

describe('folding', () => {
  test.each([
    ['case', 'DROP Table', 'drop table'],
    ['full width', 'ｄｒｏｐ', 'drop'],
    ['mathematical alphabets', '𝓭𝓻𝓸𝓹 𝔡𝔯𝔬𝔭 𝚍𝚛𝚘𝚙', 'drop drop drop'],
    ['circles, squares, flags', 'ⓓⓡⓞⓟ 🅳🆁🅾🅿 🇩🇷🇴🇵', 'drop drop drop'],
    ['Cyrillic and Greek', 'раsswоrd ραsswοrd', 'password password'],
    ['small capitals', 'ᴅʀᴏᴘ', 'drop'],
    ['marks', 'd̷r̷ó̤p', 'drop'],
    ['letters with a stroke, ligatures', 'łøß ﬁle æon', 'loss file aeon'],
    ['zero-width characters and soft hyphens', 'd\u200br\u00ado\u2060p\ufeff', 'drop'],
    ['tags and bidi controls', 'dr\u{e0041}\u202eop', 'drop'],
    ['digits of other scripts', '１२ ٣ ४', '12 3 4'],
    ['punctuation and white space', '--a,,b  ; \t\n c!', 'a.b c!'],
    ['a change of case', 'dropTable SQLDrop VMs', 'drop.table sql.d.rop vms'],
    ['a capital I that may be an l', 'deIete IIS', 'de.ǀete iis'],
    ['other scripts', 'ПРИВЕТ 删除 עברית', 'npnbet 删除 עברית'],
    ['nothing', ' \u200b ', ''],
  ])('%s', (_, text, folded) => {
    expect(foldText(text)).toBe(folded);
  });

  test('of what is folded changes nothing, for every letter and mark that is no ideograph, on its own and in a word', () => {
    for (let code = 0; code <= 0x1ffff; code++) {
      if ((code >= 0x3400 && code < 0xa000) || (code >= 0xac00 && code < 0xd7a4)) continue;
      if (code >= 0x17000 && code < 0x1b000) continue;
      const char = String.fromCodePoint(code);
      const folded = foldText(`${char} a${char}B${char}cd${char}`);
      if (foldText(folded) !== folded) expect.fail(`U+${code.toString(16)}: ${folded}`);
    }
  });

  test('of what is folded changes nothing, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ unit: hostile }), (any, made) => {
        for (const text of [any, made]) expect(foldText(foldText(text))).toBe(foldText(text));
      }),
      { seed: 0x5eed, numRuns: 3000 },
    );
  });

  test('of ASCII is what it is among other text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary-ascii', maxLength: 60 }),
        fc.string({ unit: ascii }),
        (any, made) => {
          for (const text of [any, made]) {
            expect(foldText(`${text} 删`)).toBe(`${foldText(text)} 删`.trimStart().replace(/^\. /, ''));
          }
        },
      ),
      { seed: 0x5eed, numRuns: 3000 },
    );
  });

  test('every look-alike is a letter that stays itself without the table', () => {
    for (const char of LETTERS.keys()) {
      expect(char.normalize('NFKD')).toBe(char);
      if (char < '\u{1f150}') expect(char).toMatch(/[\p{Lu}\p{Ll}\p{Lo}]/u);
      expect(foldText(`x ${char}`)).toBe(`x ${LETTERS.get(char)}`);
    }
  });
});

describe('a denied term is found', () => {
  test.each<[string, string, string[]]>([
    [
      'as it is',
      'drop',
      ['drop', 'please drop it', 'DROP', 'Drop.', '(drop)', '"drop"', "drop's", 'sql:drop'],
    ],
    [
      'as part of an identifier',
      'drop',
      ['drop_all', 'can-drop', 'dropTable', 'SQLDrop', 'DELETEdrop', 'drop2', '2drop'],
    ],
    [
      'in look-alike letters',
      'password',
      ['раsswоrԁ', 'ｐａｓｓｗｏｒｄ', '𝗽𝗮𝘀𝘀𝘄𝗼𝗿𝗱', 'pässwörd', 'ραѕѕωоrd', '🅿🅰🆂🆂🆆🅾🆁🅳'],
    ],
    ['in digits and symbols', 'password', ['p4ssw0rd', 'pa55word', 'p@ssword', 'pa$$word', 'P@$$W0RD']],
    ['in 1, I, l and |', 'kill', ['k1ll', 'kiIl', 'kill', 'k!ll', 'ki||', 'KlLL', 'kǀll', 'ki11']],
    ['at the beginning, too', 'ignore', ['lgnore', '1gnore', '|gnore', 'Іgnоrе']],
    [
      'with something in between',
      'drop',
      [
        'dr\u200bop',
        'd\u00adrop',
        'd.r.o.p',
        'd-r-o-p',
        'dr/op',
        'd_rop',
        "d'r'o'p",
        'd*r*o*p',
        'd@r@o@p',
        'd👀r👀o👀p',
        'dʼrʼoʼp',
      ],
    ],
    [
      'spelled out',
      'drop',
      [
        'd r o p',
        'D  R  O  P',
        'd - r - o - p',
        'd r 0 p',
        'd.r.0.p',
        'dr.0.p',
        'd! r! o! p!',
        'to d r o p it',
      ],
    ],
    ['stretched', 'drop', ['drooop', 'ddddrop', 'dropppp', 'dropp', 'drrop', 'ddrroopp', 'dr000p']],
    ['inflected', 'drop', ['drops', 'dropped', 'dropping', 'DROPPING', 'dr0pp3d', 'd.r.o.p.s']],
    ['inflected', 'delete', ['deletes', 'deleted', 'deleting', 'de1eting']],
    ['inflected', 'copy', ['copies', 'copied', 'copying']],
    ['inflected', 'crash', ['crashes', 'crashed', 'crashing']],
    ['inflected', 'knife', ['knives', 'knifes']],
    [
      'as several words',
      'drop table',
      [
        'drop table',
        'DROP\n\tTABLE',
        'drop-table',
        'drop; table',
        'dropTable',
        'dropped tables',
        'drop_tables',
        'd r o p t a b l e',
        'dr0p  t4ble',
        'drop@table',
      ],
    ],
    ['with digits of its own', 'log4j', ['log4j', 'Log4J', 'log-4-j', 'ｌｏｇ４ｊ']],
    ['in Greek, whatever the case', 'νεα', ['νεα', 'ΝΕΑ', 'Νεα', 'τα νέα μας']],
    ['in Russian', 'удалить', ['УДАЛИТЬ', 'Удалить всё']],
    ['in a script without spaces', '删除', ['删除', '请删除数据库', '请-删除']],
    ['when it is written with marks', 'naïve', ['naive', 'NAÏVE', 'nai\u0308ve']],
    ['when it is written with symbols', 'user@host', ['user@host', 'USER@HOST', 'user host']],
  ])('%s: %s', (_, term, texts) => {
    for (const text of texts) expect([text, find(term, text)]).toEqual([text, term]);
  });
});

describe('a denied term is not found', () => {
  test.each<[string, string, string[]]>([
    [
      'inside other words',
      'ass',
      [
        'assess',
        'assesses',
        'class',
        'classes',
        'assign',
        'passed',
        'bass',
        'grass',
        'assassin',
        'Assets',
        'embarrass',
        'cl@ss',
        'p4ss',
      ],
    ],
    ['inside other words', 'cunt', ['Scunthorpe', 'SCUNTHORPE', 'ScUnThOrPe']],
    ['inside other words', 'sex', ['Essex', 'Sussex', 'sextant', 'Middlesex', 'unisex']],
    ['inside other words', 'cum', ['document', 'Cumbria', 'circumvent', 'cumulative', 'accumulate']],
    ['inside other words', 'tit', ['title', 'titan', 'constitution', 'entity', 'stitch']],
    ['inside other words', 'anal', ['analysis', 'canal', 'analyse', 'banal']],
    ['inside other words', 'drop', ['dropdown', 'backdrop', 'droplet', 'Dropbox', 'droop', 'raindrop']],
    ['inside other words', 'rape', ['grape', 'drape', 'scrape', 'rapeseed', 'therapist']],
    ['inside other words', 'spic', ['spice', 'spiced', 'suspicious']],
    ['in words that have one letter more', 'rot', ['root', 'robot', 'rooted']],
    ['in words that have one letter more', 'bot', ['boot', 'booted', 'reboot']],
    ['in words that are its like', 'rat', ['rate', 'rated', 'rating', 'rates']],
    ['across words', 'penis', ['the pen is here', 'a pen. Is it?', 'open issue']],
    ['across words', 'ass', ['as soon', 'as s', 'a ss', 'as-5', 'run as, so']],
    ['across words', 'cop', ['co-op', 'c oop']],
    ['across runs of words', 'the rapist', ['therapist', 'the therapist']],
    ['in numbers', 'so', ['500', '50', '5-0', '$50', '5 0']],
    ['in numbers', 'ios', ['10s', '105', '1.05']],
    ['in versions', 'vi', ['v1', 'v1.2.3']],
    ['in look-alikes of its digits', 'c4', ['ca', 'CA', 'c a']],
    ['in part', 'drop table', ['drop', 'table', 'drop the table', 'table drop', 'droptable']],
    ['in what is not written as it', 'drop', ['dr op', 'dr*p', 'drp', 'dorp', 'pord', '', '...']],
  ])('%s: %s', (_, term, texts) => {
    for (const text of texts) expect([text, find(term, text)]).toEqual([text, undefined]);
  });

  test('where there are no terms', () => {
    expect(createTermFinder([]).find('drop')).toBeUndefined();
  });
});

test('of several terms the one that ends first is named, as the policy spells it', () => {
  const finder = createTermFinder(['Table', 'DROP', 'drop table']);
  expect(finder.find('please drop table users')).toBe('DROP');
  expect(finder.find('one table')).toBe('Table');
  expect(finder.find('one column')).toBeUndefined();
});

test('inflections are spelled as English does', () => {
  expect(inflectionsOf('drop')).toEqual(['drop', 'drops', 'dropped', 'dropping']);
  expect(inflectionsOf('rate')).toEqual(['rate', 'rates', 'rated', 'rating']);
  expect(inflectionsOf('die')).toEqual(['die', 'dies', 'died', 'dying']);
  expect(inflectionsOf('agree')).toEqual(['agree', 'agrees', 'agreed', 'agreeing']);
  expect(inflectionsOf('box')).toEqual(['box', 'boxs', 'boxes', 'boxed', 'boxing']);
  expect(inflectionsOf('the')).toEqual(['the', 'thes', 'thed']);
  expect(inflectionsOf('log4j')).toEqual(['log4j']);
  expect(inflectionsOf('a')).toEqual(['a']);
  expect(inflectionsOf('删除')).toEqual(['删除']);
});

const terms = [
  'drop',
  'password',
  'kill all',
  'exfiltrate',
  'reverse shell',
  'ignore previous instructions',
  'hack',
];
const before = fc.constantFrom('', 'please ', 'Wir ', 'a-', '(', 'now: ', '1. ', '\n', '請');
const after = fc.constantFrom('', ' it', '.', '!', ')', ' 2', '\n', ', then', '-all', '請');
const invisible = fc.constantFrom(
  '',
  '\u200b',
  '\u200d',
  '\u00ad',
  '\u2060',
  '\ufeff',
  '\u0301',
  '\u{e0020}',
  '\ufe0f',
);
const punctuation = fc.constantFrom(
  '',
  '.',
  '-',
  '_',
  '/',
  '*',
  '·',
  '@',
  '$',
  '!',
  '|',
  '+',
  '...',
  '👀',
  'ʼ',
  '«',
);

/** The term with something done to each of its letters; spaces stay. */
function disguised(each: (letter: string) => fc.Arbitrary<string>): fc.Arbitrary<[string, string]> {
  return fc
    .tuple(fc.constantFrom(...terms), before, after)
    .chain(([term, head, tail]) =>
      fc
        .tuple(...[...term].map((letter) => (letter === ' ' ? fc.constant(' ') : each(letter))))
        .map((letters): [string, string] => [term, head + letters.join('') + tail]),
    );
}

/** A letter or what passes for it, with any case. */
function alike(letter: string): fc.Arbitrary<string> {
  const own = [...LETTERS].filter(([, as]) => as === letter || (as === 'ǀ' && 'il'.includes(letter)));
  const styled = [0x1d41a, 0x1d4ea, 0x1d5ee, 0xff41, 0x24d0].map((first) =>
    String.fromCodePoint(first + letter.charCodeAt(0) - 0x61),
  );
  return fc.constantFrom(letter, letter.toUpperCase(), ...own.map(([char]) => char), ...styled);
}

/** A letter or a digit that is written for it. */
function leet(letter: string): fc.Arbitrary<string> {
  return fc.constantFrom(
    letter,
    letter,
    ...[...'0123456789@$!|'].filter((char) => readingsOf(char).includes(letter)),
  );
}

describe('a denied term stays found', () => {
  const property = (text: fc.Arbitrary<[string, string]>): void =>
    fc.assert(
      fc.property(text, ([term, written]) => {
        expect([written, find(term, written)]).toEqual([written, term]);
      }),
      { seed: 0x5eed, numRuns: 2000 },
    );

  test('whatever invisible is put between its letters', () => {
    property(disguised((letter) => fc.tuple(invisible, invisible).map(([a, b]) => letter + a + b)));
  });

  test('whatever punctuation is put between its letters', () => {
    property(disguised((letter) => punctuation.map((mark) => letter + mark)));
  });

  test('whatever its letters are replaced with that looks like them', () => {
    property(disguised(alike));
  });

  test('whatever is done of all this at once', () => {
    property(
      disguised((letter) => fc.tuple(alike(letter), invisible, punctuation).map((parts) => parts.join(''))),
    );
  });

  test('in any case', () => {
    property(disguised((letter) => fc.constantFrom(letter, letter.toUpperCase())));
  });

  test('when letters are written as digits and symbols, as long as a letter is left', () => {
    const text = disguised((letter) => fc.tuple(leet(letter), invisible).map((parts) => parts.join('')));
    property(text.filter(([term, written]) => term.split(' ').length === 1 && /[a-z].*[a-z]/.test(written)));
  });

  test('when every letter is stretched', () => {
    property(disguised((letter) => fc.integer({ min: 3, max: 6 }).map((times) => letter.repeat(times))));
  });

  test('in the plural', () => {
    fc.assert(
      fc.property(fc.constantFrom(...terms), before, after, invisible, (term, head, tail, mark) => {
        for (const form of inflectionsOf(term.split(' ').at(-1) ?? '')) {
          const written = head + term.replace(/\S+$/, form.split('').join(mark)) + tail;
          expect([written, find(term, written)]).toEqual([written, term]);
        }
      }),
      { seed: 0x5eed, numRuns: 500 },
    );
  });
});

test('a term never matches inside a longer run of letters', () => {
  const letters = fc.string({ unit: fc.constantFrom(...'bcfgjkmqvwxz'), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom('drop', 'hat', 'land'), letters, letters, (term, head, tail) => {
      expect(find(term, head + term + tail)).toBeUndefined();
      expect(find(term, `${head + term} x`)).toBeUndefined();
    }),
    { seed: 0x5eed, numRuns: 1000 },
  );
});

test('text made to keep every term under way takes no more than its length', () => {
  const finder = createTermFinder(Array.from({ length: 200 }, (_, at) => 'a'.repeat(100 - (at % 50))));
  for (const text of ['a.'.repeat(2000), 'a '.repeat(2000), 'a'.repeat(4000), 'a@'.repeat(2000)]) {
    expect(() => finder.find(text)).not.toThrow();
  }
});

test.skipIf(!haveVectors)('naughty strings are searched, and found as terms where they are words', () => {
  const strings = haveVectors ? vectorJson<string[]>('naughty-strings.json') : [];
  expect(strings.length).toBeGreaterThan(400);
  const finder = createTermFinder(['scunthorpe', 'select', 'drop table', 'ab']);
  for (const text of strings) {
    finder.find(text);
    expect(foldText(foldText(text))).toBe(foldText(text));
    createTermFinder([text]).find(text);
  }
  expect(finder.find('1;DROP TABLE users')).toBe('drop table');
});

const hostile = fc.constantFrom(
  ...'aAbIlL1!|@$.- \tΝνΣσς',
  'ǅ',
  'İ',
  'Ɪ',
  'ﷺ',
  '\u0301',
  '\u200b',
  '删',
  '👀',
  '\ud83d',
);
const ascii = fc.constantFrom(...'aAbBIlL1.- ');
