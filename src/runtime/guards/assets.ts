import { readFileSync } from 'node:fs';
import { compileEngine } from './interpreter.ts';

/**
 * The files that the interpreters are made of, which the build puts beside this one. They are read when the first
 * guard needs them, and kept for the life of the process.
 */

const here = import.meta.url;
// Run from the sources, they are where the last build put them.
const folder = new URL(here.endsWith('.ts') ? '../../../dist/' : './', here);

export const ENGINE_FILE = 'guard-engine.wasm';
export const CEL_IMAGE_FILE = 'guard-cel.image';

/** QuickJS. */
export const engine = once(() => compileEngine(new URL(ENGINE_FILE, folder)));
/** QuickJS with the CEL library loaded, as the build saved it. */
export const celImage = once(() => readFileSync(new URL(CEL_IMAGE_FILE, folder)));

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
