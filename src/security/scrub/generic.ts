/**
 * What is assigned to a name that says it is secret, of whatever service: told from an identifier, a path or a digest
 * by its name, its entropy and its looks.
 */
import { table } from './assignment.ts';
import { entropyOf } from './entropy.ts';
import { isPublished } from './published.ts';
import { readsAsName } from './reads-as-name.ts';

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
const WEAK = /^(?:key|access|api|auth)$/i;
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
/** A value of small letters alone, or of capitals, is a word. */
const TELLING_VALUE = /[0-9]|[a-z][A-Z]/;

/** What a value looks like, whatever its name. */
export interface Looks {
  /** As a token does; a password need not. */
  readonly isRandom: boolean;
  readonly isPassword: boolean;
  readonly isDigestOrId: boolean;
}

/** @returns undefined for what is no secret under any name. */
export function looksOf(bytes: Uint8Array, text: string, start: number, end: number): Looks | undefined {
  const length = end - start;
  if (length < 8 || length > MAX_VALUE) return undefined;
  if (end < bytes.length && TERMINATORS[bytes[end] as number] !== 1) return undefined;
  const value = text.slice(start, end);
  if (!TELLING_VALUE.test(value)) return undefined;
  const isRandom = length >= 10 && entropyOf(value) >= MIN_ENTROPY && !readsAsName(value);
  const looks = { isRandom, isPassword: isPassword(value), isDigestOrId: DIGEST_OR_ID.test(value) };
  return (isRandom || looks.isPassword) && !isPublished(value) ? looks : undefined;
}

/**
 * @param name where the telling part of the name begins and ends, and the value begins.
 * @returns whether what such a value is assigned to this name is to be removed.
 */
export function isSecretName(
  bytes: Uint8Array,
  text: string,
  name: { readonly start: number; readonly end: number; readonly value: number },
  looks: Looks,
): boolean {
  const whole = text.slice(nameStart(bytes, name.start), name.value);
  if (!looks.isRandom && !PASSWORD.test(whole)) return false;
  const word = text.slice(name.start, name.end);
  // `rapId` and `tApir` are parts of other words.
  if (/^api$/i.test(word) && !/^(?:api|Api|API)$/.test(word)) return false;
  if (looks.isDigestOrId && WEAK.test(word) && !STRONG.test(whole)) return false;
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

/** A password need not be random; one in a file of settings is not a word, a variable or a call either. */
function isPassword(value: string): boolean {
  return /[a-z]/i.test(value) && /[0-9]/.test(value) && !/[/]/.test(value) && !/^[a-z]+[0-9]?$/i.test(value);
}
