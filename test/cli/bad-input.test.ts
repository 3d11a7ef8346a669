import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createBareRig, createRig, filesBelow, lines, PROJECT, type Rig, snapshot } from '../support/rig.ts';

const HEAD = `version: 1\nproject: ${PROJECT}\n`;
const TASKS = 'tasks:\n  hello: { shell: touch started }\n';

/** What each text is refused with, where. */
const malformedYaml: [string, string | Uint8Array, string][] = [
  [
    'a tab for indentation',
    `${HEAD}tasks:\n\thello: { run: [x] }\n`,
    '4:1: expected spaces for indentation, found a tab',
  ],
  [
    'a duplicate key',
    `${HEAD}${TASKS}project: acme/bank\n`,
    '5:1: expected each key once, found a duplicate key',
  ],
  [
    'a duplicate key inside',
    `${HEAD}tasks:\n  a: { run: [x], run: [y] }\n`,
    '4:18: expected each key once, found a duplicate key',
  ],
  [
    'an alias',
    `${HEAD}tasks:\n  a: &it { run: [x] }\n  b: *it\n`,
    '4:10: expected a value, found the anchor &it',
  ],
  ['an anchor alone', `${HEAD}tasks:\n  a: { run: [&x x] }\n`, '4:17: expected a value, found the anchor &x'],
  ['an alias of nothing', `${HEAD}tasks:\n  a: *gone\n`, '4:6: '],
  [
    'a merge key',
    `${HEAD}tasks:\n  a: { run: [x] }\n  b: { <<: { run: [y] } }\n`,
    '5:8: expected a key, found a merge key (<<)',
  ],
  ['a custom tag', `${HEAD}tasks:\n  a: { run: !shell [x] }\n`, '4:13: expected no custom tag'],
  ['a JavaScript tag', `${HEAD}tasks:\n  a: { run: !!js/function "x" }\n`, '4:13: expected no custom tag'],
  ['two documents', `${HEAD}${TASKS}---\n${HEAD}${TASKS}`, '5:1: expected one document, found several'],
  [
    'a key twice, once in quotes',
    `${HEAD}tasks:\n  1: { run: [x] }\n  "1": { run: [y] }\n`,
    '5:3: expected each key once, found a duplicate key',
  ],
  ['a key that is a list', `${HEAD}tasks:\n  ? [a]\n  : { run: [x] }\n`, '4:5: expected a plain text key'],
  ['__proto__', `${HEAD}tasks:\n  __proto__: { run: [x] }\n`, '4:3: expected a key, found __proto__'],
  ['YAML 1.1', `%YAML 1.1\n---\n${HEAD}${TASKS}`, '1:1: expected YAML 1.2'],
  ['an end that is missing', `${HEAD}tasks: {\n`, '4:1: '],
];

