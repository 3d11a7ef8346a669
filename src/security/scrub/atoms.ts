/** The parts of the sources of regular expressions that tokens are written with: characters and classes of them. */

/** One character: itself, escaped, or a class that says what is in it. */
export const ATOM = /\\[wd\W]|\[(?!\^)(?:\\[wd\W]|[^\]\\])+\]|[\w~/=-]/y;

const sets = new Map<string, Uint8Array>();

/** The bytes of an atom such as `a`, `\.` or `[A-Z2-7_]`; with `anyCase`, letters of the other case too. */
export function setOf(atom: string, anyCase: boolean): Uint8Array {
  const key = `${atom}${anyCase ? 'i' : ''}`;
  const known = sets.get(key);
  if (known !== undefined) return known;
  const set = new Uint8Array(256);
  const isClass = atom.startsWith('[');
  const inside = (isClass ? atom.slice(1, -1) : atom)
    .replaceAll('\\w', 'A-Za-z0-9_')
    .replaceAll('\\d', '0-9');
  for (const [, from = '', to = from] of inside.matchAll(/\\?([^\\]|(?<=\\)\\)(?:-(.))?/g)) {
    for (let byte = from.charCodeAt(0); byte <= to.charCodeAt(0); byte++) {
      set[byte] = 1;
      if (!anyCase) continue;
      const char = String.fromCharCode(byte);
      set[char.toLowerCase().charCodeAt(0)] = 1;
      set[char.toUpperCase().charCodeAt(0)] = 1;
    }
  }
  sets.set(key, set);
  return set;
}
