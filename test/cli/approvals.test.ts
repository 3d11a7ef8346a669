import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sha256Canonical } from '../../src/security/canonical.ts';
import { sha256Hex } from '../../src/security/digest.ts';
import { serializeEnvelope } from '../../src/security/dsse-sign.ts';
import { signApproval } from '../support/approvals.ts';
import { signingKeys } from '../support/craft.ts';
import { createRig, PROJECT, type Rig } from '../support/rig.ts';

/**
 * Two of three approvers, each with a home of their own, let a task start. The runner's home has the author's key and
 * trusts all four; the approvers trust the author.
 */

const TASK = `deploy:
  run: [touch, "started-{{target}}"]
  params: { target: { default: web } }
  guards:
    - approvals: { threshold: 2, notAuthor: true, expires: 2h }`;

interface Team {
  readonly rig: Rig;
  readonly homes: readonly string[];
  /** Signs an approval as the person with this number, and gives its file. */
  approve(person: number, ...more: string[]): Promise<string>;
  /** Runs deploy with these approvals. */
  deploy(files: readonly string[], ...more: string[]): ReturnType<Rig['ax']>;
}

async function must(rig: Rig, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await rig.ax(...args);
  if (exitCode !== 0) throw new Error(`ax ${args.join(' ')}: ${exitCode}: ${stderr}`);
  return stdout;
}

async function team(task = TASK): Promise<Team> {
  const rig = await createRig();
  await rig.sign(task);
  const author = signingKeys(rig)[0]?.kid ?? '';
  const homes = ['ana', 'ben', 'cleo'].map((name) => join(rig.base, name));
  for (const home of homes) {
    await must(rig, 'keys', 'generate', '--home', home);
    await must(rig, 'trust', 'add', PROJECT, '--key', author, '--home', home);
    const exported = await must(rig, 'keys', 'export', '--home', home);
    rig.write('approver.jwk', exported);
    await must(rig, 'trust', 'add', PROJECT, 'approver.jwk');
  }
  let files = 0;
  return {
    rig,
    homes,
    async approve(person, ...more) {
      files += 1;
      const file = `${files}.approval.json`;
      const home = person === 0 ? rig.home : (homes[person - 1] ?? '');
      await must(rig, 'approve', 'deploy', '--yes', '--output', file, '--home', home, ...more);
      return file;
    },
    deploy: (approvals, ...more) =>
      rig.ax('run', 'deploy', ...approvals.flatMap((file) => ['--approval', file]), ...more),
  };
}

/** Deferred, with this in the reason; nothing started. */
async function waits({ rig, deploy }: Team, approvals: readonly string[], reason: string, ...more: string[]) {
  const ran = await deploy(approvals, ...more);
  expect(ran.stderr).toContain(reason);
  expect(ran.exitCode).toBe(75);
  expect(rig.has('started-web')).toBe(false);
  return ran.stderr;
}

test('two approvals by distinct trusted keys let it start; their keys are in the receipt’s reasons', async () => {
  const us = await team();
  const approvals = [await us.approve(1), await us.approve(3)];
  expect((await us.deploy(approvals)).exitCode).toBe(0);
  expect(us.rig.has('started-web')).toBe(true);
});

test('none, one, and one key twice are not two', async () => {
  const us = await team();
  await waits(us, [], 'approvals: 0 of 2 approvals; give one with: ax approve deploy');
  const ana = await us.approve(1);
  await waits(us, [ana], 'approvals: 1 of 2 approvals');
  await waits(us, [ana, ana], 'approvals: 1 of 2 approvals');
  await waits(us, [ana, await us.approve(1)], 'approvals: 1 of 2 approvals');
});

test('the author’s own does not count', async () => {
  const us = await team();
  await waits(
    us,
    [await us.approve(1), await us.approve(0)],
    '1 of 2 approvals (not counted: 1 by the author)',
  );
});

