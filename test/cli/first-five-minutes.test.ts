import { describe, expect, it } from 'vitest';
import { createBareRig, createRig, filesBelow, lines, type Rig, snapshot } from '../support/rig.ts';

describe('the first five minutes', () => {
  it('starts a project, signs it, runs a task, and reads its receipt before and after a rotation', async () => {
    const rig = createBareRig();
    rig.write('package.json', '{ "name": "@acme/shop" }');

    const init = await rig.ax('init');
    expect(init.exitCode).toBe(0);
    expect(rig.normal(init.stdout)).toBe(
      [
        'made  ax.yaml',
        'made  .ax/ in .gitignore',
        'made  signing key <kid>',
        'made  receipt key <kid>',
        'made  host key <kid>',
        'made  trust for acme/shop',
        '',
        'next: ax sign, then ax run hello',
        '',
      ].join('\n'),
    );
    expect(init.stderr).toBe('');
    expect(rig.read('.gitignore')).toBe('.ax/\n');

    const signed = await rig.ax('sign');
    expect(signed.exitCode).toBe(0);
    expect(rig.normal(signed.stdout)).toBe(
      'signed  acme/shop version 1: 1 task(s), 0 dependency digest(s), valid until <date>\n',
    );
    expect(signed.stderr).toBe('');

    const run = await rig.ax('run', 'hello');
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toBe('hello | hello from ax\n');
    expect(rig.normal(run.stderr)).toBe('ax: hello completed in <duration>, receipt <id>\n');

    const list = await rig.ax('receipts', 'list');
    expect(list.exitCode).toBe(0);
    expect(list.stderr).toBe('');
    expect(lines(rig.normal(list.stdout))).toEqual([
      expect.stringMatching(/^RECEIPT +TASK +PROJECT +OUTCOME +STARTED +TOOK$/),
      expect.stringMatching(/^<id> +hello +acme\/shop +completed +<time> +[0-9.]+m?s$/),
    ]);
    const id = lines(list.stdout)[1]?.split(' ')[0] ?? '';

    const decrypted = await rig.ax('receipts', 'decrypt', id);
    expect(decrypted.exitCode).toBe(0);
    expect(decrypted.stderr).toBe('');
    expect(JSON.parse(decrypted.stdout)).toMatchObject({
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: 'urn:ax:receipt:v1',
      predicate: {
        receiptId: id,
        task: 'hello',
        project: 'acme/shop',
        outcome: 'completed',
        exitCode: 0,
        command: { argv: ['echo', 'hello from ax'] },
        output: { stdout: { head: 'hello from ax\n', bytes: 14 }, stderr: { bytes: 0 } },
      },
    });

    const verified = await rig.ax('receipts', 'verify', id);
    expect(verified.exitCode).toBe(0);
    expect(rig.normal(verified.stdout)).toBe(
      'ok  receipt <id>: seal, signature, row and audit position hold; signed by <kid>\n    run <id> of hello: completed\n',
    );
    expect(verified.stderr).toBe('');

    const rotated = await rig.ax('keys', 'rotate');
    expect(rotated.exitCode).toBe(0);
    expect(rig.normal(rotated.stdout)).toBe('new  receipt key <kid>; 1 receipt(s) re-wrapped\n');

    const again = await rig.ax('receipts', 'decrypt', id);
    expect(again).toEqual(decrypted);
  });

  it('overwrites nothing: a second init keeps every file, byte for byte', async () => {
    const rig = createBareRig();
    await rig.ax('init');
    rig.write('ax.yaml', `# mine\n${rig.read('ax.yaml')}`);
    rig.write('.gitignore', 'node_modules\n.ax/\n');
    const before = keptFiles(rig);

    const again = await rig.ax('init');

    expect(again.exitCode).toBe(0);
    expect(rig.normal(again.stdout)).toBe(
      [
        'kept  ax.yaml',
        'kept  .ax/ in .gitignore',
        'kept  signing key <kid>',
        'kept  receipt key <kid>',
        'kept  host key <kid>',
        'kept  trust for project',
        '',
        'next: ax sign, then ax run hello',
        '',
      ].join('\n'),
    );
    expect(keptFiles(rig)).toEqual(before);
  });

  it('adds the store to a .gitignore that is there and does not end with a line feed', async () => {
    const rig = createRigWithIgnore('node_modules');
    expect((await rig.ax('init')).exitCode).toBe(0);
    expect(rig.read('.gitignore')).toBe('node_modules\n.ax/\n');
  });

  it('keeps an ax.yaml that is malformed, says where, and makes no keys', async () => {
    const rig = createBareRig();
    rig.write('ax.yaml', 'version: 1\nproject: acme/web\ntask: {}\n');
    const { exitCode, stdout, stderr } = await rig.ax('init');
    expect(exitCode).toBe(65);
    expect(stdout).toBe('');
    expect(stderr).toContain('ax: error[MANIFEST_INVALID]: ax.yaml:1:1: tasks: ');
    expect(stderr).toContain('\nax.yaml:3:1: task: expected a known key; did you mean tasks?\n');
    expect(filesBelow(rig.home)).toEqual([]);
    expect(filesBelow(rig.project)).toEqual(['ax.yaml']);
  });

  it('starts a project in another folder', async () => {
    const rig = createBareRig();
    const { exitCode } = await rig.ax('init', 'services/api');
    expect(exitCode).toBe(0);
    expect(rig.read('services/api/ax.yaml')).toContain('project: api\n');
    expect(filesBelow(rig.project).filter((name) => !name.startsWith('services/api/'))).toEqual([]);
  });

  it('asks before it replaces a signed version, and shows what changed', async () => {
    const rig = await createRig();
    rig.write('tool.sh', '#!/bin/sh\n', 0o755);
    await rig.sign('hello: { run: [echo, one] }\nold: { run: [echo, old] }\ntool: { run: [./tool.sh] }');
    const lock = rig.read('ax.lock');
    rig.write('tool.sh', '#!/bin/sh\necho changed\n', 0o755);
    rig.manifest('hello: { run: [echo, two] }\nnew: { run: [echo, new] }\ntool: { run: [./tool.sh] }');
    const changes = '~ task hello\n+ task new\n- task old\n~ dependency file tool.sh\n';

    const asked = await rig.ax('sign');
    expect(asked.exitCode).toBe(77);
    expect(asked.stdout).toBe('');
    expect(asked.stderr).toBe(
      `${changes}ax: error[CONFIRMATION_REQUIRED]: nothing was signed: it takes a yes\nax: hint: ax sign --yes\n`,
    );
    expect(rig.read('ax.lock')).toBe(lock);

    const signed = await rig.ax('sign', '--yes');
    expect(signed.exitCode).toBe(0);
    expect(signed.stderr).toBe(changes);
    expect(rig.normal(signed.stdout)).toBe(
      'signed  acme/web version 2: 3 task(s), 1 dependency digest(s), valid until <date>\n',
    );
  });

  it('says so when a new version changes nothing but dates', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: [echo, hello] }');
    const { exitCode, stderr } = await rig.ax('sign', '--yes');
    expect(exitCode).toBe(0);
    expect(stderr).toBe('nothing changed but version and dates\n');
  });

  it('still runs the old version after the signing key was rotated, and signs the next with the new key', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: [echo, hello] }');
    const rotated = await rig.ax('keys', 'rotate', '--role', 'signing');
    expect(rotated.exitCode).toBe(0);
    expect(rig.normal(rotated.stdout)).toBe(
      'new  signing key <kid>\n     trusted for acme/web, beside the old one\n',
    );
    expect(rotated.stderr).toContain('Sign ax.lock with the new one: ax sign\n');
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
    expect((await rig.ax('sign', '--yes')).exitCode).toBe(0);
    const kid = rotated.stdout.match(/[\w-]{43}/)?.[0];
    expect(JSON.parse(rig.read('ax.lock')).signatures).toMatchObject([{ keyid: kid }]);
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  });

  it('trusts a key of its own keyring at the first signature of a project, and says so', async () => {
    const rig = await createRig();
    rig.write('ax.yaml', 'version: 1\nproject: acme/new\ntasks:\n  hello: { run: [echo, hello] }\n');
    const { exitCode, stderr } = await rig.ax('sign');
    expect(exitCode).toBe(0);
    expect(rig.normal(stderr)).toBe(
      'trusting <kid> for acme/new on this machine: it is the first to sign it\n',
    );
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  });
});

function createRigWithIgnore(text: string): Rig {
  const rig = createBareRig();
  rig.write('.gitignore', text);
  return rig;
}

/** Every file but the store's own. */
function keptFiles(rig: Rig): Record<string, string> {
  return Object.fromEntries(
    Object.entries(snapshot(rig)).filter(([name]) => !name.startsWith('project/.ax/')),
  );
}