const invalidManifest: [string, string, string][] = [
  ['a key that nobody knows', `${HEAD}${TASKS}hooks: {}\n`, '5:1: hooks: expected a known key\n'],
  [
    'a slip of the fingers',
    `${HEAD}tasks:\n  a:\n    run: [x]\n    dependancies: []\n`,
    '6:5: tasks.a.dependancies: expected a known key; did you mean dependencies?\n',
  ],
  ['another version', `version: 2\nproject: ${PROJECT}\n${TASKS}`, '1:10: version: expected version: 1\n'],
  [
    'a version in quotes',
    `version: "1"\nproject: ${PROJECT}\n${TASKS}`,
    '1:10: version: expected version: 1\n',
  ],
  ['no project', `version: 1\n${TASKS}`, '1:1: project: expected string, '],
  [
    'a project that is no name',
    `version: 1\nproject: ../etc\n${TASKS}`,
    '2:10: project: expected a project name such as acme/web',
  ],
  ['a run that is no list', `${HEAD}tasks:\n  a: { run: npm test }\n`, '4:13: tasks.a.run: expected array, '],
  [
    'an argument that is a number',
    `${HEAD}tasks:\n  a: { run: [sleep, 5] }\n`,
    '4:21: tasks.a.run.1: expected string, ',
  ],
  [
    'YAML 1.1’s yes, which is a text',
    `${HEAD}tasks:\n  a: { run: [x], env: { CI: true } }\n`,
    '4:29: tasks.a.env.CI: expected string, ',
  ],
  [
    'neither run nor shell',
    `${HEAD}tasks:\n  a: { title: x }\n`,
    '4:6: tasks.a.run: expected either `run` (a list of arguments) or `shell` (a script), one of them\n',
  ],
  [
    'both run and shell',
    `${HEAD}tasks:\n  a: { run: [x], shell: x }\n`,
    '4:13: tasks.a.run: expected either `run` (a list of arguments) or `shell` (a script), one of them\n',
  ],
  ['no tasks', `${HEAD}tasks: {}\n`, '3:8: tasks: expected at least one task\n'],
  [
    'a task name with a slash',
    `${HEAD}tasks:\n  a/b: { run: [x] }\n`,
    'expected a task name of up to 64 letters, digits, . _ : and -\n',
  ],
  [
    'a duration without a unit',
    `${HEAD}tasks:\n  a: { run: [x], timeout: "10" }\n`,
    '4:27: tasks.a.timeout: expected a duration such as ',
  ],
  [
    'a timeout that no timer reaches',
    `${HEAD}tasks:\n  a: { run: [x], timeout: 90d }\n`,
    '4:27: tasks.a.timeout: expected at most 24d',
  ],
  ['an expiry beyond all calendars', `${HEAD}expires: 99999999999d\n${TASKS}`, '3:10: expires: expected '],
  [
    'a path that leaves the project',
    `${HEAD}tasks:\n  a: { run: [x], cwd: ../.. }\n`,
    '4:23: tasks.a.cwd: expected a relative path inside the project\n',
  ],
  [
    'a control character in a title',
    `${HEAD}tasks:\n  a: { run: [x], title: "a\\u001b[2Jb" }\n`,
    '4:25: tasks.a.title: expected no control characters\n',
  ],
  [
    'a title that is not in normal form C',
    `${HEAD}tasks:\n  a: { run: [x], title: "e\\u0301" }\n`,
    '4:25: tasks.a.title: expected text in Unicode normal form C\n',
  ],
  [
    'a pattern that is none',
    `${HEAD}tasks:\n  a: { run: [x], params: { p: { pattern: "(" } } }\n`,
    '4:42: tasks.a.params.p.pattern: expected a regular expression\n',
  ],
  [
    'a dependency of no kind',
    `${HEAD}tasks:\n  a: { run: [x], dependencies: [{ file: x }] }\n`,
    '4:33: tasks.a.dependencies.0: expected `path: some/file`, `path: some/folder/` or `executable: name`\n',
  ],
];

const brokenRules: [string, string, string][] = [
  [
    'a need that is no task',
    'a: { run: [x], needs: [b] }',
    'tasks.a.needs: expected a task of this file, found "b"',
  ],
  [
    'a circle',
    'a: { run: [x], needs: [b] }\nb: { run: [x], needs: [a] }',
    'tasks need each other in a circle: a -> b -> a',
  ],
  ['a task that needs itself', 'a: { run: [x], needs: [a] }', 'tasks need each other in a circle: a -> a'],
  [
    'a placeholder that is no parameter',
    'a: { run: [x, "{{p}}"] }',
    'tasks.a.run: expected {{…}} to name one of `params`, found "p"',
  ],
  [
    'a placeholder in a script',
    'a: { shell: "echo {{p}}", params: { p: { } } }',
    'tasks.a.shell: expected no {{…}}: ',
  ],
  [
    'a placeholder for the command',
    'a: { run: ["{{p}}"], params: { p: { } } }',
    'tasks.a.run: expected the command itself to be fixed',
  ],
  [
    'a default that its pattern refuses',
    'a: { run: [x], params: { p: { pattern: "[a-z]", default: "1" } } }',
    'tasks.a.params.p.default: expected a match of [a-z], found "1"',
  ],
  [
    'a variable twice',
    'a: { run: [x], env: { A: b }, secrets: [A] }',
    'tasks.a.env: expected A once among env, passEnv and secrets',
  ],
  [
    'a variable of ax',
    'a: { run: [x], passEnv: [AX_RECEIPT_KEY] }',
    'tasks.a.env: expected no AX_ variable, found AX_RECEIPT_KEY',
  ],
];

