import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A real checkout in a folder of its own, gone after the test. */
export interface Checkout {
  readonly root: string;
  /** Beside the checkout, not in it. */
  readonly outside: string;
  git(...args: string[]): string;
  write(path: string, content?: string): void;
  /** Commits all that is there. */
  commit(): string;
}

export const SEARCH_PATH = process.env.PATH ?? '';

const ENVIRONMENT = {
  PATH: SEARCH_PATH,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'tester',
  GIT_AUTHOR_EMAIL: 'tester@example.invalid',
  GIT_COMMITTER_NAME: 'tester',
  GIT_COMMITTER_EMAIL: 'tester@example.invalid',
};

/** A checkout with one commit on `main`. */
export function temporaryCheckout(): Checkout {
  const outside = realpathSync(mkdtempSync(join(tmpdir(), 'ax-git-')));
  onTestFinished(() => rmSync(outside, { recursive: true, force: true }));
  const checkout = checkoutAt(join(outside, 'checkout'), outside);
  checkout.git('init', '--quiet', '--initial-branch=main');
  checkout.write('file', 'content\n');
  checkout.commit();
  return checkout;
}

export function checkoutAt(root: string, outside: string): Checkout {
  mkdirSync(root, { recursive: true });
  const checkout: Checkout = {
    root,
    outside,
    git: (...args) =>
      execFileSync('git', args, { cwd: root, env: ENVIRONMENT, encoding: 'utf8', stdio: 'pipe' }),
    write(path, content = '') {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    },
    commit() {
      checkout.git('add', '--all');
      checkout.git('commit', '--quiet', '--allow-empty', '--message=test');
      return checkout.git('rev-parse', 'HEAD').trim();
    },
  };
  return checkout;
}

/** A program that leaves a mark when it is run. */
export interface Trap {
  readonly path: string;
  /** Whether it was run since it was last asked. */
  sprung(): boolean;
}

export function setTrap(path: string): Trap {
  const mark = `${path}.sprung`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n: >'${mark}'\nexit 1\n`);
  chmodSync(path, 0o755);
  return {
    path,
    sprung() {
      const sprung = existsSync(mark);
      rmSync(mark, { force: true });
      return sprung;
    },
  };
}
