import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { receipts, statement } from '../support/evidence.ts';
import { createRig, filesBelow, lines } from '../support/rig.ts';
import { document, result, runPlan, stream } from '../support/shapes.ts';

describe('the exit status of a task', () => {
  it.each([1, 2, 42, 63])('%i passes through', async (status) => {
    const rig = await createRig();
    await rig.sign(`fails: { shell: exit ${status} }`);
    const { exitCode, stdout, stderr } = await rig.ax('run', 'fails');
    expect(exitCode).toBe(status);
    expect(stdout).toBe('');
    expect(rig.normal(stderr)).toBe(`ax: fails failed with status ${status} in <duration>, receipt <id>\n`);
  });

  it.each([
    ['TERM', 143],
    ['KILL', 137],
    ['INT', 130],
  ])('is 128 and the number of the signal that killed it: SIG%s', async (signal, status) => {
    const rig = await createRig();
    await rig.sign(`dies: { shell: kill -${signal} $$ }`);
    const { exitCode, stdout } = await rig.ax('run', 'dies', '--json');
    expect(exitCode).toBe(status);
    expect(result(stdout)).toMatchObject({ outcome: 'failed', exitCode: status });
    expect((await statement(rig)).exit).toEqual({ kind: 'signaled', signal: `SIG${signal}` });
  });

  it('is 69 for a command that is not there', async () => {
    const rig = await createRig();
    await rig.sign('absent: { run: [no-such-command] }');
    const { exitCode, stderr } = await rig.ax('run', 'absent');
    expect(exitCode).toBe(69);
    expect(lines(rig.normal(stderr))).toEqual([
      'ax: absent refused in <duration>, receipt <id>',
      'ax: error[EXECUTABLE_MISSING]: task absent: no command "no-such-command" on PATH',
      'ax: hint: install no-such-command, or put it on PATH',
    ]);
  });
});

describe('several tasks', () => {
  const log = (name: string) => `${name}: { shell: echo ${name} >> order }`;

  it('run in the order of their needs, each once', async () => {
    const rig = await createRig();
    await rig.sign(`
      deploy: { shell: echo deploy >> order, needs: [test, build] }
      test: { shell: echo test >> order, needs: [build] }
      build: { shell: echo build >> order, needs: [fetch] }
      ${log('fetch')}
      ${log('unrelated')}
    `);
    const { exitCode, stderr } = await rig.ax('run', 'deploy', 'test');
    expect(exitCode).toBe(0);
    expect(rig.read('order')).toBe('fetch\nbuild\ntest\ndeploy\n');
    expect(lines(rig.normal(stderr))).toEqual(
      ['fetch', 'build', 'test', 'deploy'].map((task) => `ax: ${task} completed in <duration>, receipt <id>`),
    );
  });

  it('are prefixed by their names', async () => {
    const rig = await createRig();
    await rig.sign('a: { shell: echo one; echo two >&2 }\nb: { shell: echo three, needs: [a] }');
    const { stdout, stderr } = await rig.ax('run', 'b');
    expect(stdout).toBe('a | one\nb | three\n');
    expect(lines(stderr)[0]).toBe('a | two');
  });

  it('after a failure start nothing more: what needed it is skipped, and so is what is left', async () => {
    const rig = await createRig();
    await rig.sign(`
      broken: { shell: exit 3 }
      dependent: { shell: touch dependent, needs: [broken] }
      other: { shell: touch other }
    `);
    const { exitCode, stderr } = await rig.ax('run', 'dependent', 'other');
    expect(exitCode).toBe(3);
    expect(lines(rig.normal(stderr))).toEqual([
      'ax: broken failed with status 3 in <duration>, receipt <id>',
      'ax: dependent skipped in <duration>, receipt <id>',
      'ax: other skipped in <duration>, receipt <id>',
    ]);
    expect(rig.has('dependent')).toBe(false);
    expect(rig.has('other')).toBe(false);
    expect(await receipts(rig)).toMatchObject([
      { task: 'other', outcome: 'skipped' },
      { task: 'dependent', outcome: 'skipped' },
      { task: 'broken', outcome: 'failed' },
    ]);
  });

  it('with --keep-going go on with what does not need the failed one, and end with its status', async () => {
    const rig = await createRig();
    await rig.sign(`
      broken: { shell: exit 3 }
      dependent: { shell: touch dependent, needs: [broken] }
      further: { shell: touch further, needs: [dependent] }
      other: { shell: touch other }
      late: { shell: exit 4 }
    `);
    const { exitCode, stdout } = await rig.ax('run', 'further', 'other', 'late', '--keep-going', '--json');
    expect(exitCode).toBe(3);
    expect(result(stdout)).toMatchObject({
      outcome: 'failed',
      exitCode: 3,
      runs: [
        { task: 'broken', outcome: 'failed', exitCode: 3 },
        { task: 'dependent', outcome: 'skipped' },
        { task: 'further', outcome: 'skipped' },
        { task: 'other', outcome: 'completed', exitCode: 0 },
        { task: 'late', outcome: 'failed', exitCode: 4 },
      ],
    });
    expect(rig.has('dependent')).toBe(false);
    expect(rig.has('further')).toBe(false);
    expect(rig.has('other')).toBe(true);
  });

  it('with --jobs 2 run at the same time: each waits for what only the other sends', async () => {
    const rig = await createRig();
    await rig.sign(`
      ping: { shell: echo ping > to-pong; cat to-ping, timeout: 30s }
      pong: { shell: cat to-pong; echo pong > to-ping, timeout: 30s }
    `);
    for (const name of ['to-ping', 'to-pong']) execFileSync('mkfifo', [join(rig.project, name)]);
    const { exitCode, stdout } = await rig.ax('run', 'ping', 'pong', '--jobs', '2');
    expect(exitCode).toBe(0);
    expect(lines(stdout).sort()).toEqual(['ping | pong', 'pong | ping']);
  });

  it('run one after the other unless told otherwise', async () => {
    const rig = await createRig();
    await rig.sign('a: { run: [echo, a] }\nb: { run: [echo, b] }');
    const { stdout } = await rig.ax('run', 'a', 'b', '--json');
    const executions = stream(stdout).flatMap((line) =>
      line.type === 'event' && [line.fromState, line.toState].includes('EXECUTING')
        ? [`${line.task} ${line.fromState} ${line.toState}`]
        : [],
    );
    expect(executions).toEqual([
      'a PREPARING EXECUTING',
      'a EXECUTING COMPLETED',
      'b PREPARING EXECUTING',
      'b EXECUTING COMPLETED',
    ]);
  });
});

