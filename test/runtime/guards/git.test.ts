import { execFileSync } from 'node:child_process';
import {
  chownSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readGit } from '../../../src/runtime/guards/git.ts';
import {
  type Checkout,
  checkoutAt,
  SEARCH_PATH,
  setTrap,
  type Trap,
  temporaryCheckout,
} from '../../support/git.ts';

const read = (root: string, changes: Partial<Parameters<typeof readGit>[1]> = {}) =>
  readGit(root, { searchPath: SEARCH_PATH, storeDir: join(root, '.ax'), ...changes });
const isClean = async (root: string, changes = {}) => (await read(root, changes)).git?.clean;
const problem = (gitProblem: string) => ({ git: null, gitProblem: expect.stringContaining(gitProblem) });

describe('what is checked out', () => {
  test('a branch and its commit', async () => {
    const { root, git, commit } = temporaryCheckout();
    const head = commit();
    expect(await read(root)).toEqual({
      git: { branch: 'main', commit: head, clean: true },
      gitProblem: null,
    });
    git('switch', '--quiet', '--create', 'release/1.2');
    expect((await read(root)).git?.branch).toBe('release/1.2');
  });

  test('no branch on a detached HEAD, and on one that follows something else', async () => {
    const { root, git } = temporaryCheckout();
    git('switch', '--quiet', '--detach');
    expect((await read(root)).git).toMatchObject({ branch: null, clean: true });
    git('update-ref', 'refs/other/main', 'HEAD');
    git('symbolic-ref', 'HEAD', 'refs/other/main');
    expect((await read(root)).git?.branch).toBe(null);
  });

  test('no commit before the first', async () => {
    const { root, git } = temporaryCheckout();
    git('switch', '--quiet', '--orphan', 'new');
    expect((await read(root)).git).toEqual({ branch: 'new', commit: null, clean: true });
  });

  test('the same from a folder of the checkout', async () => {
    const { root, write, commit } = temporaryCheckout();
    write('packages/web/ax.yaml');
    const head = commit();
    expect((await read(join(root, 'packages/web'))).git).toEqual({
      branch: 'main',
      commit: head,
      clean: true,
    });
    write('elsewhere');
    expect(await isClean(join(root, 'packages/web'))).toBe(false);
  });

  test('a linked worktree has its own', async () => {
    const { outside, git } = temporaryCheckout();
    git('worktree', 'add', '--quiet', '-b', 'other', join(outside, 'linked'));
    expect((await read(join(outside, 'linked'))).git).toMatchObject({ branch: 'other', clean: true });
  });

  test('nothing outside a checkout, which is no problem and takes no git', async () => {
    const { outside } = temporaryCheckout();
    const nothing = { git: null, gitProblem: null };
    expect(await read(outside)).toEqual(nothing);
    expect(await read(outside, { searchPath: '' })).toEqual(nothing);
  });

  test('nothing in a folder that merely looks like a bare repository', async () => {
    const { outside } = temporaryCheckout();
    const bare = checkoutAt(join(outside, 'bare'), outside);
    bare.git('init', '--quiet', '--bare');
    expect(await read(bare.root)).toEqual({ git: null, gitProblem: null });
  });
});