describe('ax.yaml with', () => {
  it.each(malformedYaml)('%s is malformed: file, line, column, 65', async (_, text, message) => {
    const stderr = await refusesToSign(text);
    expect(stderr).toContain(`ax: error[YAML_MALFORMED]: ax.yaml:${message}`);
  });

  it('bytes that are not UTF-8 is malformed', async () => {
    const stderr = await refusesToSign(
      Buffer.concat([Buffer.from(`${HEAD}# `), Buffer.from([0xe9]), Buffer.from(`\n${TASKS}`)]),
    );
    expect(stderr).toContain(
      'ax: error[YAML_MALFORMED]: ax.yaml: expected UTF-8, found byte 0xe9 at byte offset ',
    );
  });

  it.each(invalidManifest)(
    '%s is not a manifest: file, line, column, what was expected',
    async (_, text, message) => {
      const stderr = await refusesToSign(text);
      expect(stderr).toContain('ax: error[MANIFEST_INVALID]: ax.yaml:');
      expect(stderr).toContain(message);
    },
  );

  it.each(brokenRules)('%s is not a manifest: task and key', async (_, tasks, message) => {
    const rig = await createRig();
    rig.manifest(tasks);
    const stderr = await refusesToSign(rig.read('ax.yaml'));
    expect(stderr).toContain(`ax: error[MANIFEST_INVALID]: ${message}`);
  });

  it('several problems names them all, a line each', async () => {
    const stderr = await refusesToSign(`version: 1\nproject: Acme\ntasks:\n  a: { run: [1] }\nhook: x\n`);
    expect(lines(stderr)).toEqual([
      expect.stringMatching(
        /^ax: error\[MANIFEST_INVALID\]: ax\.yaml:2:10: project: expected a project name/,
      ),
      expect.stringMatching(/^ax\.yaml:4:14: tasks\.a\.run\.0: expected string/),
      expect.stringMatching(/^ax\.yaml:5:1: hook: expected a known key/),
      'ax: hint: correct ax.yaml and run the command again',
    ]);
  });

  it('a billion laughs is refused before it is expanded', async () => {
    const laughs = [
      'a: &a [x]',
      ...'bcdefghij'
        .split('')
        .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghij'[index]}`)}]`),
    ];
    const stderr = await refusesToSign(`${laughs.join('\n')}\n`);
    expect(stderr).toContain('ax: error[YAML_MALFORMED]: ax.yaml:1:');
  });

  it('more than 1 MiB is refused', async () => {
    const stderr = await refusesToSign(`${HEAD}${TASKS}# ${'x'.repeat(1024 * 1024)}\n`);
    expect(stderr).toContain('ax: error[YAML_MALFORMED]: ax.yaml: expected at most 1048576 bytes, found ');
  });

  it('an escape sequence in a key shows it, and does not do it', async () => {
    const stderr = await refusesToSign(`${HEAD}${TASKS}"a\\e[2Jb": 1\n`);
    expect(stderr).toContain(String.raw`ax.yaml:5:1: a\x1b[2Jb: expected a known key`);
    expect(stderr).not.toContain('\u001b');
  });
});

