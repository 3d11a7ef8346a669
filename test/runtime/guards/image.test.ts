import { readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { buildCelImage } from '../../../scripts/guard-image.ts';

const ROOT = new URL('../../../', import.meta.url);

test('the image that cel guards run in is what its sources make, byte for byte', async () => {
  const engine = pathToFileURL(fileURLToPath(import.meta.resolve('quickjs-wasi/quickjs.wasm')));
  const { image, modules } = await buildCelImage(fileURLToPath(ROOT), engine);
  expect(Buffer.from(image).equals(readFileSync(new URL('dist/guard-cel.image', ROOT)))).toBe(true);
  expect(modules.some((path) => path.endsWith('/src/runtime/guards/guest/cel.ts'))).toBe(true);
});
