// Bundles src/ and the libraries it uses into dist/, so that an installed ax is one package and starts fast.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import * as z from 'zod/mini';
import { sourceSchema } from '../src/manifest/schema.ts';
import { CEL_IMAGE_FILE, ENGINE_FILE } from '../src/runtime/guards/assets.ts';
import { buildCelImage } from './guard-image.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);

// Loading a file costs more than reading it, so what nearly every command uses is one chunk; what only one
// command uses (yaml, conf, ora, execa, age) stays apart and is loaded by that one.
const CORE = [
  /\/src\/(?:security|store|manifest|output)\/|\/src\/(?:errors|context)\.ts$/,
  /\/src\/(?:commands\/(?:session|lock|keys-access)|runtime\/(?:receipt|statement|supervisor-identity))\.ts$/,
  /\/node_modules\/zod/,
];
const APART =
  /\/src\/(?:manifest\/(?:yaml|source|compile|changes)|store\/(?:settings|output-file|receipt-selection)|output\/(?:progress|html)|security\/age)\.ts$/;

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

// Bundles of their own: an isolated process loads what it needs and no more, and may read no other file.
// Nothing there takes a digest, and whoever only shares a module with what does must not load node:crypto for it.
const isolates = [];
for (const name of ['own', 'team']) {
  const isolate = await rolldown({
    cwd: root,
    input: { [`isolate-${name}`]: `src/runtime/isolate/${name}.ts` },
    platform: 'node',
    logLevel: 'warn',
    treeshake: { moduleSideEffects: [{ test: /^node:/, sideEffects: false }] },
  });
  const written = await isolate.write({
    dir: dist,
    // CommonJS starts some milliseconds sooner; a name that says so, since no package.json can be read there.
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: 'isolate-[name].cjs',
    minify: true,
    comments: false,
  });
  isolates.push(...written.output);
}

const enginePath = join(dist, ENGINE_FILE);
copyFileSync(fileURLToPath(import.meta.resolve('quickjs-wasi/quickjs.wasm')), enginePath);
const cel = await buildCelImage(root, pathToFileURL(enginePath));
writeFileSync(join(dist, CEL_IMAGE_FILE), cel.image);

const modules = [...output, ...isolates].flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
writeFileSync(join(dist, 'THIRD-PARTY-LICENSES.txt'), licences([...modules, ...cel.modules]));

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
      // Some packages leave their notices to their repository, or carry those of others compiled in.
      const files = [
        ...readdirSync(folder)
          .filter((entry) => /^licen[cs]e/i.test(entry))
          .map((entry) => join(folder, entry)),
        ...[join(root, 'scripts/licences', `${name}.txt`)].filter(existsSync),
      ];
      const texts = files.map((file) => `\n\n${readFileSync(file, 'utf8').trim()}`);
      return `${name} ${version} (${license})${texts.join('')}\n`;
    })
    .join(`\n${'-'.repeat(78)}\n\n`);
}
