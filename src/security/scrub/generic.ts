/**
 * What is assigned to a name that says it is secret, of whatever service: told from an identifier, a path or a digest
 * by its name, its entropy and its looks.
 */
import { table } from './assignment.ts';
import { entropyOf } from './entropy.ts';
import { CAPITAL, DIGIT, isOneWord, KINDS, SEPARATOR, SMALL } from './kinds.ts';
import { isPublished } from './published.ts';
import { readsAsName } from './reads-as-name.ts';
import type { Sight } from './sight.ts';

/** Parts of names that say so, lower case. */
export const TELLING = [
  ...['access', 'api', 'auth', 'credential', 'creds', 'key', 'passwd', 'password', 'passphrase', 'secret'],
  ...['token', 'pwd'],
];

/** Names that have such a part, and whose values are no secret. */
const NOT_SECRET = new RegExp(
  [
    'access(?:ibility|or)|access[ _.-]?id|random[ _.-]?access|api[ _.-]?(?:id|name|version)|rapid|capital',
    'api[a-z0-9-]*:jar:|author|exchange-organization-auth|authentication-results|credentials?[ _.-]?id',
    'withcredentials|(?:bucket|foreign|hot|idx|natural|primary|pub(?:lic)?|schema|sequence|cache|sort|partition)[ _.-]?key',
    'turkey|key[ _.-]?(?:alias|board|code|frame|id|length|mesh|name|pair|press(?:ed)?|ring|selector|signature|size|stone)',
    'key[ _.-]?(?:store|tab|word|up|down|left|right|vault|hash|fingerprint|chars|str\\b)|issuerkeyhash|monkey|keying|hockey',
    'secret[ _.-]?(?:length|name|size|version|id\\b)|usersecretsid|csrf[ _.-]?token|jsonwebtoken|pubkey',
    '(?:api|credentials|token)[ _.-]?(?:endpoint|ur[il]|type|count)|public[ _.-]?token|(?:key|token|secret)[ _.-]?(?:file|path|ref)|keystr',
  ].join('|'),
  'i',
);

/** By themselves such names are as often those of digests and ids. */
const WEAK = new Set(['key', 'access', 'api', 'auth']);
const PASSWORD = /passw|pwd|passphrase/i;
const STRONG =
  /token|secret|passw|passphrase|pwd|cred|(?:api|access|auth|private|account|master|encryption|signing|license)[_.-]?key/i;
/** With words before it too, as keys of caches have them. */
const DIGEST_OR_ID =
  /^(?:[a-z]\w{0,24}[-.]){0,5}(?:[0-9a-f]{32,128}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

const MAX_NAME = 50;
const MAX_VALUE = 150;
const NAME = table('_.-', true);
/** What a value is made of. */
export const VALUE = table('_.=+/-', true);
/** What ends a value: a quote, white space, and the signs that separate it from the next. */
const TERMINATORS = table('`\'" \t\r\n;&,<\\', false);
const MIN_ENTROPY = 3.5;
const SLASH = 0x2f;

/** What a value looks like, whatever its name. */
export interface Looks {
  readonly start: number;
  readonly end: number;
  /** As a token does; a password need not. */
  readonly isRandom: boolean;
}

type Place = Pick<Sight, 'bytes' | 'text'>;

/** @returns undefined for what is no secret under any name. */
export function looksOf(sight: Place, start: number, end: number): Looks | undefined {
  const { bytes } = sight;
  const length = end - start;
  if (length < 8 || length > MAX_VALUE) return undefined;
  if (end < bytes.length && TERMINATORS[bytes[end] as number] !== 1) return undefined;
  let [letters, digits, slashes, last] = [0, 0, 0, SEPARATOR];
  let isMixed = false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    const kind = KINDS[byte] as number;
    if (kind === DIGIT) digits++;
    else if (kind !== SEPARATOR) letters++;
    else if (byte === SLASH) slashes++;
    if (kind === CAPITAL && last === SMALL) isMixed = true;
    last = kind;
  }
  // Small letters alone, or capitals, are a word.
  if (digits === 0 && !isMixed) return undefined;
  const isRandom =
    length >= 10 && entropyOf(bytes, start, end) >= MIN_ENTROPY && !readsAsName(bytes, start, end);
  // A password need not be random; one in a file of settings is not a word, a variable or a call either.
  const isWord = letters === length - 1 && last === DIGIT;
  const isPassword = letters > 0 && digits > 0 && slashes === 0 && !isWord;
  if (!isRandom && !isPassword) return undefined;
  return isPublished(sight, start, end) ? undefined : { start, end, isRandom };
}

/**
 * @param start where the telling part of the name begins.
 * @param part that part, in lower case.
 * @returns whether what looks so is to be removed where it is assigned to this name.
 */
export function isSecretName({ bytes, text }: Place, start: number, part: string, looks: Looks): boolean {
  const whole = text.slice(nameStart(bytes, start), looks.start);
  if (!looks.isRandom && !PASSWORD.test(whole)) return false;
  if (part === 'api' && !isOneWord(bytes, start, start + part.length)) return false;
  if (WEAK.has(part) && !STRONG.test(whole) && DIGEST_OR_ID.test(text.slice(looks.start, looks.end)))
    return false;
  return !NOT_SECRET.test(whole);
}

/** The name's first letter, and the word before it: a `public key` is none that is secret. */
function nameStart(bytes: Uint8Array, at: number): number {
  let start = at;
  let spaces = 0;
  while (start > 0 && at - start < MAX_NAME) {
    const before = bytes[start - 1] as number;
    if (NAME[before] !== 1 && (before !== 0x20 || ++spaces > 1)) break;
    start--;
  }
  return start;
}