test('an expired one does not count: by its own date, or by the guard’s', async () => {
  const us = await team();
  const ana = await us.approve(1);
  const [ben] = signingKeys({ ...us.rig, home: us.homes[1] ?? '' });
  if (ben === undefined) throw new Error('expected a key');
  const subject = {
    project: PROJECT,
    manifestDigest: sha256Hex(Buffer.from(JSON.parse(us.rig.read('ax.lock')).payload, 'base64')),
    task: 'deploy',
    inputsSha256: sha256Canonical({ inputs: { target: 'web' }, args: [] }),
  };
  const made = (hoursAgo: number, validHours: number) =>
    serializeEnvelope(
      signApproval(subject, {
        id: '01JDCD0000000000000000000A',
        key: ben,
        now: Date.now() - hoursAgo * 3_600_000,
        validMs: validHours * 3_600_000,
      }),
    );
  us.rig.write('expired.json', made(1.5, 1));
  await waits(us, [ana, 'expired.json'], 'expired.json: does not count: it expired at');
  us.rig.write('old.json', made(3, 24));
  await waits(us, [ana, 'old.json'], '1 of 2 approvals (not counted: 1 expired)');
  us.rig.write('young.json', made(1, 24));
  expect((await us.deploy([ana, 'young.json'])).exitCode).toBe(0);
});

test('one of other inputs, or of what was signed before, does not count', async () => {
  const us = await team();
  const ana = await us.approve(1);
  const others = await us.approve(2, '--input', 'target=api');
  await waits(us, [ana, others], 'does not count: it is of another set of inputs');
  const ben = await us.approve(2);
  await us.rig.sign(`${TASK}\n    - dependencies: true`);
  const stderr = await waits(us, [ana, ben], 'approvals: 0 of 2 approvals');
  expect(stderr).toContain('does not count: it is of another manifest');
});

test('one by a key that the runner does not trust does not count', async () => {
  const us = await team();
  const [ana, ben] = [await us.approve(1), await us.approve(2)];
  const [key] = signingKeys({ ...us.rig, home: us.homes[1] ?? '' });
  await must(us.rig, 'trust', 'remove', PROJECT, key?.kid ?? '');
  await waits(us, [ana, ben], 'not signed by a key that is trusted for acme/web');
});

test('one that was tampered with does not count', async () => {
  const us = await team();
  const [ana, ben] = [await us.approve(1), await us.approve(2)];
  const envelope = JSON.parse(us.rig.read(ben));
  const payload = JSON.parse(Buffer.from(envelope.payload, 'base64').toString());
  envelope.payload = Buffer.from(JSON.stringify({ ...payload, task: 'other' })).toString('base64');
  us.rig.write('tampered.json', JSON.stringify(envelope));
  await waits(us, [ana, 'tampered.json'], '1 of 2 approvals');
});

test('a file that is not there is an error before anything is recorded', async () => {
  const us = await team();
  const ran = await us.deploy(['nowhere.json']);
  expect(ran.exitCode).toBe(74);
  expect(ran.stderr).toContain('cannot read nowhere.json: no such file');
  expect(JSON.parse((await us.rig.ax('runs', '--json')).stdout).runs).toEqual([]);
});

test('a run that was deferred goes on with ax retry once it is approved', async () => {
  const us = await team();
  await waits(us, [], 'approvals: 0 of 2 approvals');
  const [{ runId }] = JSON.parse((await us.rig.ax('runs', '--json')).stdout).runs;
  const files = [1, 2].map((person) => ({ person, file: `run-${person}.json` }));
  for (const { person, file } of files) {
    await must(
      us.rig,
      'approve',
      runId,
      '--yes',
      '--output',
      file,
      '--home',
      us.homes[person] ?? '',
      '--store',
      join(us.rig.project, '.ax'),
    );
  }
  const again = await us.rig.ax('retry', runId, ...files.flatMap(({ file }) => ['--approval', file]));
  expect(again.exitCode).toBe(0);
  expect(us.rig.has('started-web')).toBe(true);
});

test('a run that waits finds an approval that is put in the place of an older one', async () => {
  const us = await team(TASK.replace('threshold: 2', 'threshold: 1'));
  us.rig.write('mine.json', 'not yet');
  const waiting = us.rig.start('run', 'deploy', '--wait', '--approval', 'mine.json');
  await new Promise<void>((resolve) => {
    waiting.stderr?.on('data', (chunk: Buffer) => chunk.includes('deploy waits') && resolve());
  });
  us.rig.write('mine.json', readFileSync(join(us.rig.project, await us.approve(1))));
  expect((await waiting).exitCode).toBe(0);
  expect(us.rig.has('started-web')).toBe(true);
});
