/**
 * Where the value of an assignment begins: what follows `token` in `apiToken: "…"`, `API_TOKEN=…`, `token => '…'`. The
 * grammar of names and signs is that of gitleaks' rules, a bounded walk without any way back.
 */

const MAX_NAME_REST = 20;
const MAX_QUOTES_BEFORE = 3;
const MAX_QUOTES_AFTER = 5;
/** A sign comes within so many bytes, or none does. */
export const MAX_TO_SIGN = MAX_NAME_REST + MAX_QUOTES_BEFORE;

export const NAME_REST = table(' \t.-_', true);
const QUOTES_BEFORE = table(' \t\'"\\', false);
/** What can stand behind a name's telling part. */
export const AFTER_NAME = table(' \t\'"\\=>,|?:.-_', true);
const QUOTES_AFTER = table(' \t\'"`=\\', false);

/** @returns where the value begins, or -1; `at` is where the telling part of the name ends. */
export function assignedAt(bytes: Uint8Array, at: number, end: number): number {
  let now = skip(bytes, at, Math.min(end, at + MAX_NAME_REST), NAME_REST);
  now = skip(bytes, now, Math.min(end, now + MAX_QUOTES_BEFORE), QUOTES_BEFORE);
  const sign = skipSign(bytes, now, end);
  return sign === now ? -1 : skip(bytes, sign, Math.min(end, sign + MAX_QUOTES_AFTER), QUOTES_AFTER);
}

/** `=`, `=>`, `>`, `:`, `:=` with up to three colons, `||`, `?=` or a comma. */
function skipSign(bytes: Uint8Array, at: number, end: number): number {
  const char = at < end ? bytes[at] : -1;
  const next = at + 1 < end ? bytes[at + 1] : -1;
  if (char === 0x3d) return next === 0x3e ? at + 2 : at + 1;
  if (char === 0x3e || char === 0x2c) return at + 1;
  if (char === 0x7c) return next === 0x7c ? at + 2 : at;
  if (char === 0x3f) return next === 0x3d ? at + 2 : at;
  if (char !== 0x3a) return at;
  let now = at + 1;
  while (now < end && now < at + 3 && bytes[now] === 0x3a) now++;
  return now < end && bytes[now] === 0x3d ? now + 1 : at + 1;
}

/** The end of the run of what is in `set`. */
export function skip(bytes: Uint8Array, from: number, to: number, set: Uint8Array): number {
  let at = from;
  while (at < to && set[bytes[at] as number] === 1) at++;
  return at;
}

/** The start of the run of what is in `set` that ends at `from`. */
export function skipBack(bytes: Uint8Array, from: number, to: number, set: Uint8Array): number {
  let at = from;
  while (at > to && set[bytes[at - 1] as number] === 1) at--;
  return at;
}

/** A set of bytes, with letters and digits or without. */
export function table(chars: string, alphanumeric: boolean): Uint8Array {
  const set = new Uint8Array(256);
  const all = alphanumeric ? `${chars}ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789` : chars;
  for (const byte of Buffer.from(all)) set[byte] = 1;
  return set;
}
