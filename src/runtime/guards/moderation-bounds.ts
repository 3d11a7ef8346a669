/** What a moderated text may be at all, checked before anything looks inside it. */

/** The texts of one run that moderation looks at. */
export interface Submission {
  readonly title: string;
  readonly description: string;
  readonly inputs: Readonly<Record<string, string>>;
}

/** `title`, `description`, or an input as `inputs.name`. */
export type Field = 'title' | 'description' | `inputs.${string}`;

export interface BoundsFinding {
  readonly kind: 'bounds';
  readonly field: Field;
  readonly problem: 'too-long' | 'control-character' | 'lone-surrogate';
  /** In code points, after trimming. */
  readonly characters: number;
  readonly limit: number;
}

/** The submission without white space around its texts. */
export function trimmed({ title, description, inputs }: Submission): Submission {
  return {
    title: title.trim(),
    description: description.trim(),
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, value.trim()])),
  };
}

/** Every text with its name, the inputs in the order of theirs. */
export function fieldsOf({ title, description, inputs }: Submission): [Field, string][] {
  const names = Object.keys(inputs).sort();
  return [
    ['title', title],
    ['description', description],
    ...names.map((name): [Field, string] => [`inputs.${name}`, inputs[name] ?? '']),
  ];
}

/** The first text that is out of bounds. Line feeds and tabs belong in a description and nowhere else. */
export function findOutOfBounds(submission: Submission, limit: number): BoundsFinding | undefined {
  for (const [field, text] of fieldsOf(submission)) {
    const characters = countCharacters(text);
    const problem = problemOf(field, text, characters > limit);
    if (problem !== undefined) return { kind: 'bounds', field, problem, characters, limit };
  }
  return undefined;
}

function problemOf(field: Field, text: string, tooLong: boolean): BoundsFinding['problem'] | undefined {
  if (tooLong) return 'too-long';
  const control = field === 'description' ? /[^\P{Cc}\n\t]/u : /\p{Cc}/u;
  if (control.test(text)) return 'control-character';
  return text.isWellFormed() ? undefined : 'lone-surrogate';
}

/** Counted, not spread into an array: this runs before any bound holds. */
function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
