/** Account and card numbers, told from other numbers by their checksums. */

/** Lengths of IBANs by country, as in SWIFT's registry. */
const IBAN_LENGTHS: Readonly<Record<string, number>> = Object.fromEntries(
  [
    [15, 'NO'],
    [16, 'BE'],
    [18, 'DK FO FI GL NL SD'],
    [19, 'MK SI SK'],
    [20, 'AT BA EE KZ XK LT LU MN'],
    [21, 'HR LV LI CH'],
    [22, 'BH BG CR GE DE IE ME RS GB VA'],
    [23, 'TL GI IQ IL OM SO AE'],
    [24, 'AD CZ MD PK RO SA SK ES SE TN VG'],
    [25, 'LY PT ST'],
    [26, 'IS TR'],
    [27, 'BI DJ FR GR IT MC MR SM'],
    [28, 'AL AZ BY CY DO SV GT HU LB NI PL'],
    [29, 'BR EG PS QA UA'],
    [30, 'JO KW MU YE'],
    [31, 'MT SC'],
    [32, 'LC'],
    [33, 'RU'],
    // Not in the registry, and in use.
    [26, 'DZ'],
    [26, 'IR'],
    [25, 'MZ'],
    [28, 'MA'],
  ].flatMap(([length, countries]) =>
    String(countries)
      .split(' ')
      .map((country) => [country, Number(length)]),
  ),
);

/** How many letters and digits a country's have; 0 where there are none. */
export function ibanDigits(country: string): number {
  return IBAN_LENGTHS[country] ?? 0;
}

/** Countries where the bank's code, right behind the check digits, is four letters. */
const LETTERS_FIRST = /^(?:AZ|BH|BG|GI|IE|IQ|JO|KW|LV|LC|MT|MU|NL|PK|PS|QA|RO|GB|VG|SV|SC)\d\d(?![A-Z]{4})/;

/** ISO 13616: the length of its country, and 1 modulo 97. */
export function isIban(text: string): boolean {
  const iban = text.replaceAll(/[ -]/g, '');
  if (IBAN_LENGTHS[iban.slice(0, 2)] !== iban.length) return false;
  if (LETTERS_FIRST.test(iban)) return false;
  let rest = 0;
  for (let at = 0; at < iban.length; at++) {
    // The country and the check digits count as if they came last.
    const code = iban.charCodeAt((at + 4) % iban.length);
    const value = code > 0x39 ? code - 0x37 : code - 0x30;
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}

/** First digits and lengths of the networks' numbers, ISO/IEC 7812. */
const CARDS =
  /^(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}|6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?|62\d{14,17}|(?:50|5[6-9]|6\d)\d{10,17}|81\d{14,17}|1\d{14})$/;

/** Luhn's digit, and the first digits of a network. */
export function isCard(text: string): boolean {
  const digits = text.replaceAll(/[ -]/g, '');
  if (!CARDS.test(digits) || new Set(digits).size === 1) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    sum += i % 2 === 0 ? digit : digit * 2 - (digit > 4 ? 9 : 0);
  }
  return sum % 10 === 0;
}
