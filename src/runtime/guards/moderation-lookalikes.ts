/**
 * Characters that pass for a Latin letter in common fonts and that Unicode's own compatibility mapping (NFKD) leaves
 * alone. A choice from Unicode UTS #39 "confusables", with small capitals, letters with strokes, squared letters and
 * what is drawn in place of a letter ("faux Cyrillic") added. Right-to-left letters are left out: among Latin
 * letters they do not stay where they were put.
 */
const ALIKE: Readonly<Record<string, string>> = {
  a: 'ƛȺɑΑΛαλАДадӕᎪᗅᴀⱥꓮꭺ',
  b: 'ƀƁƄƅɃɓʙΒβБВЪЬбвъьᏏᏴᑲᖯᗷᛒⲂꓐꞴ',
  c: 'ƆƇƈȻȼɔϛСсҪҫငᏟᴄⲤⲥꓚꮯ',
  d: 'ÐðĐđƉƊɖɗԀԁᎠᏧᑯᗞᗪᴅꓒꓓ',
  e: 'ƎƏƐǝɆɇəɛΕΞΣεξЄЕЭеэєҽҾҿᎬᴇⴹꓰꬲ',
  f: 'ƑƒϜϝҒғքᖴẝꓝꜰꞘꞙꬵ',
  g: 'ƍƓǤǥɠɡɢɣԌԍցᏀᏳᶃꓖ',
  h: 'ĦħʜΗЂЋНнђћҥҺһӇӈհᎻᏂᕼⲎꓧ',
  i: 'ıƗɨɩɪΙιІіւᎥⲒⲓꓲꙇꭵ',
  j: 'ƖȷɈɉͿϳЈјյᎫᒍᴊꓙ',
  k: 'ĸƘƙΚκКкҚқҜҝӃӄᏦᛕᴋⲔꓗ',
  l: 'ŁłƚȽɭʟԼլᏞᒪⳐꓡ',
  m: 'ɱΜϺϻМмᎷᗰᛖᴍⲘꓟ',
  n: 'ŊŋƝƞȠɲɴΝηπИПипոռᴎⲚⲛꓠ',
  o: 'ØøƟɵΘΟθοσОФофӨөՕօଠഠဝჿዐᴏᴑⲞⲟⵔꓳ',
  p: 'ÞþƤƥƿΡρϷϸРрᏢᑭᴘⲢⲣⳎⳏꓑ',
  q: 'ɊɋʠԚԛգզႳⵕ',
  r: 'ƦɌɍɼɾʀΓГЯгяᎡᏒᖇᴦⲅꓣꭇꭈꮁ',
  s: 'ƧƨƽʂϨЅѕՏտടᏕᏚꓢꜱꮪ',
  t: 'ŦŧƬƭƮʈΤτТтҬҭᎢᴛⲦⲧꓔ',
  u: 'ɄɥʉʋμυЦцՍսሀᑌᴜꓴꞟꭎꭒ',
  v: 'ɅʌνѴѵᏙᐯᴠⱱⴸꓦꛟꮩ',
  w: 'ƜɯʍωШЩшщѠѡѿԜԝաᎳᏔᴡⲽꓪꮃ',
  x: 'ΧχЖХжхҲҳӼӽᕁᕽᚷⲬⲭⵝꓫ',
  y: 'ƳƴɎɏʏΥγУучҮүҰұყᎩᎽᶌỿⲨⲩꓬꭚ',
  z: 'ƵƶƷȤȥɀʐʒΖζЗзᏃᴢⱿꓜꮓ',
  // Either of i and l, as this letter itself reads: see `readingsOf`.
  ǀ: 'ǃӀӏᛁⵏꞮ',
  ae: 'Ææ',
  oe: 'Œœ',
  ss: 'ßẞ',
};

/** Alphabets that are 26 code points in a row, A to Z: negative circled, negative squared, regional indicators. */
const ALPHABETS = [0x1f150, 0x1f170, 0x1f1e6];

function buildLetters(): ReadonlyMap<string, string> {
  const letters = new Map<string, string>();
  for (const [letter, alike] of Object.entries(ALIKE)) {
    for (const char of alike) letters.set(char, letter);
  }
  for (const first of ALPHABETS) {
    for (let at = 0; at < 26; at++) {
      letters.set(String.fromCodePoint(first + at), String.fromCharCode(0x61 + at));
    }
  }
  return letters;
}

/** What a character passes for: a letter, `ǀ` for either of i and l, or the two letters of a ligature. */
export const LETTERS = buildLetters();
