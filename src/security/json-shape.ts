/** The first questions asked of a value from outside: is it an object, and if not, what to call it. */

/** True for a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a value is, for "expected …, found …"; never the value itself, which may be a secret or a kilobyte. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string' && value === '') return 'an empty string';
  return `a ${typeof value}`;
}

/** A name such as an algorithm, quoted; anything that does not look like one by its kind alone. */
export function nameOf(value: unknown): string {
  return typeof value === 'string' && /^[A-Za-z0-9+._-]{1,32}$/.test(value) ? `"${value}"` : kindOf(value);
}