describe('inputs', () => {
  const greet = String.raw`
    greet:
      run: [printf, "[%s]\n", "hello {{name}}!"]
      params: { name: { pattern: '[a-z ;$\(\)]+', default: world } }
  `;

  it('fall back to the signed default', async () => {
    const rig = await createRig();
    await rig.sign(greet);
    const { exitCode, stdout } = await rig.ax('run', 'greet');
    expect(exitCode).toBe(0);
    expect(stdout).toBe('greet | [hello world!]\n');
  });

  it('stay inside one argument, whatever they hold', async () => {
    const rig = await createRig();
    await rig.sign(greet);
    const { exitCode, stdout } = await rig.ax('run', 'greet', '--input', 'name=a b; $(touch pwned)');
    expect(exitCode).toBe(0);
    expect(stdout).toBe('greet | [hello a b; $(touch pwned)!]\n');
    expect(rig.has('pwned')).toBe(false);
  });

  it('reach a script as AX_INPUT_<NAME>', async () => {
    const rig = await createRig();
    await rig.sign('greet: { shell: \'echo "$AX_INPUT_WHO"\', params: { who: { } } }');
    const { stdout } = await rig.ax('run', 'greet', '-i', 'who=a=b');
    expect(stdout).toBe('greet | a=b\n');
  });

  it('that do not match the signed pattern as a whole are refused, and leave a receipt', async () => {
    const rig = await createRig();
    await rig.sign('deploy: { shell: touch started, params: { target: { pattern: "web|api" } } }');
    const { exitCode, stdout, stderr } = await rig.ax('run', 'deploy', '--input', 'target=web-2');
    expect(exitCode).toBe(65);
    expect(stdout).toBe('');
    expect(lines(rig.normal(stderr))).toEqual([
      'ax: error[INPUT_INVALID]: task deploy, input target: expected a match of web|api, found "web-2"',
      'ax: hint: --input target=VALUE; ax tasks shows what fits',
      'ax: deploy refused, receipt <id>',
    ]);
    expect(rig.has('started')).toBe(false);
    expect(await receipts(rig)).toMatchObject([{ task: 'deploy', outcome: 'refused' }]);
    expect(await statement(rig)).toMatchObject({ outcome: 'refused', error: { code: 'INPUT_INVALID' } });
  });

  it('without a value and without a default are refused', async () => {
    const rig = await createRig();
    await rig.sign('deploy: { shell: touch started, params: { target: { } } }');
    const { exitCode, stderr } = await rig.ax('run', 'deploy');
    expect(exitCode).toBe(65);
    expect(stderr).toContain(
      'error[INPUT_INVALID]: task deploy, input target: expected a value, found none\n',
    );
    expect(rig.has('started')).toBe(false);
  });

  it.each([
    ['a control character', 'target=a\u001b[2J', 'expected no control characters'],
    ['more than 4,000 characters', `target=${'a'.repeat(4001)}`, 'expected at most 4000 characters'],
  ])('with %s are refused', async (_, input, message) => {
    const rig = await createRig();
    await rig.sign('deploy: { shell: touch started, params: { target: { } } }');
    const { exitCode, stderr } = await rig.ax('run', 'deploy', '--input', input);
    expect(exitCode).toBe(65);
    expect(lines(stderr)[0]).toBe(`ax: error[INPUT_INVALID]: task deploy, input target: ${message}`);
    expect(rig.has('started')).toBe(false);
  });

  it('that no task has are a usage error', async () => {
    const rig = await createRig();
    await rig.sign('deploy: { shell: touch started }');
    const { exitCode, stderr } = await rig.ax('run', 'deploy', '--input', 'target=web');
    expect(exitCode).toBe(64);
    expect(stderr).toBe(
      'ax: error[USAGE]: --input target: none of these tasks has a parameter of that name\nax: hint: ax tasks\n',
    );
    expect(rig.has('started')).toBe(false);
    expect(await receipts(rig)).toEqual([]);
  });

  it('without a name are a usage error', async () => {
    const rig = await createRig();
    await rig.sign('deploy: { shell: touch started }');
    const { exitCode, stderr } = await rig.ax('run', 'deploy', '--input', 'web');
    expect(exitCode).toBe(64);
    expect(lines(stderr)[0]).toBe('ax: error[USAGE]: --input: expected name=value, found "web"');
    expect(rig.has('started')).toBe(false);
  });
});

