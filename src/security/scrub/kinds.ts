/** What a byte is in a word. */
export const SEPARATOR = 0;
export const DIGIT = 1;
export const CAPITAL = 2;
export const SMALL = 3;

/** By byte. */
export const KINDS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  if (/[a-z]/.test(char)) return SMALL;
  if (/[A-Z]/.test(char)) return CAPITAL;
  return /[0-9]/.test(char) ? DIGIT : SEPARATOR;
});

/** Small letters, with a capital before them or without, or capitals: `rapId` and `tApir` have parts of other words. */
export function isOneWord(bytes: Uint8Array, start: number, end: number): boolean {
  const first = KINDS[bytes[start] as number];
  if (first !== SMALL && first !== CAPITAL) return false;
  const second = end === start + 1 ? first : KINDS[bytes[start + 1] as number];
  if (second !== SMALL && (second !== CAPITAL || first !== CAPITAL)) return false;
  for (let at = start + 2; at < end; at++) if (KINDS[bytes[at] as number] !== second) return false;
  return true;
}
