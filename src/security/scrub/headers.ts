/** Credentials by where they stand: URLs, headers, curl's options. */
import { entropyOf } from './entropy.ts';
import { isPublished } from './published.ts';

export interface PlaceRule {
  readonly name: string;
  readonly keywords: readonly string[];
  /** A byte without which it cannot be. */
  readonly needs?: number;
  /** From the keyword on; what is in the group `secret`, with which it ends, is removed. */
  readonly pattern: RegExp;
  readonly accepts: (secret: string) => boolean;
}

/** What stands for a value that somebody fills in: `$TOKEN`, `${…}`, `<token>`, `[PASSWORD]`, `{{…}}`, `***`, `xxx`. */
const PLACEHOLDER = /^["']?(?:[$<[{%(].*|\*+|x+|\.+|[A-Z]+(?:_[A-Z]+)+)["']?$/i;
const POOR = /^(?:change(?:it|me)|pass(?:word)?|pwd|test|token|user(?:name)?|secret)$/i;

/** Not of curl alone: they count only behind its name. */
export const CURL_USER_OPTIONS: readonly string[] = ['-u', '--user'];

export function placeRules(): PlaceRule[] {
  return [
    {
      name: 'url-userinfo',
      keywords: ['://'],
      needs: 0x40,
      pattern: /:\/\/(?<secret>[^\s/?#@'"<>\\`]{1,768})(?=@)/y,
      accepts: (secret) => {
        const colon = secret.indexOf(':');
        // A token in the place of the user's name, as git's hosts take them.
        if (colon === -1) return secret.length >= 20 && entropyOf(secret) >= 3.5 && /[0-9]/.test(secret);
        const password = secret.slice(colon + 1);
        return password !== '' && !PLACEHOLDER.test(password) && !POOR.test(password);
      },
    },
    {
      name: 'authorization',
      keywords: ['authorization'],
      pattern:
        /authorization["']?[ \t]{0,5}[:=][ \t]{0,5}["']?(?:(?:basic|bearer|digest|negotiate|(?:api-?)?(?:token|key)|aws4-hmac-sha256)[ \t]{1,5})?(?<secret>[\w=~@.+/-]{8,4000})/iy,
      accepts: (secret) =>
        entropyOf(secret) >= 2.75 && (/[^a-z]/.test(secret) || secret.length >= 20) && !/^\.+$/.test(secret),
    },
    {
      name: 'cookie',
      keywords: ['cookie'],
      pattern: /cookie["']?[ \t]{0,5}:[ \t]{0,5}["']?(?<secret>[\w.-]{1,64}=[^\r\n"'\\]{6,4000})/iy,
      accepts: (secret) => !PLACEHOLDER.test(secret.slice(secret.indexOf('=') + 1)),
    },
    {
      name: 'curl-user',
      keywords: CURL_USER_OPTIONS,
      pattern:
        /(?<=\s)(?:-u|--user)(?:=|[ \t]{0,5})(?<secret>"(?::[^"]{3,200}|[^":]{3,200}:[^"]{0,200})"|'[^':]{0,200}:[^']{3,200}'|(?:"[^":]{3,200}"|[\w$@.-]{1,200}):(?:"[^"]{3,200}"|'[^']{3,200}'|[\w${}@.-]{3,200}))(?=\s|$)/iy,
      accepts: (secret) => {
        const password = secret.slice(secret.indexOf(':') + 1).replaceAll(/["']/g, '');
        const user = secret.slice(0, secret.indexOf(':')).replaceAll(/["']/g, '');
        // `-u "{id}":"{password}"` has braces around what is no name.
        const filledIn = /^\{.*\d.*\}$/.test(password);
        return (
          entropyOf(secret) >= 2 &&
          !POOR.test(password) &&
          (filledIn || !PLACEHOLDER.test(password)) &&
          !/^[<[]/.test(user)
        );
      },
    },
    {
      name: 'facebook-token',
      keywords: ['facebook'],
      pattern: /facebook[^\n\d]{1,30}(?<secret>\d{15,16}[|%][\w-]{27,40})/iy,
      accepts: (secret) => entropyOf(secret) >= 3,
    },
    {
      name: 'nuget-password',
      keywords: ['cleartextpassword'],
      pattern: /cleartextpassword"\s{0,5}value="(?<secret>[^"\n]{8,200})(?=")/iy,
      accepts: (secret) => entropyOf(secret) >= 1 && !isPublished(secret) && !/^%\S*%$/.test(secret),
    },
    {
      name: 'freemius-key',
      keywords: ['secret_key'],
      pattern: /secret_key["']\s{0,5}=>\s{0,5}["'](?<secret>sk_\S{29})(?=["'])/iy,
      accepts: () => true,
    },
    {
      name: 'terraform-token',
      keywords: ['.atlasv1.'],
      pattern: /\.atlasv1\.(?<secret>[\w=-]{60,70})/iy,
      accepts: (secret) => entropyOf(secret) >= 3.5,
    },
    {
      name: 'azure-secret',
      keywords: ['q~'],
      pattern: /(?<=[\w~.]{3}\d)Q~(?<secret>[\w~.-]{31,34})(?=$|[\\'"`\s<),])/y,
      accepts: (secret) => entropyOf(secret) >= 3,
    },
  ];
}
