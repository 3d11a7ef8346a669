// Bundles src/ and the libraries it uses into dist/, so that an installed ax is one package and starts fast.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import * as z from 'zod/mini';
import { sourceSchema } from '../src/manifest/schema.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);

// Loading a file costs more than reading it, so what nearly every command uses is one chunk; what only one
// command uses (yaml, conf, ora, execa) stays apart and is loaded by that one.
const CORE = [
  /\/src\/(?:security|store|manifest|output)\/|\/src\/(?:errors|context)\.ts$/,
  /\/src\/(?:commands\/(?:session|lock|keys-access)|runtime\/(?:receipt|statement|supervisor-identity))\.ts$/,
  /\/node_modules\/(?:zod|@noble)\//,
];
const APART = /\/src\/(?:manifest\/(?:yaml|source|compile|changes)|store\/settings|output\/progress)\.ts$/;

const bundle = await rolldown({
  cwd: root,
  input: { start: 'src/start.ts' },
  platform: 'node',
  logLevel: 'warn',
});
const { output } = await bundle.write({
  dir: dist,
  format: 'esm',
  minify: true,
  comments: false,
  codeSplitting: {
    groups: [{ name: 'core', test: (id) => CORE.some((pattern) => pattern.test(id)) && !APART.test(id) }],
  },
});

const modules = output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
writeFileSync(join(dist, 'THIRD-PARTY-LICENSES.txt'), licences(modules));

const schema = z.toJSONSchema(sourceSchema, { unrepresentable: 'any' });
writeFileSync(join(dist, 'ax.schema.json'), `${JSON.stringify(schema, null, 2)}\n`);

/** The licence of every package that is in the bundle. */
function licences(ids) {
  const packages = new Set(
    ids.flatMap((id) => id.match(/\/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1] ?? []),
  );
  return [...packages]
    .sort()
    .map((name) => {
      const folder = join(root, 'node_modules', name);
      const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      const text = file === undefined ? '' : `\n\n${readFileSync(join(folder, file), 'utf8').trim()}`;
      return `${name} ${version} (${license})${text}\n`;
    })
    .join(`\n${'-'.repeat(78)}\n\n`);
}
