import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256Hex } from '../../src/security/digest.ts';
import { type CrashRig, createRig, expectDone } from '../support/crash-rig.ts';

/**
 * A project that was not written for this: the sources of @noble/ciphers as its package publishes them, and its own
 * build script. The package leaves its tsconfig.json out, so there is one here.
 */

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
const PUBLISHED = join(MODULES, '@noble/ciphers');
const TSCONFIG = {
  compilerOptions: {
    rootDir: 'src',
    outDir: '.',
    target: 'es2022',
    module: 'nodenext',
    declaration: true,
    strict: true,
    types: [],
    rewriteRelativeImportExtensions: true,
  },
  include: ['src'],
  // Else the folder that it writes to would be: the project itself.
  exclude: ['node_modules'],
};

let rig: CrashRig;

describe.skipIf(!haveNpm())('the own build of a published package', () => {
  beforeAll(async () => {
    rig = await createRig(
      {
        build: {
          title: 'Build @noble/ciphers',
          run: ['npm', 'run', 'build'],
          passEnv: ['HOME'],
          inputs: ['src/**'],
          outputs: ['*.js', '*.d.ts'],
          dependencies: [
            { path: 'package.json' },
            { path: 'tsconfig.json' },
            { path: 'src/' },
            { executable: 'node' },
          ],
          timeout: '5m',
        },
      },
      {
        prepare(project) {
          cpSync(join(PUBLISHED, 'src'), join(project, 'src'), { recursive: true });
          cpSync(join(PUBLISHED, 'package.json'), join(project, 'package.json'));
          writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
          // Where npm looks for the compiler.
          symlinkSync(MODULES, join(project, 'node_modules'));
        },
      },
    );
  });

  afterAll(() => rig.remove());

  test('runs as signed, and its receipt names what went in and what came out', async () => {
    const { stdout, stderr } = await expectDone(rig, ['run', 'build']);
    expect(stdout).toContain('build | > tsc');
    const [, id = ''] = stderr.match(/ax: build completed in \S+, receipt (\S+)\n/) ?? [];
    await expectDone(rig, ['receipts', 'verify', id]);
    const { stdout: statement } = await expectDone(rig, ['receipts', 'decrypt', id]);
    const { subject, predicate } = JSON.parse(statement);
    expect(predicate).toMatchObject({
      outcome: 'completed',
      exit: { kind: 'exited', code: 0 },
      command: { argv: ['npm', 'run', 'build'] },
    });
    expect(predicate.materials).toEqual(
      digestsOf(readdirSync(join(PUBLISHED, 'src')).map((name) => `src/${name}`)),
    );
    const built = readdirSync(PUBLISHED).filter((name) => /\.(js|d\.ts)$/.test(name));
    expect(built.length).toBeGreaterThan(15);
    expect(subject).toEqual(digestsOf(built));
  });

  test('what it built does what the published build does', async () => {
    const at = (folder: string) => import(pathToFileURL(join(folder, 'aes.js')).href);
    const [built, published] = await Promise.all([at(rig.project), at(PUBLISHED)]);
    const [key, nonce, text] = [32, 12, 1000].map((length) => new Uint8Array(length).fill(7));
    const sealed = built.gcm(key, nonce).encrypt(text);
    expect(sealed).toEqual(published.gcm(key, nonce).encrypt(text));
    expect(published.gcm(key, nonce).decrypt(sealed)).toEqual(text);
  });

  test('does not run when one of its sources is not the signed one any more', async () => {
    for (const name of readdirSync(rig.project)) {
      if (/\.(js|d\.ts)$/.test(name)) rmSync(join(rig.project, name));
    }
    appendFileSync(join(rig.project, 'src/aes.ts'), '// changed\n');
    const { status, stdout, stderr } = await rig.ax(['run', 'build']);
    expect({ status, stdout }).toEqual({ status: 76, stdout: '' });
    expect(stderr).toMatch(/^ax: error\[DEPENDENCY_CHANGED\]: .*src/);
    expect(existsSync(join(rig.project, 'aes.js'))).toBe(false);
  });
});

function digestsOf(names: readonly string[]) {
  return names
    .toSorted()
    .map((name) => ({ name, digest: { sha256: sha256Hex(readFileSync(join(rig.project, name))) } }));
}

function haveNpm(): boolean {
  try {
    execFileSync('npm', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