describe('arguments after --', () => {
  it('reach the task that signed for them, and nothing else takes them for its own', async () => {
    const rig = await createRig();
    await rig.sign(String.raw`
      show: { run: [printf, "[%s]\n"], args: { pattern: "[^;]*" }, needs: [before] }
      before: { run: [printf, "%s.\n", x] }
    `);
    const { exitCode, stdout } = await rig.ax('run', 'show', '--', '--json', 'a b', '', '--');
    expect(exitCode).toBe(0);
    expect(stdout).toBe('before | x.\nshow | [--json]\nshow | [a b]\nshow | []\nshow | [--]\n');
  });

  it('are not read as options of ax when the run is refused', async () => {
    const rig = await createRig();
    await rig.sign('plain: { shell: touch started }');
    const { exitCode, stdout, stderr } = await rig.ax('run', 'absent', '--', '--json');
    expect(exitCode).toBe(66);
    expect(stdout).toBe('');
    expect(lines(stderr)[0]).toBe('ax: error[TASK_UNKNOWN]: no task "absent" in ax.lock; it has plain');
  });

  it('are refused where the task did not sign for any', async () => {
    const rig = await createRig();
    await rig.sign('plain: { shell: touch started }');
    const { exitCode, stderr } = await rig.ax('run', 'plain', '--', 'extra');
    expect(exitCode).toBe(65);
    expect(lines(stderr)[0]).toBe(
      'ax: error[INPUT_INVALID]: task plain: expected no arguments after --, found some',
    );
    expect(rig.has('started')).toBe(false);
    expect(await receipts(rig)).toMatchObject([{ task: 'plain', outcome: 'refused' }]);
  });

  it('are refused when one does not match the signed pattern', async () => {
    const rig = await createRig();
    await rig.sign('show: { run: [touch], args: { pattern: "[a-z]+" } }');
    const { exitCode, stderr } = await rig.ax('run', 'show', '--', 'fine', '../up');
    expect(exitCode).toBe(65);
    expect(lines(stderr)[0]).toBe(
      'ax: error[INPUT_INVALID]: task show: expected arguments that match [a-z]+, found "../up"',
    );
    expect(rig.has('fine')).toBe(false);
  });
});