describe('ax.lock', () => {
  it.each<[string, string | Uint8Array, string]>([
    ['is empty', '', 'JSON_MALFORMED]: ax.lock:1:1: '],
    ['is cut short', '{\n  "payloadType": "x",\n', 'JSON_MALFORMED]: ax.lock:3:1: '],
    [
      'is not JSON',
      '{\n  payloadType: 1\n}\n',
      'JSON_MALFORMED]: ax.lock:2:3: expected a key in double quotes',
    ],
    [
      'has a key twice',
      '{"payload":"",\n"payload":""}',
      'JSON_MALFORMED]: ax.lock:2:1: expected each key once',
    ],
    [
      'has something after its end',
      '{}\n{}',
      'JSON_MALFORMED]: ax.lock:2:1: expected nothing after the value',
    ],
    [
      'is nested too deeply',
      `${'['.repeat(40)}`,
      'JSON_MALFORMED]: ax.lock:1:33: expected at most 32 levels of nesting',
    ],
    [
      'is not UTF-8',
      Buffer.from([0x7b, 0xff]),
      'JSON_MALFORMED]: ax.lock: expected UTF-8, found byte 0xff at byte offset 1',
    ],
    ['is no envelope', '[]', 'ENVELOPE_MALFORMED]: ax.lock: expected a DSSE envelope'],
    [
      'has no signature',
      '{"payloadType":"x","payload":"","signatures":[]}',
      'ENVELOPE_MALFORMED]: ax.lock: signatures: expected an array of 1 to 16',
    ],
    [
      'has loose base64',
      '{"payloadType":"x","payload":"YQ","signatures":[{"sig":"YQ=="}]}',
      'ENVELOPE_MALFORMED]: ax.lock: payload: expected padded base64 in one alphabet',
    ],
    [
      'is larger than 4 MiB',
      ' '.repeat(4 * 1024 * 1024 + 1),
      'ENVELOPE_MALFORMED]: ax.lock: expected at most 4194304 bytes, found 4194305',
    ],
  ])('that %s is malformed: 65', async (_, text, message) => {
    const rig = await createRig();
    rig.manifest('hello: { shell: touch started }');
    rig.write('ax.lock', text);
    const { exitCode, stdout, stderr } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(65);
    expect(stdout).toBe('');
    expect(lines(stderr)[0]).toContain(`ax: error[${message}`);
    expect(lines(stderr)[1]).toMatch(/^ax: hint: ./);
    expect((await rig.ax('verify')).exitCode).toBe(65);
    expect(rig.has('started')).toBe(false);
  });

  it('that is missing is 66, with the command that makes it', async () => {
    const rig = await createRig();
    rig.manifest('hello: { shell: touch started }');
    for (const args of [['run', 'hello'], ['verify'], ['tasks'], ['sign', '--add']]) {
      const { exitCode, stdout, stderr } = await rig.ax(...args);
      expect([args, exitCode]).toEqual([args, 66]);
      expect(stdout).toBe('');
      expect(rig.normal(stderr)).toBe(
        'ax: error[LOCK_MISSING]: no ax.lock in <project>: nothing is signed here\nax: hint: run ax sign\n',
      );
    }
    expect(filesBelow(rig.project)).toEqual(['ax.yaml']);
  });

  it('and ax.yaml that are both missing are 66 as well', async () => {
    const rig = await createRig();
    const { exitCode, stderr } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(66);
    expect(stderr).toBe(
      'ax: error[MANIFEST_MISSING]: no ax.yaml or ax.lock here, nor in any folder above\nax: hint: ax init\n',
    );
    expect(filesBelow(rig.project)).toEqual([]);
  });
});

