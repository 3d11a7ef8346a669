/** Private keys in PEM, as files have them and as JSON writes them in one line. */
import type { Sight } from './sight.ts';

export const PEM_KEYWORD = '-----begin';

/** More than a header or a footer has, with what is before it on its line. */
const MAX_HEADER = 160;
const HEADER = /-----BEGIN[ A-Z0-9_-]{0,40}PRIVATE KEY(?: BLOCK)?-----/iy;
/** Lines of base64 and of headers such as `DEK-Info: …`; line breaks may be written out, and lines quoted. */
const BODY =
  /(?:(?:\r?\n|\\r|\\n)[ \t"'#>+,]*(?:[A-Za-z-]{1,40}: [^\r\n\\]{0,200}|[A-Za-z0-9+/=]{0,2000}))*/y;
const FOOTER = /(?:\r?\n|\\r|\\n)?[ \t"'#>+,]*-----END[ A-Z0-9_-]{0,40}KEY(?: BLOCK)?-----/iy;
/** Less is an example. */
const MIN_BODY = 64;
/** The longest key that is looked for, and so the most that is held back for one. */
export const MAX_PEM = 64 * 1024;

/** @returns where the key that begins at `start` ends, 0 when none does. */
export function pemAt({ text, final }: Sight, start: number): number | 'undecided' {
  const undecided = !final && text.length - start < MAX_PEM;
  const headerEnd = endOf(HEADER, text, start);
  if (headerEnd === -1) return !final && text.length - start < MAX_HEADER ? 'undecided' : 0;
  const body = Math.min(endOf(BODY, text, headerEnd), start + MAX_PEM);
  // What follows could still belong to it.
  if (undecided && text.length - body < MAX_HEADER) return 'undecided';
  const footer = endOf(FOOTER, text, body);
  const length = body - headerEnd;
  return length < MIN_BODY ? 0 : Math.max(body, footer);
}

function endOf(pattern: RegExp, text: string, start: number): number {
  pattern.lastIndex = start;
  return pattern.test(text) ? pattern.lastIndex : -1;
}