describe('the environment of a task', () => {
  const polluted = {
    NODE_OPTIONS: '--no-warnings',
    BASH_ENV: '/nowhere',
    GIT_DIR: '/nowhere',
    AWS_SECRET_ACCESS_KEY: 'leaked',
    npm_config_registry: 'https://example.invalid',
    'BASH_FUNC_ls%%': '() { echo shadowed; }',
    AX_RECEIPT_KEY: 'ab'.repeat(32),
    GIVEN: 'passed on',
    ABSENT: undefined,
    TOKEN: 'secret-of-the-task',
  };

  it('holds what was declared and nothing else', async () => {
    const rig = await createRig();
    await rig.sign(`
      show:
        run: [env]
        env: { MODE: production }
        passEnv: [GIVEN, ABSENT]
        secrets: [TOKEN]
        params: { target: { default: web } }
    `);
    const { exitCode, stdout } = await rig.axWith({ env: polluted }, 'run', 'show', '--quiet');
    expect(exitCode).toBe(0);
    expect(lines(rig.normal(stdout)).sort()).toEqual([
      'AX_INPUT_TARGET=web',
      'AX_RUN_ID=<id>',
      'GIVEN=passed on',
      'MODE=production',
      `PATH=${rig.env.PATH}`,
      'TOKEN=[secret:TOKEN]',
    ]);
  });

  it('has a search path without relative entries', async () => {
    const rig = await createRig();
    rig.write('bin/uname', '#!/bin/sh\ntouch started\n', 0o755);
    await rig.sign('show: { run: [env], cwd: . }\nlookup: { run: [uname] }');
    const env = { PATH: `bin:.::${rig.env.PATH}` };
    const shown = await rig.axWith({ env }, 'run', 'show', '--quiet');
    expect(lines(rig.normal(shown.stdout)).sort()).toEqual(['AX_RUN_ID=<id>', `PATH=${rig.env.PATH}`]);
    expect((await rig.axWith({ env }, 'run', 'lookup')).exitCode).toBe(0);
    expect(rig.has('started')).toBe(false);
  });

  it('is in the receipt by name, never by value', async () => {
    const rig = await createRig();
    await rig.sign('show: { run: ["true"], env: { MODE: not-in-evidence }, passEnv: [GIVEN] }');
    await rig.axWith({ env: { GIVEN: 'nor-this' } }, 'run', 'show');
    const evidence = await statement(rig);
    expect(evidence.command).toMatchObject({ environment: ['AX_RUN_ID', 'GIVEN', 'MODE', 'PATH'] });
    expect(JSON.stringify(evidence)).not.toContain('nor-this');
  });

  it('gives a task no standard input', async () => {
    const rig = await createRig();
    await rig.sign('reads: { shell: cat; echo end }');
    const { stdout } = await rig.ax('run', 'reads', '--quiet');
    expect(stdout).toBe('end\n');
  });
});

