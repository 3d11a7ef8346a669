import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { statement } from '../support/evidence.ts';
import { createRig, lines, type Rig } from '../support/rig.ts';
import { document, verifyShape } from '../support/shapes.ts';

const BOTH = 'signed sha256:<sha256>, found sha256:<sha256>';

describe('a dependency that is a file', () => {
  async function project(): Promise<Rig> {
    const rig = await createRig();
    rig.write('conf/app.json', '{}');
    await rig.sign('build: { shell: touch started, dependencies: [{ path: conf/app.json }] }');
    return rig;
  }

  it('holds when nothing but its times changed', async () => {
    const rig = await project();
    utimesSync(join(rig.project, 'conf/app.json'), 0, 0);
    expect((await rig.ax('run', 'build')).exitCode).toBe(0);
    expect(rig.has('started')).toBe(true);
  });

  it('is refused when its content changed, by a byte', async () => {
    const rig = await project();
    rig.write('conf/app.json', '{ }');
    await refused(rig, 'conf/app.json', `conf/app.json: changed; ${BOTH}`);
  });

  it('is refused when it is missing', async () => {
    const rig = await project();
    rmSync(join(rig.project, 'conf/app.json'));
    await refused(rig, 'conf/app.json', 'conf/app.json: missing; signed sha256:<sha256>');
  });

  it('is refused when the folder it was in is missing', async () => {
    const rig = await project();
    rmSync(join(rig.project, 'conf'), { recursive: true });
    await refused(rig, 'conf/app.json', 'conf/app.json: missing; signed sha256:<sha256>');
  });

  it('is refused when it is a symbolic link, though what it points to is the same', async () => {
    const rig = await project();
    renameSync(join(rig.project, 'conf/app.json'), join(rig.project, 'conf/real.json'));
    symlinkSync('real.json', join(rig.project, 'conf/app.json'));
    await refused(rig, 'conf/app.json', 'conf/app.json: found a symbolic link; signed sha256:<sha256>');
  });

  it('is refused when a folder on the way to it is a symbolic link', async () => {
    const rig = await project();
    renameSync(join(rig.project, 'conf'), join(rig.project, 'real'));
    symlinkSync('real', join(rig.project, 'conf'));
    await refused(
      rig,
      'conf/app.json',
      'conf/app.json: found behind a symbolic link (<project>/real/app.json); signed sha256:<sha256>',
    );
  });

  it('is refused when it became executable', async () => {
    const rig = await project();
    chmodSync(join(rig.project, 'conf/app.json'), 0o755);
    await refused(rig, 'conf/app.json', 'conf/app.json: signed with mode 100644, found 100755');
  });

  it('is refused when it is a folder now', async () => {
    const rig = await project();
    rmSync(join(rig.project, 'conf/app.json'));
    mkdirSync(join(rig.project, 'conf/app.json'));
    await refused(rig, 'conf/app.json', `conf/app.json: signed as a file, found a directory; ${BOTH}`);
  });
});

describe('a dependency that is a folder', () => {
  async function project(): Promise<Rig> {
    const rig = await createRig();
    rig.write('vendor/a.js', 'a');
    rig.write('vendor/lib/b.js', 'b');
    await rig.sign('build: { shell: touch started, dependencies: [{ path: vendor/ }] }');
    return rig;
  }

  it('holds when nothing in it changed', async () => {
    const rig = await project();
    expect((await rig.ax('run', 'build')).exitCode).toBe(0);
    expect(rig.has('started')).toBe(true);
  });

  it.each<[string, (rig: Rig) => void]>([
    ['was changed', (rig) => rig.write('vendor/lib/b.js', 'B')],
    ['was added', (rig) => rig.write('vendor/lib/c.js', '')],
    ['was removed', (rig) => rmSync(join(rig.project, 'vendor/lib/b.js'))],
    ['was renamed', (rig) => renameSync(join(rig.project, 'vendor/a.js'), join(rig.project, 'vendor/b.js'))],
    [
      'was moved',
      (rig) => renameSync(join(rig.project, 'vendor/lib/b.js'), join(rig.project, 'vendor/b.js')),
    ],
    ['became executable', (rig) => chmodSync(join(rig.project, 'vendor/a.js'), 0o755)],
    [
      'became a link inside it',
      (rig) => {
        rig.write('vendor/lib/a.js', 'a');
        rmSync(join(rig.project, 'vendor/a.js'));
        symlinkSync('lib/a.js', join(rig.project, 'vendor/a.js'));
      },
    ],
  ])('is refused when a file in it %s', async (_, change) => {
    const rig = await project();
    change(rig);
    await refused(rig, 'vendor', `vendor: changed; ${BOTH}`);
  });

  it('is refused when a link in it leaves it', async () => {
    const rig = await project();
    rig.write('outside.js', 'a');
    rmSync(join(rig.project, 'vendor/a.js'));
    symlinkSync('../outside.js', join(rig.project, 'vendor/a.js'));
    await refused(
      rig,
      'vendor',
      'vendor: a.js is a link that leaves the folder (../outside.js); signed sha256:<sha256>',
    );
  });

  it('is refused when it is a symbolic link itself', async () => {
    const rig = await project();
    renameSync(join(rig.project, 'vendor'), join(rig.project, 'real'));
    symlinkSync('real', join(rig.project, 'vendor'));
    await refused(rig, 'vendor', 'vendor: found a symbolic link; signed sha256:<sha256>');
  });

  it('is refused when it is a file now', async () => {
    const rig = await project();
    rmSync(join(rig.project, 'vendor'), { recursive: true });
    rig.write('vendor', 'a');
    await refused(rig, 'vendor', `vendor: signed as a directory, found a file; ${BOTH}`);
  });

  it('is not signed with a name in it that another name stands for where case does not count', async () => {
    const rig = await createRig();
    rig.write('vendor/readme', '');
    rig.write('vendor/README', '');
    rig.manifest('build: { shell: touch started, dependencies: [{ path: vendor }] }');
    const { exitCode, stderr } = await rig.ax('sign');
    expect(exitCode).toBe(76);
    expect(stderr).toMatch(
      /vendor: (?:README and readme|readme and README) are one name where case does not count\n/,
    );
    expect(rig.has('ax.lock')).toBe(false);
  });
});

