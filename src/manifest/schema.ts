import * as z from 'zod/mini';
import english from 'zod/v4/locales/en.js';
import { parseDuration } from '../security/duration.ts';
import { expect, line, name, path } from './fields.ts';
import { guardKeys, guards } from './guards/guard.ts';

// zod/mini is zod without its method chains: a tenth of the code to load on every run. Compiling a parser for
// each schema (zod's default) pays off after many parses; a command makes two or three.
z.config({ ...english(), jitless: true });

/**
 * The grammar of what people write (`ax.yaml`) and of what is signed (the payload of `ax.lock`). A task has one
 * shape in both; signing adds what was found out about its dependencies.
 */

export const projectName = name(
  /^(?=.{1,128}$)[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)*$/,
  'a project name such as acme/web (lower case, digits, . _ - and /)',
);
export const taskName = name(
  /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/,
  'a task name of up to 64 letters, digits, . _ : and -',
);
const environmentName = name(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'the name of an environment variable');
export const parameterName = name(/^[a-z][a-zA-Z0-9_]{0,63}$/, 'a parameter name such as target');

/** The longest a timer of the runtime can be set to (2^31 - 1 ms). */
const MAX_TIMER_MS = 2_147_483_647;

const duration = z.string().check(
  expect((text) => parseDuration(text) !== undefined, 'a duration such as 250ms, 30s, 10m, 2h or 20d'),
  expect((text) => (parseDuration(text) ?? 0) <= MAX_TIMER_MS, 'at most 24d'),
);

/** Ten years. */
const MAX_VALIDITY_MS = 3650 * 24 * 60 * 60 * 1000;

const validity = z.string().check(
  expect((text) => (parseDuration(text) ?? 0) >= 1000, 'a duration such as 12h or 90d'),
  expect((text) => (parseDuration(text) ?? 0) <= MAX_VALIDITY_MS, 'at most 3650d'),
);

/** An argument or value that reaches the operating system as a C string. */
const argument = z.string().check(
  z.maxLength(131_072),
  expect((text) => !text.includes('\0'), 'no NUL character'),
);

const argv = z.array(argument).check(z.minLength(1), z.maxLength(1024));

function listOf<T extends z.core.SomeType>(item: T, max: number) {
  return z.optional(z.array(item).check(z.maxLength(max)));
}

const dependency = z.union(
  [z.strictObject({ path }), z.strictObject({ executable: name(/^[^/\0\s]{1,128}$/, 'a command name') })],
  { error: 'expected `path: some/file`, `path: some/folder/` or `executable: name`' },
);

const pattern = z.string().check(z.maxLength(256), expect(compiles, 'a regular expression'));

function compiles(text: string): boolean {
  try {
    new RegExp(text, 'v');
    return true;
  } catch {
    return false;
  }
}

const parameter = z.strictObject({
  pattern: z.optional(pattern),
  default: z.optional(argument.check(z.maxLength(4000))),
});

/** Of all of `metadata` together, as canonical JSON in UTF-8: it goes into every receipt. */
export const MAX_METADATA_BYTES = 10 * 1024;

/** What ax itself puts beside `metadata` into a receipt; nobody else's word counts for it. */
export const RUNTIME_METADATA = [
  'taskId',
  'manifestVersion',
  'attempt',
  'retryCount',
  'requestedBy',
] as const;

const metadataShape = z.strictObject({
  owner: z.optional(line(256)),
  tags: listOf(line(64), 10),
  priority: z.optional(z.enum(['low', 'medium', 'high', 'critical'])),
  labels: z.optional(
    z
      .record(name(/^[a-z][a-z0-9._/-]{0,62}$/, 'a label name'), line(256))
      .check(expect((all) => Object.keys(all).length <= 32, 'at most 32 labels')),
  ),
});

const metadata = metadataShape.check(
  expect(
    (all) => Buffer.byteLength(JSON.stringify(all)) <= MAX_METADATA_BYTES,
    'at most 10 KB of UTF-8 in all',
  ),
);

const description = z.string().check(
  z.maxLength(4000),
  expect((text) => !/[^\P{Cc}\n\t]/u.test(text), 'no control characters'),
);