describe('what is asked for', () => {
  it('that is no task is 66, and is told what there is', async () => {
    const rig = await signed();
    const { exitCode, stderr } = await rig.ax('run', 'hullo');
    expect(exitCode).toBe(66);
    expect(stderr).toBe(
      'ax: error[TASK_UNKNOWN]: no task "hullo" in ax.lock; it has hello\nax: hint: ax tasks\n',
    );
    expect(rig.has('started')).toBe(false);
  });

  it('beside a task that is there starts neither', async () => {
    const rig = await signed();
    expect((await rig.ax('run', 'hello', 'hullo')).exitCode).toBe(66);
    expect(rig.has('started')).toBe(false);
  });

  it.each(['toString', '__proto__', 'constructor'])(
    'as a task %s is no more there than any other',
    async (name) => {
      const rig = await signed();
      const { exitCode } = await rig.ax('run', name);
      expect([64, 66]).toContain(exitCode);
      expect(rig.has('started')).toBe(false);
    },
  );

  it.each<[string, string[]]>([
    ['a command', ['deploy']],
    ['a subcommand', ['keys', 'burn']],
    ['an option', ['run', 'hello', '--force']],
    ['a number of jobs', ['run', 'hello', '--jobs', '0']],
    ['a number of jobs', ['run', 'hello', '--jobs', 'many']],
    ['a key role', ['keys', 'rotate', '--role', 'admin']],
    ['a task name', ['run', 'a/b']],
    ['a task name', ['run', 'a\u001b[2J']],
    ['an argument too many', ['verify', 'everything']],
  ])('that is no %s is a usage error: 64, one message, one hint', async (_, args) => {
    const rig = await signed();
    const { exitCode, stdout, stderr } = await rig.ax(...args);
    expect(exitCode).toBe(64);
    expect(stdout).toBe('');
    expect(lines(stderr)).toEqual([
      expect.stringMatching(/^ax: error\[USAGE\]: ./),
      expect.stringMatching(/^ax: hint: .*(?:--help|ax tasks)/),
    ]);
    expect(stderr).not.toContain('\u001b');
    expect(rig.has('started')).toBe(false);
  });

  it('nearly a command is told which', async () => {
    const rig = await signed();
    expect((await rig.ax('verfy')).stderr).toContain('(did you mean verify?)'.slice(1, -1));
  });

  const ids = [
    '',
    'latest',
    '../../etc/passwd',
    "' OR 1=1 --",
    '01JDZ8%',
    '_',
    'U'.repeat(26),
    '0'.repeat(27),
    '01JDZ8\n',
    '８',
  ];

  it.each<[string, string, string[]]>([
    ['receipts show', 'RECEIPT_UNKNOWN', ['receipts', 'show']],
    ['receipts decrypt', 'RECEIPT_UNKNOWN', ['receipts', 'decrypt']],
    ['receipts verify', 'RECEIPT_UNKNOWN', ['receipts', 'verify']],
    ['status', 'RUN_UNKNOWN', ['status']],
    ['cancel', 'RUN_UNKNOWN', ['cancel']],
    ['receipts list --before', 'RECEIPT_UNKNOWN', ['receipts', 'list', '--before']],
    ['audit list --run', 'RUN_UNKNOWN', ['audit', 'list', '--run']],
  ])('of %s that is no id is 66', async (_, code, args) => {
    const rig = await signed();
    await rig.ax('run', 'hello');
    for (const id of ids) {
      const { exitCode, stdout, stderr } = await rig.ax(...args, id);
      expect([id, exitCode]).toEqual([id, 66]);
      expect(stdout).toBe('');
      expect(stderr).toContain(`ax: error[${code}]: `);
    }
  });

  it('by a beginning that several have is a usage error', async () => {
    const rig = await signed();
    await rig.ax('run', 'hello');
    await rig.ax('run', 'hello');
    const { exitCode, stderr } = await rig.ax('receipts', 'show', '0');
    expect(exitCode).toBe(64);
    expect(stderr).toContain('ax: error[ID_AMBIGUOUS]: ');
  });
});

describe('AX_RECEIPT_KEY', () => {
  const hex = 'ab'.repeat(32);
  const base64 = Buffer.alloc(32, 0xab).toString('base64');

  it.each([
    ['hex', hex],
    ['hex in capitals', hex.toUpperCase()],
    ['base64', base64],
    ['base64url without padding', Buffer.alloc(32, 0xab).toString('base64url')],
  ])('may be 32 bytes in %s, and then opens what it sealed', async (_, value) => {
    const rig = await signed();
    const env = { AX_RECEIPT_KEY: value };
    expect((await rig.axWith({ env }, 'run', 'hello')).exitCode).toBe(0);
    const { receipts } = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout);
    expect((await rig.axWith({ env }, 'receipts', 'decrypt', receipts[0].id)).exitCode).toBe(0);
    // The keyring's own key is not a recipient.
    const without = await rig.ax('receipts', 'decrypt', receipts[0].id);
    expect([without.exitCode, without.stdout]).toEqual([66, '']);
  });

  it.each([
    ['empty', ''],
    ['blank', ' '],
    ['31 bytes in hex', 'ab'.repeat(31)],
    ['33 bytes in hex', 'ab'.repeat(33)],
    ['an odd number of hex digits', hex.slice(1)],
    ['hex with a letter that is none', `g${hex.slice(1)}`],
    ['hex with white space', `${hex}\n`],
    ['31 bytes in base64', Buffer.alloc(31).toString('base64')],
    ['33 bytes in base64', Buffer.alloc(33).toString('base64')],
    ['base64 with a letter that is none', `*${base64.slice(1)}`],
    ['base64 with white space', ` ${base64}`],
    ['base64 with the wrong padding', base64.replace(/=+$/, '==')],
    ['base64 with bits left over', `${base64.slice(0, -2)}/=`],
    ['a passphrase', 'correct horse battery staple'],
    ['false', 'false'],
  ])('that is %s is an error, and nothing is written or started', async (_, value) => {
    const rig = await signed();
    const before = snapshot(rig);
    for (const args of [
      ['run', 'hello'],
      ['run', 'hello', '--dry-run'],
    ]) {
      const { exitCode, stdout, stderr } = await rig.axWith({ env: { AX_RECEIPT_KEY: value } }, ...args);
      expect([args, exitCode]).toEqual([args, 78]);
      expect(stdout).toBe('');
      expect(stderr).toBe(
        'ax: error[ENVIRONMENT_MALFORMED]: AX_RECEIPT_KEY: expected 32 bytes in base64 or hex\n' +
          'ax: hint: make one with: openssl rand -base64 32\n',
      );
    }
    expect(snapshot(rig)).toEqual(before);
  });

  it('that is malformed fails verify too', async () => {
    const rig = await signed();
    const { exitCode, stdout } = await rig.axWith({ env: { AX_RECEIPT_KEY: 'no' } }, 'verify');
    expect(exitCode).toBe(78);
    expect(stdout).toContain('failed  receipt key: AX_RECEIPT_KEY: expected 32 bytes in base64 or hex\n');
  });
});

