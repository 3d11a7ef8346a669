import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAxError } from '../../errors.ts';
import type { DependencyDigest } from '../../manifest/schema.ts';
import { sha256Hex } from '../../security/digest.ts';
import { decodeUtf8 } from '../../security/json.ts';

/**
 * The source of a guard's script. It is read once: what is digested is what is evaluated.
 *
 * @returns the text, or why there is none that was signed
 */
export function readScript(
  path: string,
  pinned: readonly DependencyDigest[],
  root: string,
): string | { readonly problem: string } {
  const signed = pinned.find((entry) => entry.kind === 'file' && entry.path === path);
  if (signed === undefined) return { problem: `script ${path}: expected a signed digest, found none` };
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(root, path));
  } catch (error) {
    return { problem: `script ${path}: cannot be read (${String(error)})` };
  }
  const found = sha256Hex(bytes);
  if (found !== signed.sha256) {
    return { problem: `script ${path}: changed; signed sha256:${signed.sha256}, found sha256:${found}` };
  }
  try {
    return decodeUtf8(bytes, path);
  } catch (error) {
    if (!isAxError(error)) throw error;
    return { problem: `script ${path}: ${error.message}` };
  }
}
