// Bundles src/ and the libraries it uses into dist/, so that an installed ax is one package and starts fast.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['src/start.ts'],
  outdir: 'dist',
  bundle: true,
  // A chunk for each command, so that one command does not load what another needs.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minify: true,
  keepNames: false,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
  banner: {
    js: "import { createRequire as axRequire } from 'node:module'; const require = axRequire(import.meta.url);",
  },
});

writeFileSync(join(dist, 'THIRD-PARTY-LICENSES.txt'), licences(Object.keys(metafile.inputs)));
writeFileSync(join(dist, 'ax.schema.json'), await jsonSchema());

/** The licence of every package that is in the bundle. */
function licences(inputs) {
  const packages = new Set(
    inputs.flatMap((input) => input.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1] ?? []),
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

/** ax.yaml for editors, from the schema that reads it. */
async function jsonSchema() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: {
      contents:
        "import * as z from 'zod/mini'; import { sourceSchema } from './src/manifest/schema.ts';" +
        "export default z.toJSONSchema(sourceSchema, { unrepresentable: 'any' });",
      resolveDir: root,
      loader: 'ts',
    },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
  });
  const code = Buffer.from(outputFiles[0].contents).toString('base64');
  const { default: schema } = await import(`data:text/javascript;base64,${code}`);
  return `${JSON.stringify(schema, null, 2)}\n`;
}