describe('AX_RECIPIENTS', () => {
  const key = { kty: 'OKP', crv: 'X25519', x: 'hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo' };

  it('seals to a public key, for a machine that may write receipts and never read them', async () => {
    const rig = await signed();
    const env = { AX_RECIPIENTS: JSON.stringify([key]) };
    expect((await rig.axWith({ env }, 'run', 'hello')).exitCode).toBe(0);
    const { receipts } = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout);
    expect((await rig.axWith({ env }, 'receipts', 'decrypt', receipts[0].id)).exitCode).toBe(66);
  });

  it.each([
    ['empty', ''],
    ['no JSON', 'none'],
    ['an empty list', '[]'],
    ['null', 'null'],
    ['a key for signatures', JSON.stringify({ ...key, crv: 'Ed25519' })],
    ['a key of the wrong length', JSON.stringify({ ...key, x: 'AAAA' })],
    ['a point of small order', JSON.stringify({ ...key, x: 'A'.repeat(43) })],
    ['a private key', JSON.stringify({ ...key, d: key.x })],
    ['one good key and one bad', JSON.stringify([key, {}])],
  ])('that is %s is an error, and nothing is written or started', async (_, value) => {
    const rig = await signed();
    const before = snapshot(rig);
    const { exitCode, stdout, stderr } = await rig.axWith({ env: { AX_RECIPIENTS: value } }, 'run', 'hello');
    expect(exitCode).toBe(78);
    expect(stdout).toBe('');
    expect(lines(stderr)).toEqual([
      expect.stringMatching(/^ax: error\[ENVIRONMENT_MALFORMED\]: AX_RECIPIENTS/),
      'ax: hint: expected one X25519 public key as a JWK, or a JSON array of them',
    ]);
    expect(snapshot(rig)).toEqual(before);
  });
});

