import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyApproval } from '../../src/manifest/approval.ts';
import { canonicalJson, sha256Canonical } from '../../src/security/canonical.ts';
import { sha256Hex } from '../../src/security/digest.ts';
import { parseEnvelope } from '../../src/security/dsse.ts';
import { serializeEnvelope } from '../../src/security/dsse-sign.ts';
import { parseJson } from '../../src/security/json.ts';
import type { SigningKey } from '../../src/security/signing-keys.ts';
import { craftLock, signingKeys } from '../support/craft.ts';
import { createRig, lines, PROJECT, type Rig, snapshot } from '../support/rig.ts';
import { approveShape, document, result } from '../support/shapes.ts';
import { onTerminal, tmux } from '../support/terminal.ts';

const DEPLOY = `deploy:
  run: [touch, "started-{{target}}"]
  params: { target: { pattern: "[a-z]+", default: web } }
  secrets: [TOKEN]
  args: { pattern: "--[a-z]+" }`;

/** A signed project, and an approver with a home of its own, which trusts the key that signed. */
async function approver(tasks = DEPLOY): Promise<{ rig: Rig; home: string; key: SigningKey }> {
  const rig = await createRig();
  await rig.sign(tasks);
  const home = join(rig.base, 'approver');
  await must(rig, 'keys', 'generate', '--home', home);
  await must(rig, 'trust', 'add', PROJECT, '--key', signingKeys(rig)[0]?.kid ?? '', '--home', home);
  const [key] = signingKeys({ ...rig, home });
  if (key === undefined) throw new Error('expected a key');
  return { rig, home, key };
}

async function must(rig: Rig, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await rig.ax(...args);
  if (exitCode !== 0) throw new Error(`ax ${args.join(' ')}: ${exitCode}: ${stderr}`);
  return stdout;
}

const manifestDigest = (rig: Rig): string =>
  sha256Hex(Buffer.from(JSON.parse(rig.read('ax.lock')).payload, 'base64'));

const approvalsIn = (rig: Rig): string[] =>
  readdirSync(rig.project).filter((name) => name.includes('approval'));

async function auditOf(rig: Rig): Promise<{ runId: string | null; data: object }[]> {
  return JSON.parse(await must(rig, 'audit', 'list', '--type', 'approval.sign', '--json')).records;
}

/** The files of the project, the keys and the trust; a manifest that verifies is remembered whatever follows. */
function files(rig: Rig): Record<string, string> {
  const kept = (name: string) => !name.startsWith('home/versions/') && !name.startsWith('project/.ax/');
  return Object.fromEntries(Object.entries(snapshot(rig)).filter(([name]) => kept(name)));
}

/** Runs a command that is refused: this status and code, no file made or changed, and no approval recorded. */
async function refuses(
  rig: Rig,
  args: readonly string[],
  { status, code }: { status: number; code: string },
): Promise<string> {
  const before = files(rig);
  const { exitCode, stdout, stderr } = await rig.ax('approve', ...args);
  expect(stderr).toContain(`ax: error[${code}]: `);
  expect(exitCode).toBe(status);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^ax: hint: ./m);
  expect(files(rig)).toEqual(before);
  expect(await auditOf(rig)).toEqual([]);
  return stderr;
}