describe('clean', () => {
  test.each<[string, (checkout: Checkout) => void, boolean]>([
    ['nothing was done', () => {}, true],
    ['a file was touched', ({ root }) => utimesSync(join(root, 'file'), 1, 1), true],
    ['a file was changed', ({ write }) => write('file', 'other\n'), false],
    [
      'a file was changed and staged',
      ({ write, git }) => [write('file', 'other\n'), git('add', 'file')],
      false,
    ],
    ['a file was removed', ({ root }) => rmSync(join(root, 'file')), false],
    ['an untracked file is there', ({ write }) => write('new'), false],
    ['one is in a folder', ({ write }) => write('a/b/new'), false],
    [
      'one is there that is ignored',
      ({ write, commit }) => [write('.gitignore', 'new\n'), commit(), write('new')],
      true,
    ],
    [
      'untracked files are not to be shown',
      ({ write, git }) => [git('config', 'status.showUntrackedFiles', 'no'), write('new')],
      false,
    ],
    [
      'the store is there',
      ({ write }) => [write('.ax/ax.db'), write('.ax/ax.db-wal'), write('.ax/ax.db-shm')],
      true,
    ],
    ['something else is in its folder', ({ write }) => [write('.ax/ax.db'), write('.ax/new')], false],
    ['a store of that name is elsewhere', ({ write }) => write('a/.ax/ax.db'), false],
  ])('%s', async (_, change, clean) => {
    const checkout = temporaryCheckout();
    change(checkout);
    expect((await read(checkout.root)).git).toEqual({ branch: 'main', commit: expect.any(String), clean });
  });

  test('a store in a folder of the project hides nothing else that is there', async () => {
    const { root, write } = temporaryCheckout();
    write('[src]/ax.db');
    expect(await isClean(root, { storeDir: join(root, '[src]') })).toBe(true);
    expect(await isClean(root, { storeDir: root })).toBe(false);
    write('[src]/new');
    expect(await isClean(root, { storeDir: join(root, '[src]') })).toBe(false);
  });

  test('a store outside the checkout is none of its business', async () => {
    const { root, outside } = temporaryCheckout();
    expect(await isClean(root, { storeDir: join(outside, 'store') })).toBe(true);
    expect(await isClean(root, { storeDir: outside })).toBe(true);
  });

  test('asking changes nothing in the repository', async () => {
    const { root } = temporaryCheckout();
    utimesSync(join(root, 'file'), 1, 1);
    const state = () =>
      readdirSync(join(root, '.git'), { recursive: true, encoding: 'utf8' })
        .sort()
        .map((path) => {
          const { size, mtimeMs, ino } = lstatSync(join(root, '.git', path));
          return [path, size, mtimeMs, ino];
        });
    const before = state();
    expect(await isClean(root)).toBe(true);
    expect(state()).toEqual(before);
  });
});

describe('submodules', () => {
  const withSubmodule = () => {
    const inner = temporaryCheckout();
    const outer = temporaryCheckout();
    outer.git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', inner.root, 'sub');
    outer.commit();
    return { outer, sub: checkoutAt(join(outer.root, 'sub'), outer.outside) };
  };

  test.each<[string, (parts: ReturnType<typeof withSubmodule>) => void, boolean]>([
    ['clean at the recorded commit', () => {}, true],
    ['at another commit', ({ sub }) => sub.commit(), false],
    ['with a changed file', ({ sub }) => sub.write('file', 'other\n'), false],
    ['with an untracked file', ({ sub }) => sub.write('new'), false],
    [
      'with a changed file, though told to ignore that',
      ({ outer, sub }) => {
        outer.git('config', 'submodule.sub.ignore', 'all');
        sub.write('file', 'other\n');
      },
      false,
    ],
    ['not there', ({ outer }) => outer.git('submodule', '--quiet', 'deinit', '--force', 'sub'), true],
    [
      'not there, with something in its folder',
      ({ outer }) => {
        outer.git('submodule', '--quiet', 'deinit', '--force', 'sub');
        outer.write('sub/new');
      },
      false,
    ],
  ])('%s', async (_, change, clean) => {
    const parts = withSubmodule();
    change(parts);
    expect((await read(parts.outer.root)).git?.clean).toBe(clean);
  });

  test('their configuration runs nothing either', async () => {
    const { outer, sub } = withSubmodule();
    const trap = setTrap(join(outer.outside, 'trap'));
    sub.write('.gitattributes', '* filter=x\n');
    sub.commit();
    outer.commit();
    sub.git('config', 'core.fsmonitor', trap.path);
    expect(await isClean(outer.root)).toBe(true);
    expect(trap.sprung()).toBe(false);
    outer.git('status');
    expect(trap.sprung()).toBe(true);

    sub.git('config', '--unset', 'core.fsmonitor');
    sub.git('config', 'filter.x.clean', trap.path);
    utimesSync(join(sub.root, 'file'), 1, 1);
    expect(await read(outer.root)).toEqual(problem('filter.x.clean'));
    expect(trap.sprung()).toBe(false);
    outer.git('status');
    expect(trap.sprung()).toBe(true);
  });
});

