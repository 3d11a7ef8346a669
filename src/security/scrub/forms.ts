/**
 * The forms in which the value of a declared secret turns up in output: as it is, and as URLs, JSON, shells, base64
 * and hex write it.
 */

/** Hex and base64 of less are found in innocent text: `01`, `YWJj`. */
const MIN_ENCODED_BYTES = 6;

/**
 * Every form of one value, one character a byte, without duplicates. Base64 is that of the value at each of the three offsets that it can
 * have in what was encoded, in both alphabets: of the characters at its ends, those that are made of the value alone,
 * and those that end it when nothing follows it. What such a character shares with a neighbour may stay; it tells less
 * than six bits.
 */
export function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const texts = [value, ...urlForms(bytes), ...jsonForms(value), ...shellForms(value)];
  if (bytes.length >= MIN_ENCODED_BYTES) {
    const hex = bytes.toString('hex');
    texts.push(hex, hex.toUpperCase(), ...base64Forms(bytes));
  }
  return [...new Set(texts)].map((text) => Buffer.from(text).toString('latin1'));
}

/** `encodeURIComponent`, what RFC 3986 asks for, and forms, with digits of either case. */
function urlForms(bytes: Buffer): string[] {
  const text = bytes.toString('latin1');
  return [/[^\w.~-]/g, /[^\w.~!*'()-]/g, /[^\w.~!*'();/?:@&=+$,#-]/g].flatMap((special) => {
    const lower = text.replaceAll(special, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
    const upper = lower.replaceAll(/%../g, (code) => code.toUpperCase());
    return [upper, upper.replaceAll('%20', '+'), lower, lower.replaceAll('%20', '+')];
  });
}

/** With `/` as it is and escaped, with characters outside ASCII as they are and escaped. */
function jsonForms(value: string): string[] {
  const plain = JSON.stringify(value).slice(1, -1);
  const ascii = (upper: boolean): string =>
    plain.replaceAll(/[^ -~]/g, (unit) => {
      const digits = unit.charCodeAt(0).toString(16).padStart(4, '0');
      return `\\u${upper ? digits.toUpperCase() : digits}`;
    });
  return [plain, ascii(true), ascii(false)].flatMap((text) => [text, text.replaceAll('/', '\\/')]);
}

/** Inside single quotes, inside double quotes, and with a backslash before what is special. */
function shellForms(value: string): string[] {
  return [
    value.replaceAll("'", "'\\''"),
    value.replaceAll("'", `'"'"'`),
    value.replaceAll(/["$`\\]/g, '\\$&'),
    value.replaceAll(/[^\w@%+=:,./-]/g, '\\$&'),
  ];
}

function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const end = offset + bytes.length;
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    const first = Math.ceil((offset * 8) / 6);
    const own = encoded.slice(first, Math.floor((end * 8) / 6));
    const last = encoded.slice(first).replaceAll('=', '');
    return [own, last, encoded.slice(first)].flatMap((text) => [
      text,
      text.replaceAll('+', '-').replaceAll('/', '_'),
    ]);
  });
}