describe('ax approve', () => {
  it('shows what is approved and makes a file that holds for exactly that, without the secret', async () => {
    const { rig, home, key } = await approver();
    const args = ['--input', 'target=staging', '--expires', '2h', '--yes', '--home', home, '--', '--force'];
    const { exitCode, stdout, stderr } = await rig.ax('approve', 'deploy', ...args);
    expect(exitCode).toBe(0);
    const name = `deploy.${key.kid.slice(0, 8)}.approval.json`;
    expect(rig.normal(stdout)).toBe(`approved  deploy of acme/web version 1 until <time>: ${name}\n`);
    expect(lines(rig.normal(stderr))).toEqual([
      'To be approved:',
      '  project   acme/web version 1',
      '  manifest  sha256:<sha256>',
      '  task      deploy',
      '  command   "touch" "started-staging" "--force"',
      '  input     target = "staging"',
      '  expires   <time>, in 2h 00m',
      '  key       <kid>',
      'ax: warning: <kid> is not trusted for acme/web here; it counts where it is trusted',
    ]);

    const subject = {
      project: PROJECT,
      manifestDigest: manifestDigest(rig),
      task: 'deploy',
      inputsSha256: sha256Canonical({ inputs: { target: 'staging' }, args: ['--force'] }),
    };
    const bytes = readFileSync(join(rig.project, name));
    const approval = verifyApproval(bytes, subject, {
      keys: [key],
      revoked: new Map(),
      now: Date.now(),
      source: name,
    });
    expect(approval.kid).toBe(key.kid);
    expect(approval.expiresAt - approval.createdAt).toBe(2 * 60 * 60 * 1000);
    expect(readdirSync(rig.project).filter((file) => file.startsWith('started'))).toEqual([]);
    expect(approvalsIn(rig)).toEqual([name]);
    expect(await auditOf(rig)).toMatchObject([
      {
        runId: null,
        actor: { uid: process.getuid?.() },
        data: {
          id: approval.id,
          ...subject,
          kid: key.kid,
          expiresAt: new Date(approval.expiresAt).toISOString(),
        },
      },
    ]);
  });

  it('writes a canonical payload in an indented envelope, readable by all, with no private part', async () => {
    const { rig, home, key } = await approver();
    await must(rig, 'approve', 'deploy', '--yes', '--home', home, '--output', 'a.json');
    const text = rig.read('a.json');
    const envelope = parseEnvelope(parseJson(text, 'a.json'), 'a.json');
    expect(serializeEnvelope(envelope)).toBe(text);
    const payload = parseJson(envelope.payload.toString(), 'payload');
    expect(canonicalJson(payload)).toBe(envelope.payload.toString());
    expect(payload).toMatchObject({ schema: 'ax.approval/1', project: PROJECT, task: 'deploy' });
    expect(statSync(join(rig.project, 'a.json')).mode & 0o777).toBe(0o644);
    if (key.algorithm !== 'Ed25519') throw new Error(key.algorithm);
    const { d = '-' } = key.privateKey.export({ format: 'jwk' });
    for (const [name, content] of Object.entries(snapshot(rig))) expect(content, name).not.toContain(d);
  });

  it('is of what a run is given: the same digest, with the defaults filled in', async () => {
    const { rig, home } = await approver();
    const env = { TOKEN: 'correct-horse' };
    const ran = await rig.axWith({ env }, 'run', 'deploy', '--input', 'target=api', '--json', '--', '--x');
    const runId = result(ran.stdout).runs[0]?.runId ?? '';
    const json = ['--yes', '--json', '--home', home];
    const ofTask = ['deploy', '--input', 'target=api', '--output', 'a', ...json, '--', '--x'];
    const [task, run, plain, web] = [
      await must(rig, 'approve', ...ofTask),
      await must(rig, 'approve', runId, '--input', 'target=api', '--output', 'b', ...json, '--', '--x'),
      await must(rig, 'approve', 'deploy', '--output', 'c', ...json),
      await must(rig, 'approve', 'deploy', '--input', 'target=web', '--output', 'd', ...json),
    ].map((text) => document(approveShape, text).inputsSha256);
    expect(task).toBe(run);
    expect(plain).toBe(web);
    expect(plain).not.toBe(task);
  });

  it('refuses where nobody can say yes', async () => {
    const { rig, home } = await approver();
    const stderr = await refuses(rig, ['deploy', '--home', home], {
      status: 77,
      code: 'CONFIRMATION_REQUIRED',
    });
    expect(stderr).toContain('  command   "touch" "started-web"\n');
    expect(stderr).toContain('hint: look at what is approved, then the same command with --yes\n');
  });

  it('warns whoever signed the manifest, and signs', async () => {
    const { rig } = await approver();
    const { exitCode, stderr } = await rig.ax('approve', 'deploy', '--yes');
    expect(exitCode).toBe(0);
    expect(rig.normal(stderr)).toContain(
      'ax: warning: <kid> also signed this manifest; where authors may not approve, it does not count\n',
    );
    expect(stderr).not.toContain('is not trusted');
  });

  it('signs with the key that is named', async () => {
    const { rig, home, key } = await approver();
    await must(rig, 'keys', 'rotate', '--role', 'signing', '--home', home);
    const stdout = await must(
      rig,
      ...['approve', 'deploy', '--yes', '--json', '--home', home, '--key', key.kid.slice(0, 10)],
    );
    expect(document(approveShape, stdout).kid).toBe(key.kid);
    expect(approvalsIn(rig)).toEqual([`deploy.${key.kid.slice(0, 8)}.approval.json`]);
  });

  it('refuses a shared secret, before it asks', async () => {
    const { rig } = await approver();
    const home = join(rig.base, 'hmac');
    await must(rig, 'keys', 'generate', '--algorithm', 'hmac', '--home', home);
    const expected = { status: 78, code: 'KEY_MALFORMED' };
    expect(await refuses(rig, ['deploy', '--yes', '--home', home], expected)).not.toContain('To be approved');
  });

  it('replaces no file, folder or link', async () => {
    const { rig, home } = await approver();
    rig.write('file.json', 'mine');
    mkdirSync(join(rig.project, 'folder.json'));
    symlinkSync('file.json', join(rig.project, 'link.json'));
    for (const name of ['file.json', 'folder.json', 'link.json']) {
      const args = ['deploy', '--yes', '--home', home, '--output', name];
      const stderr = await refuses(rig, args, { status: 74, code: 'IO' });
      expect(stderr).toContain('expected no file of that name, found one\n');
      expect(stderr).not.toContain('To be approved');
    }
    symlinkSync('nowhere', join(rig.project, 'loose.json'));
    const args = ['approve', 'deploy', '--yes', '--home', home, '--output', 'loose.json'];
    expect((await rig.ax(...args)).exitCode).toBe(74);
    expect(rig.has('nowhere')).toBe(false);
  });

  it('leaves no record where the file cannot be made', async () => {
    const { rig, home } = await approver();
    const args = ['deploy', '--yes', '--home', home, '--output', 'no/such/folder.json'];
    await refuses(rig, args, { status: 74, code: 'IO' });
  });

  it('makes one file of two that are made at once', async () => {
    const { rig, home } = await approver();
    const args = ['approve', 'deploy', '--yes', '--home', home, '--output', 'a.json'];
    const both = await Promise.all([rig.ax(...args), rig.ax(...args)]);
    expect(both.map(({ exitCode }) => exitCode).sort()).toEqual([0, 74]);
    const { payload } = JSON.parse(rig.read('a.json'));
    const { id } = JSON.parse(Buffer.from(payload, 'base64').toString());
    expect((await auditOf(rig)).map(({ data }) => data)).toContainEqual(expect.objectContaining({ id }));
    expect(readdirSync(rig.project).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it.each<[string, string[], number, string]>([
    ['an unknown task', ['depoly', '--yes'], 66, 'TASK_UNKNOWN'],
    ['a name that is none', ['a b', '--yes'], 64, 'USAGE'],
    ['no task', ['--yes'], 64, 'USAGE'],
    ['an unknown run', ['01JDZ8M3Q0', '--yes'], 66, 'RUN_UNKNOWN'],
    ['a short beginning of a run', ['01JDZ8M3Q', '--yes'], 66, 'TASK_UNKNOWN'],
    ['an input of no parameter', ['deploy', '--yes', '--input', 'nope=1'], 64, 'USAGE'],
    ['an input that the pattern refuses', ['deploy', '--yes', '--input', 'target=W'], 65, 'INPUT_INVALID'],
    ['an argument that the pattern refuses', ['deploy', '--yes', '--', 'x'], 65, 'INPUT_INVALID'],
    ['a time beyond 30 days', ['deploy', '--yes', '--expires', '31d'], 64, 'USAGE'],
    ['a time that is none', ['deploy', '--yes', '--expires', '0h'], 64, 'USAGE'],
    ['no output file', ['deploy', '--yes', '--output', ''], 64, 'USAGE'],
    ['an unknown key', ['deploy', '--yes', '--key', '~'], 66, 'KEY_UNKNOWN'],
  ])('refuses %s', async (_, args, status, code) => {
    const { rig } = await approver();
    await refuses(rig, args, { status, code });
  });

  it('refuses what `ax run` would refuse: a manifest by nobody who is trusted, and one that was changed', async () => {
    const { rig } = await approver();
    const home = join(rig.base, 'stranger');
    await must(rig, 'keys', 'generate', '--home', home);
    await refuses(rig, ['deploy', '--yes', '--home', home], { status: 77, code: 'SIGNATURE_UNTRUSTED' });
    rig.write('ax.lock', rig.read('ax.lock').replace('"payload": "ey', '"payload": "fy'));
    await refuses(rig, ['deploy', '--yes'], { status: 77, code: 'SIGNATURE_INVALID' });
  });

  it('makes hostile text visible, in what it shows and in what it prints', async () => {
    const rig = await createRig();
    rig.manifest('deploy: { run: [echo, hello], params: { note: { default: x } } }');
    craftLock(rig, {
      change: (manifest) => {
        const { deploy } = manifest.tasks;
        return {
          ...manifest,
          tasks: { deploy: { ...deploy, run: ['echo', 'a\u001b[2Jb\u202ec\n  key       forged'] } },
        };
      },
    });
    const args = [
      'approve',
      'deploy',
      '--yes',
      '--input',
      'note=\u202egnp.exe',
      '--output',
      'a\u001b[1m.json',
    ];
    const { exitCode, stdout, stderr } = await rig.ax(...args);
    expect(exitCode).toBe(0);
    expect(stderr).toContain('  command   "echo" "a\\u001b[2Jb\\u202ec\\n  key       forged"\n');
    expect(stderr).toContain('  input     note = "\\u202egnp.exe"\n');
    expect(stdout).toMatch(/: a\\x1b\[1m\.json\n$/);
    for (const hostile of ['\u001b', '\u202e']) expect(stdout + stderr).not.toContain(hostile);
  });
});

describe('ax approve of a run', () => {
  const TOKEN = { TOKEN: 'correct-horse' };

  async function ran(rig: Rig, ...args: string[]): Promise<string> {
    const { stdout } = await rig.axWith({ env: TOKEN }, 'run', 'deploy', '--json', ...args);
    return result(stdout).runs[0]?.runId ?? '';
  }

  it('shows its inputs, and names it in the record', async () => {
    const { rig, home } = await approver();
    const usual = await rig.ax('approve', await ran(rig), '--yes', '--output', 'a.json');
    expect(usual.stderr).toContain('  input     target = "web"\n');
    const runId = await ran(rig, '--input', 'target=staging');
    const args = ['--yes', '--home', home, '--input', 'target=staging'];
    const { exitCode, stderr } = await rig.ax('approve', runId.toLowerCase(), ...args);
    expect(exitCode).toBe(0);
    expect(stderr).toContain('  input     target = "staging"\n');
    const inputsSha256 = sha256Canonical({ inputs: { target: 'staging' }, args: [] });
    expect((await auditOf(rig)).at(-1)).toMatchObject({ runId, data: { task: 'deploy', inputsSha256 } });
  });

  it('wants the inputs that it had: the store keeps none, and nobody approves what they have not seen', async () => {
    const { rig } = await approver();
    const runId = await ran(rig, '--input', 'target=staging');
    const expected = { status: 65, code: 'INPUT_INVALID' };
    for (const inputs of [[], ['--input', 'target=web']]) {
      const stderr = await refuses(rig, [runId, '--yes', ...inputs], expected);
      expect(stderr).toContain('expected the inputs and arguments that it had\n');
    }
  });

  it('refuses one of a manifest that was signed again since, and one that never had inputs', async () => {
    const { rig } = await approver();
    const runId = await ran(rig);
    const refused = await ran(rig, '--input', 'target=W');
    const expected = { status: 77, code: 'APPROVAL_REFUSED' };
    expect(await refuses(rig, [refused, '--yes'], expected)).toContain('was refused before it had inputs\n');
    await rig.sign(DEPLOY);
    expect(rig.normal(await refuses(rig, [runId, '--yes'], expected))).toContain(
      'run <id> of deploy: expected version 2 of acme/web, which is signed here, found version 1 of acme/web\n',
    );
  });

  it('a task whose name could begin an id is the task', async () => {
    const { rig } = await approver('01JDZ8M3Q0: { run: ["true"] }');
    const stdout = await must(rig, 'approve', '01JDZ8M3Q0', '--yes', '--json');
    expect(document(approveShape, stdout).task).toBe('01JDZ8M3Q0');
  });
});

describe.skipIf(!tmux)('ax approve on a terminal (tmux)', () => {
  const question = '? [y/N]';

  it('asks, and signs on y', async () => {
    const { rig, home, key } = await approver();
    const { screen, status } = await onTerminal(rig, `approve deploy --home '${home}'`, {
      question,
      answer: 'y',
    });
    expect(screen).toContain('  command   "touch" "started-web"\n');
    expect(screen).toContain(`Approve this with ${key.kid}? [y/N] y\n`);
    expect(status).toBe(0);
    expect(approvalsIn(rig)).toHaveLength(1);
  });

  it.each(['n', ''])('signs nothing on %j', async (answer) => {
    const { rig, home } = await approver();
    const { status } = await onTerminal(rig, `approve deploy --home '${home}'`, { question, answer });
    expect(status).toBe(77);
    expect(approvalsIn(rig)).toEqual([]);
    expect(await auditOf(rig)).toEqual([]);
  });
});
