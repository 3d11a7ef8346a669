import * as z from 'zod';
import { parseDuration } from '../security/duration.ts';

/**
 * The grammar of what people write (`ax.yaml`) and of what is signed (the payload of `ax.lock`). A task has one
 * shape in both; signing adds what was found out about its dependencies.
 */

/** Text that a person reads: no control characters, in Unicode normal form, bounded. */
function line(max: number) {
  return z
    .string()
    .max(max)
    .refine((text) => !/\p{Cc}|\p{Cs}/u.test(text), 'expected no control characters')
    .refine((text) => text === text.normalize('NFC'), 'expected text in Unicode normal form C');
}

function name(pattern: RegExp, expected: string) {
  return z.string().regex(pattern, `expected ${expected}`);
}

export const projectName = name(
  /^(?=.{1,128}$)[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)*$/,
  'a project name such as acme/web (lower case, digits, . _ - and /)',
);
export const taskName = name(
  /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/,
  'a task name of up to 64 letters, digits, . _ : and -',
);
const environmentName = name(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'the name of an environment variable');
const parameterName = name(/^[a-z][a-zA-Z0-9_]{0,63}$/, 'a parameter name such as target');

const duration = z
  .string()
  .refine(
    (text) => parseDuration(text) !== undefined,
    'expected a duration such as 250ms, 30s, 10m, 2h or 90d',
  )
  .refine((text) => (parseDuration(text) ?? 0) <= MAX_DURATION_MS, 'expected at most 24d for a timer');

/** The longest a timer of the runtime can be set to (2^31 - 1 ms). */
const MAX_DURATION_MS = 2_147_483_647;

const validity = z
  .string()
  .refine((text) => (parseDuration(text) ?? 0) >= 1000, 'expected a duration such as 12h or 90d');

/** An argument or value that reaches the operating system as a C string. */
const argument = z
  .string()
  .max(131_072)
  .refine((text) => !text.includes('\0'), 'expected no NUL character');

/** A path in the project: relative, forward slashes, never leaving it. */
const path = line(1024).refine(
  (text) => text !== '' && !text.startsWith('/') && !text.includes('\\') && !text.split('/').includes('..'),
  'expected a relative path inside the project',
);

const argv = z.array(argument).min(1).max(1024);

const dependency = z.union(
  [z.strictObject({ path }), z.strictObject({ executable: name(/^[^/\0\s]{1,128}$/, 'a command name') })],
  { error: 'expected `path: some/file`, `path: some/folder/` or `executable: name`' },
);

const parameter = z.strictObject({
  pattern: z.string().max(256).refine(compiles, 'expected a regular expression').optional(),
  default: argument.max(4000).optional(),
});

function compiles(pattern: string): boolean {
  try {
    new RegExp(pattern, 'v');
    return true;
  } catch {
    return false;
  }
}

const label = z.record(name(/^[a-z][a-z0-9._/-]{0,62}$/, 'a label name'), line(256));

const metadata = z.strictObject({
  owner: line(256).optional(),
  tags: z.array(line(64)).max(10).optional(),
  priority: z.enum(['low', 'medium', 'high', 'critical']).optional(),
  labels: label.optional(),
});

export const taskSchema = z
  .strictObject({
    title: line(200).optional(),
    description: z
      .string()
      .max(4000)
      .refine((text) => !/[^\P{Cc}\n\t]/u.test(text), 'expected no control characters')
      .optional(),
    run: argv.optional(),
    shell: argument.min(1).optional(),
    needs: z.array(taskName).max(256).optional(),
    cwd: path.optional(),
    env: z.record(environmentName, argument).optional(),
    passEnv: z.array(environmentName).max(256).optional(),
    secrets: z.array(environmentName).max(64).optional(),
    dependencies: z.array(dependency).max(1024).optional(),
    inputs: z.array(path).max(256).optional(),
    outputs: z.array(path).max(256).optional(),
    params: z.record(parameterName, parameter).optional(),
    args: z
      .strictObject({ pattern: z.string().max(256).refine(compiles, 'expected a regular expression') })
      .optional(),
    timeout: duration.optional(),
    grace: duration.optional(),
    rollback: argv.optional(),
    metadata: metadata.optional(),
  })
  .refine((task) => (task.run === undefined) !== (task.shell === undefined), {
    error: 'expected either `run` (a list of arguments) or `shell` (a script), one of them',
    path: ['run'],
  });

export type Task = z.infer<typeof taskSchema>;
export type Dependency = z.infer<typeof dependency>;

const tasks = z
  .record(taskName, taskSchema)
  .refine((all) => Object.keys(all).length > 0, 'expected at least one task')
  .refine((all) => Object.keys(all).length <= 1000, 'expected at most 1000 tasks');

const policySchema = z.strictObject({
  cancel: z
    .strictObject({
      max: z.int().min(1).max(60).optional(),
      per: duration.optional(),
      confirmWithin: duration.optional(),
    })
    .optional(),
});

/** `ax.yaml`. */
export const sourceSchema = z.strictObject({
  version: z.literal(1, { error: 'expected version: 1' }),
  project: projectName,
  expires: validity.optional(),
  tasks,
  policy: policySchema.optional(),
});

export type Source = z.infer<typeof sourceSchema>;

const sha256 = name(/^[0-9a-f]{64}$/, 'a SHA-256 digest in hex');
const size = z.int().min(0);

export const dependencyDigestSchema = z.strictObject({
  kind: z.enum(['file', 'directory', 'executable']),
  path: line(1024).min(1),
  sha256,
  size,
  mode: z.enum(['100644', '100755', '040000']),
});

export type DependencyDigest = z.infer<typeof dependencyDigestSchema>;

const instant = z.iso.datetime({ error: 'expected a time such as 2026-01-31T12:00:00Z' });

export const MANIFEST_SCHEMA = 'ax.manifest/1';

/** The signed payload of `ax.lock`. */
export const manifestSchema = z.strictObject({
  schema: z.literal(MANIFEST_SCHEMA),
  project: projectName,
  version: z.int().min(1),
  issuedAt: instant,
  expiresAt: instant,
  source: z.strictObject({ path: z.literal('ax.yaml'), sha256 }),
  tasks,
  policy: policySchema,
  dependencies: z.array(dependencyDigestSchema).max(10_000),
});

export type Manifest = z.infer<typeof manifestSchema>;

/** Every key that a person may write, for "did you mean". */
export function knownKeys(): string[] {
  return [
    ...Object.keys(sourceSchema.shape),
    ...Object.keys(taskSchema.shape),
    ...Object.keys(policySchema.shape),
    ...Object.keys(metadata.shape),
    'path',
    'executable',
    'pattern',
    'default',
    'max',
    'per',
    'confirmWithin',
  ];
}