describe('a secret', () => {
  const canary = 'c4n4ry-5f1d/0a+b=';
  const leak = `
    leak:
      shell: |
        echo "value: $TOKEN"
        echo "twice: $TOKEN$TOKEN" >&2
        printf 'c4n4ry-'; printf '5f1d/0a+b='; echo
      secrets: [TOKEN]
  `;

  it('is masked in live output', async () => {
    const rig = await createRig();
    await rig.sign(leak);
    const { exitCode, stdout, stderr } = await rig.axWith(
      { env: { TOKEN: canary } },
      'run',
      'leak',
      '--quiet',
    );
    expect(exitCode).toBe(0);
    expect(stdout).toBe('value: [secret:TOKEN]\n[secret:TOKEN]\n');
    expect(stderr).not.toContain('c4n4ry');
    expect(stderr).toContain('[secret:TOKEN]');
  });

  it('is masked in JSON, in the decrypted receipt, and everywhere in the store', async () => {
    const rig = await createRig();
    await rig.sign(leak);
    const { stdout, stderr } = await rig.axWith({ env: { TOKEN: canary } }, 'run', 'leak', '--json');
    expect(stdout + stderr).not.toContain(canary);
    const printed = stream(stdout).flatMap((line) =>
      line.type === 'output' && line.stream === 'stdout' ? [line.text] : [],
    );
    expect(printed.join('')).toBe('value: [secret:TOKEN]\n[secret:TOKEN]\n');
    const evidence = await statement(rig);
    expect(evidence).toMatchObject({
      command: { secrets: ['TOKEN'] },
      output: { stdout: { head: 'value: [secret:TOKEN]\n[secret:TOKEN]\n' } },
    });
    expect(JSON.stringify(evidence)).not.toContain(canary);
    for (const name of filesBelow(join(rig.project, '.ax'))) {
      expect(readFileSync(join(rig.project, '.ax', name)).includes(canary), name).toBe(false);
    }
  });

  it.each([
    ['is not set', undefined],
    ['is empty', ''],
  ])('that %s refuses the run: 78', async (_, value) => {
    const rig = await createRig();
    await rig.sign('deploy: { shell: touch started, secrets: [TOKEN] }');
    const { exitCode, stderr } = await rig.axWith({ env: { TOKEN: value } }, 'run', 'deploy');
    expect(exitCode).toBe(78);
    expect(lines(rig.normal(stderr))).toEqual([
      'ax: error[SECRET_MISSING]: task deploy: expected the secret TOKEN in the environment',
      'ax: hint: export TOKEN=…',
      'ax: deploy refused, receipt <id>',
    ]);
    expect(rig.has('started')).toBe(false);
  });

  it('that one of several tasks lacks starts none of them', async () => {
    const rig = await createRig();
    await rig.sign(
      'first: { shell: touch started }\ndeploy: { shell: touch started, secrets: [TOKEN], needs: [first] }',
    );
    const { exitCode } = await rig.ax('run', 'deploy');
    expect(exitCode).toBe(78);
    expect(rig.has('started')).toBe(false);
  });
});

describe('where a task runs', () => {
  it('is the project’s folder, wherever ax was called', async () => {
    const rig = await createRig();
    await rig.sign('where: { run: [pwd] }');
    rig.write('deep/er/file', '');
    const { stdout } = await rig.axWith({ cwd: 'deep/er' }, 'run', 'where', '--quiet');
    expect(stdout).toBe(`${rig.project}\n`);
  });

  it('is its cwd', async () => {
    const rig = await createRig();
    rig.write('packages/web/file', '');
    await rig.sign('where: { run: [pwd], cwd: packages/web/ }');
    const { stdout } = await rig.ax('run', 'where', '--quiet');
    expect(stdout).toBe(`${rig.project}/packages/web\n`);
  });

  it('is never outside the project: a cwd that a link leads out of it is refused', async () => {
    const rig = await createRig();
    await rig.sign('where: { shell: touch started, cwd: out }');
    symlinkSync(rig.env.HOME ?? '', join(rig.project, 'out'));
    const { exitCode, stderr } = await rig.ax('run', 'where');
    expect(exitCode).toBe(65);
    expect(lines(stderr)[0]).toBe(
      `ax: error[MANIFEST_INVALID]: cwd out: expected a folder inside the project, found ${rig.env.HOME}`,
    );
    expect(readdirSync(rig.env.HOME ?? '')).toEqual([]);
  });

  it('must be there', async () => {
    const rig = await createRig();
    await rig.sign('where: { shell: touch started, cwd: gone }');
    const { exitCode, stderr } = await rig.ax('run', 'where');
    expect(exitCode).toBe(65);
    expect(stderr).toContain('cwd gone: expected a folder of the project, found none\n');
  });
});

describe('shell:', () => {
  it('is one signed script for /bin/sh', async () => {
    const rig = await createRig();
    await rig.sign('sum: { shell: "for n in 1 2 3; do echo $n; done | wc -l | tr -d \' \'" }');
    const { stdout } = await rig.ax('run', 'sum', '--quiet');
    expect(stdout).toBe('3\n');
    expect((await statement(rig)).command).toMatchObject({ argv: ['/bin/sh', '-c', expect.any(String)] });
  });

  it('is not what run: is: nothing in its arguments is expanded', async () => {
    const rig = await createRig();
    await rig.sign('plain: { run: [echo, "$HOME `id` *; exit 3"] }');
    const { exitCode, stdout } = await rig.ax('run', 'plain', '--quiet');
    expect(exitCode).toBe(0);
    expect(stdout).toBe('$HOME `id` *; exit 3\n');
  });
});

