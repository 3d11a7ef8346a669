import * as z from 'zod/mini';

/** What the grammar of a manifest is made of, each with words for what was expected. */

/** A check with the words for what was expected. */
export function expect<T>(holds: (value: T) => boolean, expected: string) {
  return z.refine<T>(holds, `expected ${expected}`);
}

/** Text that a person reads: no control characters, in Unicode normal form, bounded. */
export function line(max: number) {
  return z.string().check(
    z.maxLength(max),
    expect((text) => !/\p{Cc}|\p{Cs}/u.test(text), 'no control characters'),
    expect((text) => text === text.normalize('NFC'), 'text in Unicode normal form C'),
  );
}

export function name(pattern: RegExp, expected: string) {
  return z.string().check(z.regex(pattern, `expected ${expected}`));
}

/** A path in the project: relative, forward slashes, never leaving it. */
export const path = line(1024).check(
  expect(
    (text) => text !== '' && !text.startsWith('/') && !text.includes('\\') && !text.split('/').includes('..'),
    'a relative path inside the project',
  ),
);
