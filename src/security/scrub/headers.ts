/** Credentials by where they stand: URLs, headers, curl's options. */
import { skip, table } from './assignment.ts';
import { entropyOf } from './entropy.ts';
import { type Matcher, matcher } from './matcher.ts';

export interface PlaceRule {
  readonly name: string;
  readonly keywords: readonly string[];
  /** Without an `@` behind it, it cannot be. */
  readonly needsAtSign?: boolean;
  /** What the keyword is followed by; anything, where it is not said. */
  readonly next?: Uint8Array;
  /** From the keyword on, up to the secret. */
  readonly lead: Matcher;
  /** What is removed. */
  readonly secret: Matcher;
  /** Bits a character, at least; 0 where it is not said. */
  readonly entropy?: number;
  /** What is published is none. */
  readonly sparesPublished?: boolean;
  readonly accepts?: (secret: string) => boolean;
}

/** What stands for a value that somebody fills in: `$TOKEN`, `${…}`, `<token>`, `[PASSWORD]`, `{{…}}`, `***`, `xxx`. */
const FILLED_IN = String.raw`["']?(?:[$<[{%(].*|\*+|x+|\.+|[A-Z]+(?:_[A-Z]+)+)["']?$`;
const PLACEHOLDER = new RegExp(`^${FILLED_IN}`, 'i');
const POOR = '(?:change(?:it|me)|pass(?:word)?|pwd|test|token|user(?:name)?|secret)$';
const POOR_PASSWORD = new RegExp(`^${POOR}`, 'i');
/** A user without a password, or with what is none. */
const USER_ALONE = new RegExp(`^[^:]*:(?:$|${FILLED_IN}|${POOR})`, 'i');

/** Not of curl alone: they count only behind its name. */
export const CURL_USER_OPTIONS: readonly string[] = ['-u', '--user'];

export function placeRules(): PlaceRule[] {
  return [
    {
      name: 'url-userinfo',
      keywords: ['://'],
      needsAtSign: true,
      lead: (_, at) => at + 3,
      secret: userInfoEnd,
      accepts: (secret) => {
        if (secret.includes(':')) return !USER_ALONE.test(secret);
        // A token in the place of the user's name, as git's hosts take them.
        return secret.length >= 20 && isRandom(secret) && /[0-9]/.test(secret);
      },
    },
    {
      name: 'authorization',
      keywords: ['authorization'],
      lead: matcher(
        () =>
          /authorization["']?[ \t]{0,5}[:=][ \t]{0,5}["']?(?:(?:basic|bearer|digest|negotiate|(?:api-?)?(?:token|key)|aws4-hmac-sha256)[ \t]{1,5})?/iy,
      ),
      secret: matcher(() => /[\w=~@.+/-]{8,4000}/iy),
      entropy: 2.75,
      accepts: (secret) => (secret.length >= 20 || /[^a-z]/.test(secret)) && !/^\.+$/.test(secret),
    },
    {
      name: 'cookie',
      keywords: ['cookie'],
      next: table('"\' \t:', false),
      lead: matcher(() => /cookie["']?[ \t]{0,5}:[ \t]{0,5}["']?/iy),
      secret: matcher(() => /[\w.-]{1,64}=[^\r\n"'\\]{6,4000}/iy),
      accepts: (secret) => !PLACEHOLDER.test(secret.slice(secret.indexOf('=') + 1)),
    },
    {
      name: 'curl-user',
      keywords: CURL_USER_OPTIONS,
      lead: matcher(() => /(?<=\s)(?:-u|--user)(?:=|[ \t]{0,5})/iy),
      secret: matcher(
        () =>
          /(?:"(?::[^"]{3,200}|[^":]{3,200}:[^"]{0,200})"|'[^':]{0,200}:[^']{3,200}'|(?:"[^":]{3,200}"|[\w$@.-]{1,200}):(?:"[^"]{3,200}"|'[^']{3,200}'|[\w${}@.-]{3,200}))(?=\s|$)/iy,
      ),
      entropy: 2,
      accepts: (secret) => {
        const colon = secret.indexOf(':');
        const [user, password] = [
          withoutQuotes(secret.slice(0, colon)),
          withoutQuotes(secret.slice(colon + 1)),
        ];
        // `-u "{id}":"{password}"` has braces around what is no name.
        const filledIn = /^\{.*\d.*\}$/.test(password);
        return (
          !POOR_PASSWORD.test(password) && (filledIn || !PLACEHOLDER.test(password)) && !/^[<[]/.test(user)
        );
      },
    },
    {
      name: 'facebook-token',
      keywords: ['facebook'],
      lead: matcher(() => /facebook[^\n\d]{1,30}/iy),
      secret: matcher(() => /\d{15,16}[|%][\w-]{27,40}/iy),
      entropy: 3,
    },
    {
      name: 'nuget-password',
      keywords: ['cleartextpassword'],
      next: table('"', false),
      lead: matcher(() => /cleartextpassword"\s{0,5}value="/iy),
      secret: matcher(() => /[^"\n]{8,200}(?=")/iy),
      entropy: 1,
      sparesPublished: true,
      accepts: (secret) => !/^%\S*%$/.test(secret),
    },
    {
      name: 'freemius-key',
      keywords: ['secret_key'],
      next: table('"\'', false),
      lead: matcher(() => /secret_key["']\s{0,5}=>\s{0,5}["']/iy),
      secret: matcher(() => /sk_\S{29}(?=["'])/iy),
    },
    {
      name: 'terraform-token',
      keywords: ['.atlasv1.'],
      lead: matcher(() => /\.atlasv1\./iy),
      secret: matcher(() => /[\w=-]{60,70}/iy),
      entropy: 3.5,
    },
    {
      name: 'azure-secret',
      keywords: ['q~'],
      lead: matcher(() => /(?<=[\w~.]{3}\d)Q~/y),
      secret: matcher(() => /[\w~.-]{31,34}(?=$|[\\'"`\s<),])/y),
      entropy: 3,
    },
  ];
}

function withoutQuotes(text: string): string {
  return /["']/.test(text) ? text.replaceAll(/["']/g, '') : text;
}

function isRandom(text: string): boolean {
  return entropyOf(Buffer.from(text, 'latin1'), 0, text.length) >= 3.5;
}

/** What cannot be in it: white space, what ends it or the authority, quotes and brackets. */
const NOT_USER_INFO = table(' \t\n\v\f\r/?#@\'"<>\\`', false);
const USER_INFO = NOT_USER_INFO.map((not) => 1 - not);
const MAX_USER_INFO = 768;

/** What is before the `@` of a URL; -1 without one. */
function userInfoEnd({ bytes }: { readonly bytes: Uint8Array }, at: number): number {
  const end = skip(bytes, at, Math.min(bytes.length, at + MAX_USER_INFO), USER_INFO);
  return end > at && bytes[end] === 0x40 ? end : -1;
}
