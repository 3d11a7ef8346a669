import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { sha256Hex } from '../../../src/security/digest.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

test('the image that cel guards run in is what its sources make, byte for byte', () => {
  // In a process of its own: an interpreter does not belong into the one that runs tests.
  const build = `
    const [{ buildCelImage }, { createHash }, { pathToFileURL }] = await Promise.all(
      ['./scripts/guard-image.ts', 'node:crypto', 'node:url'].map((name) => import(name)));
    const engine = pathToFileURL('node_modules/quickjs-wasi/quickjs.wasm');
    const { image, modules } = await buildCelImage(process.cwd(), engine);
    const sha256 = createHash('sha256').update(image).digest('hex');
    console.log(JSON.stringify({ sha256, modules }));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', build], { cwd: ROOT });
  const { sha256, modules } = JSON.parse(output.toString());
  expect(sha256).toBe(sha256Hex(readFileSync(`${ROOT}/dist/guard-cel.image`)));
  expect(modules).toContainEqual(expect.stringMatching(/\/src\/runtime\/guards\/guest\/cel\.ts$/));
});
