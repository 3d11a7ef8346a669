import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { AX } from '../support/rig.ts';

/** A node of this machine's own that is older than 24.14.1; development dependencies bring a newer one. */
function findOldNode(): { file: string; version: string } | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/bin', '/usr/bin'];
  for (const folder of folders.filter((name) => name.startsWith('/') && !name.includes('node_modules'))) {
    const file = join(folder, 'node');
    if (!existsSync(file)) continue;
    const version = execFileSync(file, ['--version'], { encoding: 'utf8' }).trim().slice(1);
    const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
    if (major < 24 || (major === 24 && (minor < 14 || (minor === 14 && patch < 1)))) return { file, version };
  }
  return undefined;
}

const old = findOldNode();

describe.skipIf(old === undefined)(`on Node.js ${old?.version ?? 'older than 24.14.1 (none here)'}`, () => {
  it.each([[['run', 'hello']], [['--version']], [[]]])(
    'ax %j says what it needs in one line, and exits 69',
    async (args) => {
      const { exitCode, stdout, stderr } = await execa(old?.file ?? '', [AX, ...args], {
        reject: false,
        extendEnv: false,
        env: {},
      });
      expect(exitCode).toBe(69);
      expect(stdout).toBe('');
      expect(stderr).toBe(
        `ax: error[RUNTIME_TOO_OLD]: expected Node.js 24.14.1 or later, found ${old?.version}; install it from nodejs.org`,
      );
    },
  );
});