describe('a hostile checkout runs nothing', () => {
  const attributes = ({ write, commit }: Checkout, text: string) => [write('.gitattributes', text), commit()];
  const touch = ({ root }: Checkout) => utimesSync(join(root, 'file'), 1, 1);
  const INCLUDED = (trap: Trap) => `[filter "x"]\n\tclean = ${trap.path}\n`;
  /** A commit whose tree is missing, and a remote to fetch it from on demand. */
  const missingTree = ({ root, git }: Checkout) => {
    const tree = git('rev-parse', 'HEAD^{tree}').trim();
    rmSync(join(root, '.git/objects', tree.slice(0, 2), tree.slice(2)));
    git('config', 'core.repositoryFormatVersion', '1');
    git('config', 'extensions.partialClone', 'origin');
    git('config', 'remote.origin.promisor', 'true');
  };

  /** What git would run; how the checkout is made so; what is read. */
  const CASES: [string, (checkout: Checkout, trap: Trap) => void, object][] = [
    [
      'a monitor of files',
      ({ git }, trap) => git('config', 'core.fsmonitor', trap.path),
      { gitProblem: null },
    ],
    [
      'a hook',
      (checkout, trap) => {
        copyFileSync(trap.path, join(checkout.root, '.git/hooks/post-index-change'));
        touch(checkout);
      },
      { gitProblem: null },
    ],
    [
      'a hook elsewhere',
      (checkout, trap) => {
        checkout.git('config', 'core.hooksPath', join(trap.path, '..'));
        touch(checkout);
      },
      { gitProblem: null },
    ],
    [
      'a filter',
      (checkout, trap) => {
        attributes(checkout, '* filter=x\n');
        checkout.git('config', 'filter.x.clean', trap.path);
        touch(checkout);
      },
      problem('found programs in the configuration of the checkout, which are not run: "filter.x.clean"'),
    ],
    [
      'a filter that is a process',
      (checkout, trap) => {
        attributes(checkout, '* filter=a.b=c\n');
        checkout.git('config', 'filter.a.b=c.process', trap.path);
        touch(checkout);
      },
      problem('filter.a.b=c.process'),
    ],
    [
      'a filter of an included file',
      (checkout, trap) => {
        attributes(checkout, '* filter=x\n');
        checkout.write('more', INCLUDED(trap));
        checkout.git('config', 'include.path', '../more');
        touch(checkout);
      },
      problem('filter.x.clean'),
    ],
    [
      'a filter included on one branch',
      (checkout, trap) => {
        attributes(checkout, '* filter=x\n');
        checkout.write('more', INCLUDED(trap));
        checkout.git('config', 'includeIf.onbranch:main.path', '../more');
        touch(checkout);
      },
      problem('filter.x.clean'),
    ],
    [
      'a filter of the worktree alone',
      (checkout, trap) => {
        attributes(checkout, '* filter=x\n');
        checkout.git('config', 'extensions.worktreeConfig', 'true');
        checkout.git('config', '--worktree', 'filter.x.clean', trap.path);
        touch(checkout);
      },
      problem('filter.x.clean'),
    ],
    [
      'a fetch by a program',
      (checkout, trap) => {
        missingTree(checkout);
        checkout.git('config', 'protocol.ext.allow', 'always');
        checkout.git('config', 'remote.origin.url', `ext::${trap.path}`);
      },
      problem('git failed'),
    ],
    [
      'a fetch by ssh',
      (checkout, trap) => {
        missingTree(checkout);
        checkout.git('config', 'core.sshCommand', trap.path);
        checkout.git('config', 'remote.origin.url', 'host.invalid:repository');
      },
      problem('git failed'),
    ],
    [
      'a fetch from a folder',
      (checkout, trap) => {
        missingTree(checkout);
        checkout.git('config', 'remote.origin.url', checkout.outside);
        checkout.git('config', 'remote.origin.uploadPack', trap.path);
      },
      problem('git failed'),
    ],
  ];

  test.each(CASES)('%s', async (_, prepare, expected) => {
    const checkout = temporaryCheckout();
    const trap = setTrap(join(checkout.outside, 'traps/post-index-change'));
    prepare(checkout, trap);
    expect(await read(checkout.root)).toMatchObject(expected);
    expect(trap.sprung()).toBe(false);
    // The trap is a real one: git without precautions runs it.
    try {
      checkout.git('status');
    } catch {
      // What the trap fetches is not what git wanted.
    }
    expect(trap.sprung()).toBe(true);
  });

  test('nor what an alias or a pager names, nor a git that it brings along', async () => {
    const { root, outside, git, write, commit } = temporaryCheckout();
    const traps = [setTrap(join(root, 'bin/git')), setTrap(join(outside, 'trap'))];
    write('other');
    commit();
    for (const name of ['config', 'status', 'rev-parse', 'symbolic-ref', 'ls-files']) {
      git('config', `alias.${name}`, `!${traps[1]?.path}`);
      git('config', `pager.${name}`, traps[1]?.path ?? '');
    }
    symlinkSync(join(root, 'bin'), join(outside, 'link'));
    for (const folder of [join(root, 'bin'), join(outside, 'link'), './bin', 'bin', '']) {
      expect((await read(root, { searchPath: `${folder}:${SEARCH_PATH}` })).git?.branch).toBe('main');
    }
    expect(await read(root, { searchPath: `${join(root, 'bin')}:bin` })).toEqual(
      problem('found no git on PATH'),
    );
    expect(traps.map((trap) => trap.sprung())).toEqual([false, false]);
  });

  test('nor what variables of the surroundings say', async () => {
    const { root, outside } = temporaryCheckout();
    const other = temporaryCheckout();
    other.git('switch', '--quiet', '--create', 'other');
    const trap = setTrap(join(outside, 'trap'));
    const variables = {
      GIT_DIR: join(other.root, '.git'),
      GIT_WORK_TREE: other.root,
      GIT_INDEX_FILE: join(outside, 'index'),
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'core.fsmonitor',
      GIT_CONFIG_VALUE_0: trap.path,
    };
    Object.assign(process.env, variables);
    onTestFinished(() => {
      for (const name of Object.keys(variables)) delete process.env[name];
    });
    expect((await read(root)).git).toMatchObject({ branch: 'main', clean: true });
    expect(trap.sprung()).toBe(false);
  });
});