const retries = z.strictObject({
  max: z.int().check(z.minimum(1), z.maximum(10)),
  backoff: z.optional(duration),
  maxBackoff: z.optional(duration),
});

const taskShape = z.strictObject({
  title: z.optional(line(200)),
  description: z.optional(description),
  run: z.optional(argv),
  shell: z.optional(argument.check(z.minLength(1))),
  needs: listOf(taskName, 256),
  cwd: z.optional(path),
  env: z.optional(z.record(environmentName, argument)),
  passEnv: listOf(environmentName, 256),
  secrets: listOf(environmentName, 64),
  dependencies: listOf(dependency, 1024),
  inputs: listOf(path, 256),
  outputs: listOf(path, 256),
  params: z.optional(z.record(parameterName, parameter)),
  args: z.optional(z.strictObject({ pattern })),
  timeout: z.optional(duration),
  grace: z.optional(duration),
  rollback: z.optional(argv),
  retries: z.optional(retries),
  guards: z.optional(guards),
  metadata: z.optional(metadata),
});

export const taskSchema = taskShape.check(
  z.refine((task) => (task.run === undefined) !== (task.shell === undefined), {
    error: 'expected either `run` (a list of arguments) or `shell` (a script), one of them',
    path: ['run'],
  }),
);

export type Task = z.infer<typeof taskSchema>;
export type Dependency = z.infer<typeof dependency>;

const tasks = z.record(taskName, taskSchema).check(
  expect((all) => Object.keys(all).length > 0, 'at least one task'),
  expect((all) => Object.keys(all).length <= 1000, 'at most 1000 tasks'),
);

const cancelPolicy = z.strictObject({
  max: z.optional(z.int().check(z.minimum(1), z.maximum(60))),
  per: z.optional(duration),
  confirmWithin: z.optional(duration),
});

const scrubPolicy = z.strictObject({
  /** Removes IP addresses from what is kept too. */
  ipAddresses: z.optional(z.boolean()),
});

const policySchema = z.strictObject({
  cancel: z.optional(cancelPolicy),
  scrub: z.optional(scrubPolicy),
  /** Of every task, before its own. */
  guards: z.optional(guards),
});

/** `ax.yaml`. */
export const sourceSchema = z.strictObject({
  version: z.literal(1, { error: 'expected version: 1' }),
  project: projectName,
  expires: z.optional(validity),
  tasks,
  policy: z.optional(policySchema),
});

export type Source = z.infer<typeof sourceSchema>;

const sha256 = name(/^[0-9a-f]{64}$/, 'a SHA-256 digest in hex');

const dependencyDigest = z.strictObject({
  kind: z.enum(['file', 'directory', 'executable']),
  path: line(1024).check(z.minLength(1)),
  sha256,
  size: z.int().check(z.minimum(0)),
  mode: z.enum(['100644', '100755', '040000']),
});

export type DependencyDigest = z.infer<typeof dependencyDigest>;

const instant = z.iso.datetime({ error: 'expected a time such as 2026-01-31T12:00:00Z' });

export const MANIFEST_SCHEMA = 'ax.manifest/1';

/** The signed payload of `ax.lock`. */
export const manifestSchema = z.strictObject({
  schema: z.literal(MANIFEST_SCHEMA),
  project: projectName,
  version: z.int().check(z.minimum(1)),
  issuedAt: instant,
  expiresAt: instant,
  source: z.strictObject({ path: z.literal('ax.yaml'), sha256 }),
  tasks,
  policy: policySchema,
  dependencies: z.array(dependencyDigest).check(z.maxLength(10_000)),
});

export type Manifest = z.infer<typeof manifestSchema>;

/** Every key that a person may write, for "did you mean". */
export function knownKeys(): string[] {
  const shapes = [
    ...[sourceSchema, taskShape, policySchema, cancelPolicy, scrubPolicy],
    ...[metadataShape, parameter, retries],
  ];
  return [...shapes.flatMap((schema) => Object.keys(schema.shape)), ...guardKeys(), 'path', 'executable'];
}