describe('a timeout', () => {
  // What is left of a run is found in /proc.
  const onLinux = it.skipIf(process.platform !== 'linux');

  onLinux('ends the task and all that it started: 124', async () => {
    const rig = await createRig();
    await rig.sign(`
      hangs:
        shell: sleep 600 & setsid sleep 600 & sleep 600
        timeout: 300ms
        grace: 100ms
    `);
    const { exitCode, stdout } = await rig.ax('run', 'hangs', '--json');
    expect(exitCode).toBe(124);
    const { outcome, runs, error } = result(stdout);
    expect(outcome).toBe('timed-out');
    expect(error).toMatchObject({ code: 'TIMED_OUT', message: 'task hangs: timed out after 300ms' });
    expect(processesOf(runs[0]?.runId)).toEqual([]);
    const events = stream(stdout).flatMap((line) => (line.type === 'event' ? [line] : []));
    expect(events.at(-1)).toMatchObject({ event: 'Timeout', fromState: 'EXECUTING', toState: 'FAILED' });
    expect(await receipts(rig)).toMatchObject([{ outcome: 'timed-out' }]);
  });

  onLinux('ends a task that will not end by itself', async () => {
    const rig = await createRig();
    await rig.sign(`
      stubborn:
        shell: trap '' TERM; while :; do sleep 600; done
        timeout: 300ms
        grace: 100ms
    `);
    const { exitCode, stdout } = await rig.ax('run', 'stubborn', '--json');
    expect(exitCode).toBe(124);
    expect(processesOf(result(stdout).runs[0]?.runId)).toEqual([]);
  });

  it('may be shortened on the command line', async () => {
    const rig = await createRig();
    await rig.sign('hangs: { run: [sleep, "600"], timeout: 1h, grace: 100ms }');
    const { exitCode, stderr } = await rig.ax('run', 'hangs', '--timeout', '200ms');
    expect(exitCode).toBe(124);
    expect(lines(rig.normal(stderr))).toEqual([
      'ax: hangs timed-out in <duration>, receipt <id>',
      'ax: error[TIMED_OUT]: task hangs: timed out after 200ms',
      'ax: hint: raise `timeout:` in ax.yaml if it needs longer, then: ax sign',
    ]);
  });

  it('may not be lengthened on the command line', async () => {
    const rig = await createRig();
    await rig.sign('short: { shell: touch started, timeout: 1s }');
    const { exitCode, stderr } = await rig.ax('run', 'short', '--timeout', '2s');
    expect(exitCode).toBe(65);
    expect(lines(stderr)[0]).toBe(
      'ax: error[INPUT_INVALID]: task short: --timeout may shorten the signed 1000 ms only',
    );
    expect(rig.has('started')).toBe(false);
  });

  it.each(['soon', '0s', '-1s', '1.5s', '10'])('is not %s', async (timeout) => {
    const rig = await createRig();
    await rig.sign('short: { shell: touch started }');
    const { exitCode, stderr } = await rig.ax('run', 'short', `--timeout=${timeout}`);
    expect(exitCode).toBe(64);
    expect(lines(stderr)[0]).toBe(`ax: error[USAGE]: --timeout: expected a duration, found "${timeout}"`);
    expect(rig.has('started')).toBe(false);
  });
});