describe('a key file', () => {
  const commands = [['run', 'hello'], ['sign', '--yes'], ['keys', 'list'], ['keys', 'rotate'], ['init']];

  it.each<[string, (text: string) => string]>([
    ['is empty', () => ''],
    ['is cut short', (text) => text.slice(0, 40)],
    ['has no role', (text) => text.replace('"role"', '"rule"')],
    ['has another role than its key is for', (text) => text.replace('"signing"', '"receipt"')],
    ['has no time', (text) => text.replace('"createdAt"', '"made"')],
    ['has padded base64', (text) => text.replace(/"d": "([^"]+)"/, '"d": "$1="')],
  ])('that %s is 78 and named, its content is not shown, and nothing is written', async (_, damage) => {
    const rig = await signed();
    const name = keyFile(rig, 'signing');
    const path = join(rig.home, 'keys', name);
    const text = readFileSync(path, 'utf8');
    const secret = JSON.parse(text).jwk.d;
    writeFileSync(path, damage(text));
    const before = snapshot(rig);
    for (const args of commands) {
      const { exitCode, stdout, stderr } = await rig.ax(...args);
      expect([args, exitCode]).toEqual([args, 78]);
      expect(stdout).toBe('');
      expect(lines(stderr)[0]).toContain(`ax: error[KEY_MALFORMED]: ${path}: `);
      expect(stderr).not.toContain(secret);
    }
    expect(snapshot(rig)).toEqual(before);
  });

  it.each<[string, number, string, (text: string) => string]>([
    // What is left is a key that an ssh-agent signs with, and there is none.
    ['has no private part', 69, 'AGENT_UNAVAILABLE', (text) => text.replace('"d"', '"e"')],
    [
      'has the private part of another key',
      78,
      'KEY_MALFORMED',
      (text) => text.replace(/"d": "[^"]+"/, `"d": "${'A'.repeat(43)}"`),
    ],
  ])('that %s signs nothing: %i', async (_, status, code, damage) => {
    const rig = await signed();
    const path = join(rig.home, 'keys', keyFile(rig, 'signing'));
    writeFileSync(path, damage(readFileSync(path, 'utf8')));
    const before = snapshot(rig);
    const { exitCode, stderr } = await rig.ax('sign', '--yes');
    expect(exitCode).toBe(status);
    expect(stderr).toContain(`ax: error[${code}]: `);
    expect(snapshot(rig)).toEqual(before);
  });

  it('under another key’s name is 78', async () => {
    const rig = await signed();
    const keys = join(rig.home, 'keys');
    renameSync(join(keys, keyFile(rig, 'signing')), join(keys, `${'A'.repeat(43)}.json`));
    const { exitCode, stderr } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(78);
    expect(stderr).toContain('expected its name to be ');
    expect(rig.has('started')).toBe(false);
  });

  it.each([0o644, 0o640, 0o604, 0o660])('with mode %o is 78, with the chmod that mends it', async (mode) => {
    const rig = await signed();
    const path = join(rig.home, 'keys', keyFile(rig, 'receipt'));
    chmodSync(path, mode);
    const before = snapshot(rig);
    const { exitCode, stdout, stderr } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(78);
    expect(stdout).toBe('');
    expect(stderr).toBe(
      `ax: error[KEY_PERMISSIONS]: ${path}: expected to be private to its owner, found mode 0${mode.toString(8)}\n` +
        `ax: hint: chmod 600 ${path}\n`,
    );
    expect(snapshot(rig)).toEqual(before);
  });

  it('that is a symbolic link is 78', async () => {
    const rig = await signed();
    const path = join(rig.home, 'keys', keyFile(rig, 'signing'));
    renameSync(path, join(rig.base, 'key.json'));
    symlinkSync(join(rig.base, 'key.json'), path);
    const { exitCode, stderr } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(78);
    expect(stderr).toContain(`ax: error[KEY_PERMISSIONS]: ${path}: expected a file, found a symbolic link\n`);
    expect(rig.has('started')).toBe(false);
  });

  it('is not added to a folder that others can enter', async () => {
    const rig = await createRig();
    chmodSync(join(rig.home, 'keys'), 0o755);
    const before = readdirSync(join(rig.home, 'keys'));
    const { exitCode, stderr } = await rig.ax('keys', 'rotate');
    expect(exitCode).toBe(78);
    expect(rig.normal(stderr)).toContain('ax: hint: chmod 700 <home>/keys\n');
    expect(readdirSync(join(rig.home, 'keys'))).toEqual(before);
  });
});

describe('a store', () => {
  it('that others can enter is 78, with the chmod that mends it', async () => {
    const rig = await signed();
    chmodSync(join(rig.project, '.ax'), 0o755);
    const { exitCode, stderr } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(78);
    expect(rig.normal(stderr)).toContain('ax: hint: chmod 700 <project>/.ax\n');
    expect(rig.has('started')).toBe(false);
  });

  it('that is a link out of the project is 78, and nothing is written there', async () => {
    const rig = await createRig();
    mkdirSync(join(rig.base, 'elsewhere'), { mode: 0o700 });
    symlinkSync(join(rig.base, 'elsewhere'), join(rig.project, '.ax'));
    rig.manifest('hello: { shell: touch started }');
    const { exitCode } = await rig.ax('sign');
    expect(exitCode).toBe(78);
    expect(readdirSync(join(rig.base, 'elsewhere'))).toEqual([]);
  });

  it('that is no store of ax is 74, and stays as it is', async () => {
    const rig = await signed();
    rig.write('.ax/ax.db', 'precious, and no database');
    const { exitCode } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(74);
    expect(rig.read('.ax/ax.db')).toBe('precious, and no database');
    expect(rig.has('started')).toBe(false);
  });
});