describe('what git does not say is told with its reason', () => {
  test('no git', async () => {
    const { root, outside } = temporaryCheckout();
    expect(await read(root, { searchPath: outside })).toEqual({
      git: null,
      gitProblem: 'found no git on PATH',
    });
  });

  test('a worktree elsewhere', async () => {
    const { root, git } = temporaryCheckout();
    const other = temporaryCheckout();
    git('config', 'core.worktree', other.root);
    expect(await read(root)).toEqual(problem('found a checkout of another folder'));
  });

  test('a bare repository that is content, behind a .git that is none', async () => {
    const { outside } = temporaryCheckout();
    const bare = checkoutAt(join(outside, 'bare'), outside);
    bare.git('init', '--quiet', '--bare');
    bare.git('config', 'core.bare', 'false');
    bare.git('config', 'core.worktree', bare.root);
    mkdirSync(join(bare.root, '.git'));
    expect(await read(bare.root)).toEqual(problem('git failed'));
  });

  test.each<[string, (root: string) => void, string]>([
    [
      'a .git that is no repository, inside of one that is',
      (root) => mkdirSync(join(root, 'sub/.git'), { recursive: true }),
      'not a git repository',
    ],
    [
      'a .git file that leads nowhere',
      (root) => {
        mkdirSync(join(root, 'sub'));
        writeFileSync(join(root, 'sub/.git'), 'gitdir: /nowhere\n');
      },
      'not a git repository',
    ],
    [
      'a configuration that is none',
      (root) => {
        checkoutAt(join(root, 'sub'), root).git('init', '--quiet');
        writeFileSync(join(root, 'sub/.git/config'), '[');
      },
      'bad config line',
    ],
  ])('%s', async (_, prepare, reason) => {
    const { root } = temporaryCheckout();
    prepare(root);
    expect(await read(join(root, 'sub'))).toEqual(problem(reason));
  });

  test.skipIf(process.getuid?.() !== 0)('a checkout of someone else', async () => {
    const { root } = temporaryCheckout();
    chownSync(root, 12345, 12345);
    expect(await read(root)).toEqual(problem('git failed: "detected dubious ownership in repository'));
  });

  test('a git that does not come to an end', async () => {
    const { root, outside, git } = temporaryCheckout();
    execFileSync('mkfifo', [join(outside, 'fifo')]);
    git('config', 'core.excludesFile', join(outside, 'fifo'));
    expect(await read(root, { timeoutMs: 300 })).toEqual(problem('git did not answer within 300ms'));
  });
});