describe('a rollback', () => {
  it('runs after a failure, and what came of it is in the receipt', async () => {
    const rig = await createRig();
    rig.write('undo.sh', '#!/bin/sh\necho "undoing $AX_INPUT_WHAT"\ntouch undone\nexit 7\n', 0o755);
    await rig.sign(`
      deploy:
        shell: echo deploying; exit 5
        rollback: [./undo.sh, "{{what}}"]
        params: { what: { default: release } }
    `);
    const { exitCode, stdout } = await rig.ax('run', 'deploy', '--quiet');
    expect(exitCode).toBe(5);
    expect(stdout).toBe('deploying\nundoing release\n');
    expect(rig.has('undone')).toBe(true);
    expect((await statement(rig)).rollback).toMatchObject({
      argv: ['./undo.sh', 'release'],
      exit: { kind: 'exited', code: 7 },
      output: { stdout: { head: 'undoing release\n' } },
    });
  });

  it('runs after a timeout', async () => {
    const rig = await createRig();
    await rig.sign(
      'deploy: { run: [sleep, "600"], timeout: 200ms, grace: 100ms, rollback: [touch, undone] }',
    );
    expect((await rig.ax('run', 'deploy')).exitCode).toBe(124);
    expect(rig.has('undone')).toBe(true);
    expect((await statement(rig)).rollback).toMatchObject({ exit: { kind: 'exited', code: 0 } });
  });

  it('does not run after success', async () => {
    const rig = await createRig();
    await rig.sign('deploy: { run: ["true"], rollback: [touch, undone] }');
    expect((await rig.ax('run', 'deploy')).exitCode).toBe(0);
    expect(rig.has('undone')).toBe(false);
    expect((await statement(rig)).rollback).toBeNull();
  });

  it('does not run when nothing was started', async () => {
    const rig = await createRig();
    await rig.sign('deploy: { run: [no-such-command], rollback: [touch, undone] }');
    expect((await rig.ax('run', 'deploy')).exitCode).toBe(69);
    expect(rig.has('undone')).toBe(false);
  });
});

describe('--dry-run', () => {
  const tasks = `
    build: { run: [touch, "started {{what}}"], params: { what: { default: x } }, env: { MODE: a }, cwd: . }
    deploy: { shell: touch started, needs: [build] }
  `;

  it('prints what would run, and starts and records nothing', async () => {
    const rig = await createRig();
    await rig.sign(tasks);
    const { exitCode, stdout, stderr } = await rig.ax('run', 'deploy', '--dry-run');
    expect(exitCode).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toBe(
      [
        'build: "touch" "started x"',
        '  in ., with AX_INPUT_WHAT AX_RUN_ID MODE PATH',
        'deploy: "/bin/sh" "-c" "touch started"',
        '  in ., with AX_RUN_ID PATH',
        '',
      ].join('\n'),
    );
    expect(readdirSync(rig.project).sort()).toEqual(['.ax', 'ax.lock', 'ax.yaml']);
    expect(await receipts(rig)).toEqual([]);
  });

  it('prints a plan with --json', async () => {
    const rig = await createRig();
    await rig.sign(tasks);
    const { exitCode, stdout } = await rig.ax('run', 'deploy', '--dry-run', '--json', '-i', 'what=y');
    expect(exitCode).toBe(0);
    expect(document(runPlan, stdout).tasks).toMatchObject([
      {
        task: 'build',
        argv: ['touch', 'started y'],
        environment: ['AX_INPUT_WHAT', 'AX_RUN_ID', 'MODE', 'PATH'],
      },
      { task: 'deploy', argv: ['/bin/sh', '-c', 'touch started'] },
    ]);
  });

  it('refuses what a run would refuse, and leaves no receipt', async () => {
    const rig = await createRig();
    await rig.sign('deploy: { shell: touch started, secrets: [TOKEN] }');
    const { exitCode } = await rig.ax('run', 'deploy', '--dry-run');
    expect(exitCode).toBe(78);
    expect(await receipts(rig)).toEqual([]);
  });
});

describe('--quiet', () => {
  it('prints the tasks’ output alone, each stream in its place', async () => {
    const rig = await createRig();
    await rig.sign('both: { shell: "echo out; echo err >&2" }');
    const { exitCode, stdout, stderr } = await rig.ax('run', 'both', '--quiet');
    expect(exitCode).toBe(0);
    expect(stdout).toBe('out\n');
    expect(stderr).toBe('err\n');
  });
});