describe('where ax keeps its things', () => {
  it.each(['home', './home', '../home'])('is not %s: AX_HOME is absolute', async (value) => {
    const rig = createBareRig();
    const commands = [['init'], ['sign'], ['run', 'hello'], ['keys', 'generate']];
    for (const args of commands) {
      const { exitCode, stderr } = await rig.axWith({ env: { AX_HOME: value } }, ...args);
      expect([args, exitCode]).toEqual([args, 78]);
      expect(stderr).toBe(
        `ax: error[ENVIRONMENT_MALFORMED]: AX_HOME: expected an absolute path, found "${value}"\n` +
          `ax: hint: export AX_HOME="$PWD/${value}"\n`,
      );
    }
    expect(filesBelow(rig.base)).toEqual([]);
  });

  it('must be known: without HOME, AX_HOME and the XDG folders it is 78', async () => {
    const rig = createBareRig();
    const { exitCode, stderr } = await rig.axWith({ env: { HOME: undefined, AX_HOME: undefined } }, 'init');
    expect(exitCode).toBe(78);
    expect(stderr).toBe(
      'ax: error[ENVIRONMENT_MALFORMED]: HOME: expected an absolute path, found none\n' +
        'ax: hint: set AX_HOME to the folder that keeps keys and trust\n',
    );
    expect(filesBelow(rig.base)).toEqual([]);
  });

  it('is the XDG folders where AX_HOME is not set', async () => {
    const rig = createBareRig();
    const env = {
      AX_HOME: undefined,
      XDG_DATA_HOME: join(rig.base, 'data'),
      XDG_CONFIG_HOME: join(rig.base, 'config'),
    };
    expect((await rig.axWith({ env }, 'init')).exitCode).toBe(0);
    expect(filesBelow(join(rig.base, 'data/ax/keys'))).toHaveLength(3);
    expect(filesBelow(join(rig.base, 'config/ax'))).toEqual(['trust.json']);
  });

  it('is below HOME where nothing else is set, and a relative XDG folder is passed over', async () => {
    const rig = createBareRig();
    const env = { AX_HOME: undefined, XDG_DATA_HOME: 'data', XDG_CACHE_HOME: join(rig.base, 'cache') };
    expect((await rig.axWith({ env }, 'init')).exitCode).toBe(0);
    expect(filesBelow(join(rig.env.HOME ?? '', '.local/share/ax/keys'))).toHaveLength(3);
    expect(filesBelow(join(rig.env.HOME ?? '', '.config/ax'))).toEqual(['trust.json']);
    expect(rig.has('data')).toBe(false);
  });
});

describe('a setting', () => {
  it.each([
    ['config.json that is no JSON', '{'],
    ['a value that is none', '{"jobs":"0"}'],
  ])('in %s is 78', async (_, text) => {
    const rig = await signed();
    writeFileSync(join(rig.home, 'config.json'), text);
    const { exitCode, stdout, stderr } = await rig.ax('run', 'hello');
    expect(exitCode).toBe(78);
    expect(stdout).toBe('');
    expect(stderr).toContain('ax: error[SETTING_INVALID]: ');
    expect(rig.has('started')).toBe(false);
  });
});

async function signed(): Promise<Rig> {
  const rig = await createRig();
  await rig.sign('hello: { shell: touch started }');
  return rig;
}

/** `sign` refuses the text with 65, `verify` and `run` have nothing to go by, and nothing is written. */
async function refusesToSign(text: string | Uint8Array): Promise<string> {
  const rig = await createRig();
  rig.write('ax.yaml', text);
  const before = snapshot(rig);
  const { exitCode, stdout, stderr } = await rig.ax('sign');
  expect(stdout).toBe('');
  expect(lines(stderr).at(-1)).toMatch(/^ax: hint: ./);
  expect([exitCode, stderr]).toEqual([65, stderr]);
  expect(snapshot(rig)).toEqual(before);
  return stderr;
}

function keyFile(rig: Rig, role: string): string {
  const keys = join(rig.home, 'keys');
  const name = readdirSync(keys).find(
    (file) => JSON.parse(readFileSync(join(keys, file), 'utf8')).role === role,
  );
  if (name === undefined) throw new Error(`no ${role} key`);
  return name;
}
