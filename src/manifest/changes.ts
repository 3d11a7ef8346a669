import { canonicalJson } from '../security/canonical.ts';
import type { Manifest } from './schema.ts';

/** What a new manifest changes of the one that was signed before, a line each; what renews itself is left out. */
export function describeChanges(before: Manifest, after: Manifest): string[] {
  return [
    ...(before.project === after.project ? [] : [`~ project ${before.project} -> ${after.project}`]),
    ...compare('task', before.tasks, after.tasks),
    ...compare('dependency', byPath(before), byPath(after)),
    ...(same(before.policy, after.policy) ? [] : ['~ policy']),
  ];
}

function byPath(manifest: Manifest): Record<string, string> {
  return Object.fromEntries(
    manifest.dependencies.map(({ kind, path, sha256, mode }) => [`${kind} ${path}`, `${sha256} ${mode}`]),
  );
}

function compare(
  what: string,
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name) => {
    if (!Object.hasOwn(before, name)) return [`+ ${what} ${name}`];
    if (!Object.hasOwn(after, name)) return [`- ${what} ${name}`];
    return same(before[name], after[name]) ? [] : [`~ ${what} ${name}`];
  });
}

function same(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
