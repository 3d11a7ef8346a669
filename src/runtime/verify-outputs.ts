import { join } from 'node:path';
import { digestFile } from '../manifest/digest-file.ts';
import type { JsonValue } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import { isErrno } from '../store/files.ts';

/** What a file of a statement's subject is today. */
export type OutputState = 'same' | 'changed' | 'not-there';

export interface OutputFinding {
  readonly name: string;
  readonly state: OutputState;
}

/** The digest of a file below the project, null when it is not there, undefined when it is no file to read. */
export type DigestAt = (name: string) => string | null | undefined;

/** More names than this are not remembered, or a store of years would fill the memory. */
const MOST_REMEMBERED = 50_000;

/** Digests files once each, however many receipts speak of them. Links are not followed. */
export function createDigests(root: string): DigestAt {
  const known = new Map<string, string | null | undefined>();
  return (name) => {
    if (!known.has(name)) {
      if (known.size >= MOST_REMEMBERED) known.clear();
      known.set(name, digestAt(join(root, name)));
    }
    return known.get(name);
  };
}

function digestAt(path: string): string | null | undefined {
  try {
    return digestFile(path).sha256;
  } catch (error) {
    return isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR') ? null : undefined;
  }
}

/**
 * Holds outputs against the files of today. A receipt tells of the past: a file that has changed since says nothing
 * against it.
 */
export function checkOutputs(outputs: readonly Output[], digestOf: DigestAt): OutputFinding[] {
  return outputs.map(({ name, sha256 }) => {
    const found = digestOf(name);
    return { name, state: found === null ? 'not-there' : found === sha256 ? 'same' : 'changed' };
  });
}

/** A file that a run has left, as its receipt has it. */
export interface Output {
  readonly name: string;
  readonly sha256: string;
}

/**
 * The outputs that a verified statement names: its subject, but for the `ax.lock` that stands in it where a task has
 * none (src/runtime/statement.ts).
 */
export function outputsOf({ subject, predicate }: { readonly [name: string]: JsonValue }): Output[] {
  const lock =
    isObject(predicate) && isObject(predicate.manifest) ? predicate.manifest.lockSha256 : undefined;
  const items = Array.isArray(subject) ? subject : [];
  const outputs = items.flatMap((item) => {
    const { name, digest } = isObject(item) ? item : {};
    const sha256 = isObject(digest) ? digest.sha256 : undefined;
    return typeof name === 'string' && typeof sha256 === 'string' ? [{ name, sha256 }] : [];
  });
  const [only] = outputs;
  return outputs.length === 1 && only?.name === 'ax.lock' && only.sha256 === lock ? [] : outputs;
}
