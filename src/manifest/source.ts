import { closest, distance } from 'fastest-levenshtein';
import type * as z from 'zod/mini';
import { AxError } from '../errors.ts';
import { knownKeys, RUNTIME_METADATA, type Source, sourceSchema } from './schema.ts';
import { type Position, parseYaml, type YamlSource } from './yaml.ts';

/**
 * Reads `ax.yaml`.
 *
 * @throws YAML_MALFORMED, MANIFEST_INVALID as `file:line:column: key: expected …`, every problem on its own line
 */
export function parseSource(bytes: Uint8Array, file: string): Source {
  const yaml = parseYaml(bytes, file);
  const result = sourceSchema.safeParse(yaml.value);
  if (result.success) return result.data;
  const problems = result.error.issues
    .flatMap((issue) => describe(issue, yaml))
    .sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column)
    .map(({ at, text }) => `${file}:${at.line}:${at.column}: ${text}`);
  throw new AxError('MANIFEST_INVALID', problems.join('\n'), {
    hint: `correct ${file} and run the command again`,
  });
}

interface Problem {
  readonly at: Position;
  readonly text: string;
}

function describe(issue: z.core.$ZodIssue, yaml: YamlSource): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      at: yaml.locate(issue.path, key),
      text: `${[...issue.path, key].join('.')}: expected a known key${suggest(key, issue.path)}`,
    }));
  }
  const where = issue.path.length === 0 ? 'document' : issue.path.join('.');
  const nested = issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined;
  // zod says "Invalid input: expected array, received string"; ax says what was expected and what was found.
  const words = (nested ?? issue.message)
    .replace(/^.*?: (?=expected)/, '')
    .replace(', received ', ', found ');
  return [{ at: yaml.locate(issue.path), text: `${where}: ${words}` }];
}

/** Close enough that a slip of the fingers explains it; or one of those that ax alone has to say. */
function suggest(key: string, path: readonly PropertyKey[]): string {
  if (path.at(-1) === 'metadata' && RUNTIME_METADATA.some((name) => name === key)) {
    return `; ax itself puts ${key} into the receipt`;
  }
  const candidate = closest(key, knownKeys());
  return distance(key, candidate) <= Math.max(1, Math.floor(key.length / 3))
    ? `; did you mean ${candidate}?`
    : '';
}