describe('a dependency that is an executable', () => {
  /** A command of the name `tool`, first on the search path. */
  async function project() {
    const rig = await createRig();
    const bin = join(rig.base, 'bin');
    const install = (folder: string, script: string): void => {
      mkdirSync(join(rig.base, folder), { recursive: true });
      writeFileSync(join(rig.base, folder, 'tool'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    };
    install('bin', 'touch started');
    const env = { PATH: `${bin}:${rig.env.PATH}` };
    rig.manifest('build: { run: [tool], dependencies: [{ executable: tool }] }');
    const signed = await rig.axWith({ env }, 'sign');
    expect(signed.stderr).toBe('');
    expect(signed.exitCode).toBe(0);
    return { rig, env, bin, install };
  }

  it('runs when it is what was signed', async () => {
    const { rig, env } = await project();
    expect((await rig.axWith({ env }, 'run', 'build')).exitCode).toBe(0);
    expect(rig.has('started')).toBe(true);
  });

  it('is refused when it was replaced', async () => {
    const { rig, env, install } = await project();
    install('bin', 'touch started; touch replaced');
    await refused(rig, 'tool', `executable tool: changed; ${BOTH}`, env);
    expect(rig.has('replaced')).toBe(false);
  });

  it('is refused when another one comes first on the search path', async () => {
    const { rig, bin, install } = await project();
    install('first', 'touch started; touch shadowed');
    const env = { PATH: `${join(rig.base, 'first')}:${bin}:${rig.env.PATH}` };
    await refused(rig, 'tool', `executable tool: changed; ${BOTH}`, env);
    expect(rig.has('shadowed')).toBe(false);
  });

  it('is refused when it is on the search path no more', async () => {
    const { rig } = await project();
    await refused(rig, 'tool', 'executable tool: missing (no such command on PATH); signed sha256:<sha256>');
  });

  it('is the file that was hashed, wherever a PATH of the task’s own leads', async () => {
    const { rig, env, install } = await project();
    const other = join(rig.base, 'other');
    install('other', 'touch shadowed');
    rig.manifest(
      `build: { run: [tool], dependencies: [{ executable: tool }], env: { PATH: "${other}:/usr/bin:/bin" } }`,
    );
    expect((await rig.axWith({ env }, 'sign', '--yes')).exitCode).toBe(0);
    expect((await rig.axWith({ env }, 'run', 'build')).exitCode).toBe(0);
    expect(rig.has('shadowed')).toBe(false);
    expect(rig.has('started')).toBe(true);
  });
});

describe('dependencies', () => {
  it('that a command or rollback is are pinned without being listed', async () => {
    const rig = await createRig();
    rig.write('build.sh', '#!/bin/sh\ntouch started\n', 0o755);
    rig.write('undo.sh', '#!/bin/sh\ntouch undone\n', 0o755);
    await rig.sign('build: { run: [./build.sh], rollback: [./undo.sh] }');
    rig.write('undo.sh', '#!/bin/sh\ntouch undone; touch more\n', 0o755);
    await refused(rig, 'undo.sh', `undo.sh: changed; ${BOTH}`);
  });

  it('that do not hold are all named at once, and none of the tasks is started', async () => {
    const rig = await createRig();
    rig.write('a.txt', 'a');
    rig.write('b.txt', 'b');
    await rig.sign(`
      first: { shell: touch started, dependencies: [{ path: a.txt }] }
      build: { shell: touch started, dependencies: [{ path: b.txt }], needs: [first] }
      apart: { shell: touch apart }
    `);
    rig.write('a.txt', 'A');
    rmSync(join(rig.project, 'b.txt'));
    const { exitCode, stderr } = await rig.ax('run', 'build');
    expect(exitCode).toBe(76);
    expect(lines(rig.normal(stderr))).toEqual([
      `ax: error[DEPENDENCY_CHANGED]: not what was signed: a.txt: changed; ${BOTH}`,
      'b.txt: missing; signed sha256:<sha256>',
      'ax: hint: look at what changed; if it is meant to be so: ax sign',
      'ax: build refused, receipt <id>',
    ]);
    expect(rig.has('started')).toBe(false);
    // A task that depends on neither is not held up.
    expect((await rig.ax('run', 'apart')).exitCode).toBe(0);
  });

  it('that a task changes while it runs fail it: 76, recorded, and rolled back by nothing unsigned', async () => {
    const rig = await createRig();
    rig.write('conf.json', '{}');
    await rig.sign(`
      build: { shell: echo x > conf.json; touch ran, dependencies: [{ path: conf.json }], rollback: [touch, undone] }
      after: { shell: touch started, needs: [build] }
    `);
    const { exitCode, stderr } = await rig.ax('run', 'after');
    expect(exitCode).toBe(76);
    expect(lines(rig.normal(stderr))).toEqual([
      'ax: build failed with status 76 in <duration>, receipt <id>',
      'ax: after skipped in <duration>, receipt <id>',
      `ax: error[DEPENDENCY_CHANGED]: task build: changed while it ran: conf.json: changed; ${BOTH}`,
      'ax: hint: find out what changed it; if the task does so on purpose, do not pin it',
    ]);
    expect(rig.has('ran')).toBe(true);
    expect(rig.has('started')).toBe(false);
    expect(rig.has('undone')).toBe(false);
    expect(await statement(rig, 'build')).toMatchObject({
      outcome: 'failed',
      exitCode: 76,
      error: { code: 'DEPENDENCY_CHANGED' },
      exit: { kind: 'exited', code: 0 },
      rollback: { exit: { kind: 'not-started' } },
      dependencies: [
        { path: 'conf.json', problem: null, after: { problem: expect.stringContaining('changed') } },
      ],
    });
  });

  it('that were swapped and put back while a task ran are seen in its receipt', async () => {
    const rig = await createRig();
    rig.write('conf.json', '{}');
    await rig.sign(
      'build: { shell: "echo x > conf.json; printf \'{}\' > conf.json", dependencies: [{ path: conf.json }] }',
    );
    expect((await rig.ax('run', 'build')).exitCode).toBe(0);
    expect(await statement(rig)).toMatchObject({
      dependencies: [{ path: 'conf.json', problem: null, after: { problem: null, touched: true } }],
    });
  });

  it.each([
    ['leave the project', '../outside'],
    ['are the whole project', '.'],
    ['are what ax writes itself', 'ax.lock'],
    ['are the store', '.ax/ax.db'],
    ['are absolute', '/etc/hostname'],
  ])('that %s are not signed', async (_, path) => {
    const rig = await createRig();
    rig.manifest(`build: { shell: touch started, dependencies: [{ path: "${path}" }] }`);
    const { exitCode, stderr } = await rig.ax('sign');
    expect(exitCode).toBe(65);
    expect(stderr).toContain('ax: error[MANIFEST_INVALID]: ');
    expect(rig.has('ax.lock')).toBe(false);
  });

  it('that are not there are not signed', async () => {
    const rig = await createRig();
    rig.manifest('build: { shell: touch started, dependencies: [{ path: gone.txt }] }');
    const { exitCode, stderr } = await rig.ax('sign');
    expect(exitCode).toBe(76);
    expect(stderr).toBe(
      'ax: error[DEPENDENCY_CHANGED]: gone.txt: missing\nax: hint: restore gone.txt, or take it out of ax.yaml and: ax sign\n',
    );
    expect(rig.has('ax.lock')).toBe(false);
  });
});

/** `verify` names it, `run build` refuses for it with a receipt, and nothing is started. */
async function refused(
  rig: Rig,
  path: string,
  problem: string,
  env: Record<string, string> = {},
): Promise<void> {
  const verified = await rig.axWith({ env }, 'verify', '--json');
  expect(verified.exitCode).toBe(76);
  const failures = document(verifyShape, verified.stdout).checks.flatMap((check) =>
    check.ok ? [] : [check],
  );
  expect(failures).toMatchObject([{ name: `dependency ${path}`, error: { code: 'DEPENDENCY_CHANGED' } }]);
  expect(rig.normal(failures[0]?.detail ?? '')).toBe(problem);

  const { exitCode, stdout, stderr } = await rig.axWith({ env }, 'run', 'build');
  expect(exitCode).toBe(76);
  expect(stdout).toBe('');
  expect(lines(rig.normal(stderr))).toEqual([
    `ax: error[DEPENDENCY_CHANGED]: not what was signed: ${problem}`,
    'ax: hint: look at what changed; if it is meant to be so: ax sign',
    'ax: build refused, receipt <id>',
  ]);
  expect(rig.has('started')).toBe(false);
  expect(await statement(rig)).toMatchObject({
    outcome: 'refused',
    exitCode: 76,
    error: { code: 'DEPENDENCY_CHANGED' },
    exit: null,
    dependencies: expect.arrayContaining([expect.objectContaining({ path, problem: expect.any(String) })]),
  });
}
