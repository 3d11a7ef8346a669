// Writes man/ from the command tree, and takes away pages of commands that are gone.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContext } from '../src/context.ts';
import { buildProgram } from '../src/program.ts';
import { VERSION } from '../src/version.ts';
import { manPages } from './man-pages.ts';

const folder = fileURLToPath(new URL('../man', import.meta.url));
const program = buildProgram(createContext(), { version: VERSION, passThrough: [], onExit: () => {} });
const pages = manPages(program, VERSION);
mkdirSync(folder, { recursive: true });
for (const name of readdirSync(folder)) {
  if (!pages.some(({ file }) => file === name)) rmSync(join(folder, name));
}
for (const { file, text } of pages) writeFileSync(join(folder, file), text);
console.log(`${pages.length} pages in man/`);
