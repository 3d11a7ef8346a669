import { closest, distance } from 'fastest-levenshtein';
import type * as z from 'zod/mini';
import { AxError } from '../errors.ts';
import { knownKeys, type Source, sourceSchema } from './schema.ts';
import { parseYaml, type YamlSource } from './yaml.ts';

/**
 * Reads `ax.yaml`.
 *
 * @throws YAML_MALFORMED, MANIFEST_INVALID as `file:line:column: key: expected …`, every problem on its own line
 */
export function parseSource(bytes: Uint8Array, file: string): Source {
  const yaml = parseYaml(bytes, file);
  const result = sourceSchema.safeParse(yaml.value);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => describe(issue, yaml));
  throw new AxError('MANIFEST_INVALID', problems.map((problem) => `${file}:${problem}`).join('\n'), {
    hint: `correct ${file} and run the command again`,
  });
}

function describe(issue: z.core.$ZodIssue, yaml: YamlSource): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const where = [...issue.path, key].join('.');
      return `${yaml.locate(issue.path, key)}: ${where}: expected a known key${suggest(key)}`;
    });
  }
  const where = issue.path.length === 0 ? 'document' : issue.path.join('.');
  const nested = issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined;
  return [
    `${yaml.locate(issue.path)}: ${where}: ${(nested ?? issue.message).replace(/^Invalid input: /, '')}`,
  ];
}

/** Close enough that a slip of the fingers explains it. */
function suggest(key: string): string {
  const candidate = closest(key, knownKeys());
  return distance(key, candidate) <= Math.max(1, Math.floor(key.length / 3))
    ? `; did you mean ${candidate}?`
    : '';
}