describe('output that means harm', () => {
  // Sets the title, moves the cursor, rings, overwrites the line, turns the text round, hides a character.
  const hostile = String.raw`printf '\033]0;owned\007\033[2J\033[1A\rok \342\200\256txt.exe \342\200\213 \302\233 end'`;

  it('is shown on a terminal, not done', async () => {
    const rig = await createRig();
    rig.write('hostile.sh', `#!/bin/sh\n${hostile}\n${hostile} >&2\n`, 0o755);
    await rig.sign('hostile: { run: [./hostile.sh] }');
    const { stdout, stderr } = await rig.ax('run', 'hostile', '--quiet');
    const shown = String.raw`\x1b]0;owned\x07\x1b[2J\x1b[1A@ok \u202etxt.exe \u200b \x9b end@`.replaceAll(
      '@',
      '\n',
    );
    expect(stdout).toBe(shown);
    expect(stderr).toBe(shown);
  });

  it('is data in JSON: escaped, one line, and what was written', async () => {
    const rig = await createRig();
    rig.write('hostile.sh', `#!/bin/sh\n${hostile}\n`, 0o755);
    await rig.sign('hostile: { run: [./hostile.sh] }');
    const { stdout } = await rig.ax('run', 'hostile', '--json');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
    const text = stream(stdout).flatMap((line) => (line.type === 'output' ? [line.text] : []));
    expect(text.join('')).toBe('\u001b]0;owned\u0007\u001b[2J\u001b[1A\rok \u202etxt.exe \u200b \u009b end');
  });

  it.each([
    ['GitHub Actions', { GITHUB_ACTIONS: 'true', CI: 'true' }],
    ['Azure Pipelines', { TF_BUILD: 'True' }],
    ['TeamCity', { TEAMCITY_VERSION: '2026.1' }],
  ])('cannot command %s', async (_, env) => {
    const rig = await createRig();
    await rig.sign(`
      hostile:
        shell: |
          echo '::error file=a::boo'
          echo '  ::set-output name=a::b'
          echo 'x ##[group]y'
          echo '##vso[task.setvariable variable=a]b'
          echo "##teamcity[buildStatus text='a']"
          echo '::stop-commands::token' >&2
    `);
    const { stdout, stderr } = await rig.axWith({ env }, 'run', 'hostile', '--quiet');
    expect(lines(stdout)).toEqual([
      ': :error file=a::boo',
      '  : :set-output name=a::b',
      'x # #[group]y',
      '# #vso[task.setvariable variable=a]b',
      "# #teamcity[buildStatus text='a']",
    ]);
    expect(stderr).toBe(': :stop-commands::token\n');
  });

  it('without an end, in pieces, or not UTF-8 loses nothing that can be shown', async () => {
    const rig = await createRig();
    rig.write(
      'odd.sh',
      String.raw`#!/bin/sh
printf 'a\303'; printf '\251b\n\377\n'; printf 'last \342\202'
`,
      0o755,
    );
    await rig.sign('odd: { run: [./odd.sh] }');
    const shown = await rig.ax('run', 'odd', '--quiet');
    expect(shown.stdout).toBe('aéb\n\ufffd\nlast \ufffd\n');
    const json = await rig.ax('run', 'odd', '--json');
    const text = stream(json.stdout).flatMap((line) => (line.type === 'output' ? [line.text] : []));
    expect(text.join('')).toBe('aéb\n\ufffd\nlast \ufffd');
  });

  it('of any size is passed on whole, and kept in bounds', async () => {
    const rig = await createRig();
    await rig.sign('loud: { shell: "head -c 3000000 /dev/zero | tr \'\\\\0\' x; echo; echo end" }');
    const { exitCode, stdout } = await rig.ax('run', 'loud', '--quiet');
    expect(exitCode).toBe(0);
    expect(stdout.replaceAll('\n', '')).toBe(`${'x'.repeat(3_000_000)}end`);
    expect((await statement(rig)).output).toMatchObject({
      stdout: {
        bytes: 3_000_005,
        omittedBytes: 3_000_005 - 128 * 1024,
        tail: expect.stringMatching(/x\nend\n$/),
      },
    });
  });
});

/** The processes that carry a run's mark, but for those that are dead and only not yet reaped. */
function processesOf(runId: string | null | undefined): string[] {
  expect(runId).toBeTypeOf('string');
  return readdirSync('/proc').filter((name) => {
    try {
      const alive = !/\) [ZX] /.test(readFileSync(`/proc/${name}/stat`, 'utf8'));
      return alive && readFileSync(`/proc/${name}/environ`, 'utf8').includes(`AX_RUN_ID=${runId}`);
    } catch {
      return false;
    }
  });
}

it('white space around an input is taken off before anything looks at it', async () => {
  const rig = await createRig();
  await rig.sign('t: {run: [echo, "[{{who}}]"], params: {who: {pattern: "[a-z]+"}}}');
  const ran = await rig.ax('run', 't', '--input', 'who= \talice\n', '--quiet');
  expect(ran).toMatchObject({ exitCode: 0, stdout: '[alice]\n' });
});
