import { mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { createRig } from '../support/rig.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('the packed tarball installs by itself and runs a task outside the checkout', async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'ax-pack-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  // The build is there already, and running it again would pull it from under other tests.
  await execa('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT });
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  const prefix = join(folder, 'prefix');
  // Offline: the tarball needs no other package, or this fails.
  await execa('npm', ['install', '--global', '--offline', '--prefix', prefix, join(folder, tarball ?? '')]);

  const rig = await createRig();
  rig.manifest('hello: {run: [echo, installed]}');
  const options = {
    cwd: rig.project,
    env: { ...rig.env, PATH: `${join(prefix, 'bin')}:${dirname(process.execPath)}:/usr/bin:/bin` },
    extendEnv: false,
  };
  await execa('ax', ['sign'], options);
  expect((await execa('ax', ['run', 'hello', '--quiet'], options)).stdout).toBe('installed');
  const { stdout } = await execa('ax', ['receipts', 'list', '--json'], options);
  expect(JSON.parse(stdout).receipts).toHaveLength(1);
});
