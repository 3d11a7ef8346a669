import * as z from 'zod/mini';

/** The schema of one guard as it is written: an object with one key, the guard's name. */
type GuardOption = z.ZodMiniObject<Record<string, z.core.$ZodType>, z.core.$strict>;

type Problem = Pick<z.core.$ZodIssue, 'message' | 'path'> & {
  /** What is wrong with a key of a record. */
  readonly issues?: readonly { readonly message: string }[];
};

/**
 * The union of guards, with messages about the guard that was meant: a plain union would say about every
 * mistake in a guard that nothing fits.
 */
export function oneGuardOf<const Options extends readonly [GuardOption, ...GuardOption[]]>(options: Options) {
  return z.union(options, { error: (issue) => explain(issue.input, issue.errors, options) });
}

function explain(
  input: unknown,
  problems: readonly (readonly Problem[])[],
  options: readonly GuardOption[],
): string {
  const found = typeof input === 'object' && input !== null ? Object.keys(input) : [];
  const meant = options.findIndex(
    (option) => found.length === 1 && Object.hasOwn(option.shape, found[0] ?? ''),
  );
  const option = options[meant];
  if (option === undefined) {
    const names = options.flatMap(({ shape }) => Object.keys(shape)).join(', ');
    return `expected one guard, of ${names}; found ${found.join(' and ') || 'none'}`;
  }
  return (problems[meant] ?? []).map(describe).join('; ');
}

/** In brackets: where messages are printed, what stands before `: expected` is taken for zod's own preamble. */
function describe({ message, path, issues }: Problem): string {
  const words = issues?.[0]?.message ?? message;
  return `${path.join('.')} (${words.replace(/^.*?: (?=expected)/, '')})`;
}
