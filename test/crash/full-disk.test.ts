import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { verifyAudit } from '../../src/store/audit.ts';
import { listReceipts } from '../../src/store/receipts.ts';
import { listRuns } from '../../src/store/runs.ts';
import {
  type CrashRig,
  createRig,
  expectDone,
  isRunning,
  until,
  verifyReceipts,
} from '../support/crash-rig.ts';

/** Disks of a few megabytes, in memory. Mounting them takes root; where that is not to be had the tests skip. */

const MIB = 1024 * 1024;
const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const clean of cleanups.splice(0).reverse()) clean();
});

describe.skipIf(!canMount())('a full disk', () => {
  test('with too little room for evidence the task is not started, and the store stays as it was', async () => {
    const disk = mountDisk(32);
    const rig = await rigOn(disk);
    await expectDone(rig, ['run', 'mark']);
    const before = contentOf(rig);
    for (const left of [4 * MIB, 256 * 1024, 0]) {
      fill(disk, left);
      rmSync(join(rig.project, 'marker'));
      const ended = await rig.ax(['run', 'mark']);
      expect(ended.status).toBe(74);
      expect(ended.stderr).toMatch(/^ax: error\[STORE_FULL\]: .*\nax: hint: free some space/);
      expect(existsSync(join(rig.project, 'marker'))).toBe(false);
      writeFileSync(join(rig.project, 'marker'), '');
      empty(disk);
      expect(contentOf(rig)).toEqual(before);
    }
    await expectDone(rig, ['run', 'mark']);
    expect(verifyReceipts(rig)).toHaveLength(2);
  });

  test('a store that cannot even be made', async () => {
    const disk = mountDisk(16);
    const rig = await rigOn(disk);
    rmSync(rig.store, { recursive: true });
    fill(disk, 0);
    const ended = await rig.ax(['run', 'mark', '--json']);
    expect(ended.status).toBe(74);
    expect(JSON.parse(ended.stdout)).toMatchObject({ error: { exitCode: 74 } });
    expect(existsSync(join(rig.project, 'marker'))).toBe(false);
    empty(disk);
    await expectDone(rig, ['run', 'mark']);
    expect(verifyReceipts(rig)).toHaveLength(1);
  });

  test('a disk that fills up while the task runs: no false success, and what is there still holds', async () => {
    const disk = mountDisk(32);
    const rig = await rigOn(disk);
    await expectDone(rig, ['run', 'mark']);
    const before = contentOf(rig);
    const ended = await rig.ax(['run', 'fill']);
    expect(ended.status).toBe(74);
    expect(ended.stderr).toMatch(/ax: error\[STORE_FULL\]: .*no space left/);
    expect(ended.stderr).not.toMatch(/completed|receipt [0-9A-Z]{26}/);
    expect(existsSync(join(rig.project, 'filled'))).toBe(true);
    empty(disk);
    const after = contentOf(rig);
    expect(after.receipts).toEqual(before.receipts);
    // It began and, for all that is known, never ended.
    expect(after.runs).toHaveLength(before.runs.length + 1);
    expect(after.runs[0]).toMatchObject({ task: 'fill', state: 'EXECUTING', outcome: null });
    const { stderr } = await expectDone(rig, ['audit', 'verify']);
    expect(stderr).toMatch(/of fill lost its supervisor; settled, receipt/);
    await expectDone(rig, ['run', 'mark']);
    expect(verifyReceipts(rig)).toHaveLength(3);
    expect(contentOf(rig).runs[1]).toMatchObject({ task: 'fill', outcome: 'failed' });
  });

  test('the same with --json: the last line is the failure', async () => {
    const disk = mountDisk(32);
    const rig = await rigOn(disk);
    const { status, stdout } = await rig.ax(['run', 'fill', '--json']);
    expect(status).toBe(74);
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      error: { code: 'STORE_FULL', exitCode: 74 },
    });
    expect(stdout).not.toContain('"completed"');
  });

  test('while tasks run side by side, all of them are ended', async () => {
    const disk = mountDisk(32);
    const rig = await rigOn(disk);
    const ended = await rig.ax(['run', 'forever', 'fill-later', '--jobs', '2']);
    expect(ended.status).toBe(74);
    expect(ended.stderr).not.toMatch(/receipt [0-9A-Z]{26}/);
    const pid = Number(readFileSync(join(rig.project, 'pid'), 'utf8'));
    await until('the end of the other task', () => !isRunning(pid));
  });

  test('a rotation fails whole: the old key still opens everything', async () => {
    const disk = mountDisk(32);
    const rig = await rigOn(disk);
    await expectDone(rig, ['run', 'mark']);
    fill(disk, 0);
    const ended = await rig.ax(['keys', 'rotate']);
    expect(ended.status).toBe(74);
    empty(disk);
    expect(verifyReceipts(rig)).toHaveLength(1);
    await expectDone(rig, ['keys', 'rotate']);
    expect(verifyReceipts(rig)).toHaveLength(1);
  });

  test('a full home: keys and trust stay as they were', async () => {
    const disk = mountDisk(1);
    const rig = await createRig(tasksFor(disk));
    cleanups.push(rig.remove);
    const home = join(disk, 'home');
    const env = { AX_HOME: home };
    execFileSync('cp', ['-a', rig.home, home]);
    const keys = readdirSync(join(home, 'keys')).sort();
    await expectDone(rig, ['run', 'mark'], { env });
    rmSync(join(rig.project, 'marker'));
    fill(disk, 0);
    for (const args of [
      ['keys', 'rotate'],
      ['keys', 'rotate', '--role', 'signing'],
    ]) {
      const ended = await rig.ax(args, { env });
      expect(ended.status).toBe(74);
      expect(ended.stderr).toContain('error[STORE_FULL]');
      expect(readdirSync(join(home, 'keys')).sort()).toEqual(keys);
    }
    await expectDone(rig, ['keys', 'list'], { env });
    // A store that the keyring was not used in before cannot be entered into its register.
    const elsewhere = await rig.ax(['run', 'mark', '--store', join(rig.root, 'other')], { env });
    expect(elsewhere.status).toBe(74);
    expect(elsewhere.stderr).toContain('error[STORE_FULL]');
    expect(existsSync(join(rig.project, 'marker'))).toBe(false);
    await expectDone(rig, ['run', 'mark'], { env });
  });
});

describe.skipIf(!canMount())('a read-only disk', () => {
  test('the task is not started', async () => {
    const disk = mountDisk(32);
    const rig = await rigOn(disk);
    await expectDone(rig, ['run', 'mark']);
    const before = contentOf(rig);
    rmSync(join(rig.project, 'marker'));
    remount(disk, 'ro');
    const ended = await rig.ax(['run', 'mark']);
    expect(ended.status).toBe(74);
    expect(ended.stderr).toMatch(/^ax: error\[(STORE_UNUSABLE|IO)\]: .*\nax: hint: /);
    expect(existsSync(join(rig.project, 'marker'))).toBe(false);
    const json = await rig.ax(['run', 'mark', '--json']);
    expect(json.status).toBe(74);
    expect(JSON.parse(json.stdout)).toMatchObject({ error: { exitCode: 74 } });
    remount(disk, 'rw');
    expect(contentOf(rig)).toEqual(before);
  });

  test('nor is a store made there', async () => {
    const disk = mountDisk(16);
    const rig = await rigOn(disk);
    rmSync(rig.store, { recursive: true });
    remount(disk, 'ro');
    const ended = await rig.ax(['run', 'mark']);
    expect(ended.status).toBe(74);
    expect(existsSync(join(rig.project, 'marker'))).toBe(false);
  });
});

test('no room at any one step of a run: 74, no receipt spoken of, nothing half-written', {
  timeout: 180_000,
}, async () => {
  const rig = await createRig(tasksFor('/nowhere'));
  cleanups.push(rig.remove);
  await expectDone(rig, ['run', 'mark']);
  const started: boolean[] = [];
  for (let at = 1; ; at++) {
    const { receipts } = contentOf(rig);
    rmSync(join(rig.project, 'marker'));
    const ended = await rig.ax(['run', 'mark'], { atStep: { at, signal: 'ENOSPC' } });
    const after = contentOf(rig);
    started.push(existsSync(join(rig.project, 'marker')));
    writeFileSync(join(rig.project, 'marker'), '');
    // The last step takes the socket away again, when all is said.
    if (ended.status === 0) break;
    expect(ended.status, `step ${at}`).toBe(74);
    expect(ended.stderr).toMatch(/^ax: error\[STORE_FULL\]: .*\nax: hint: free some space.*\n$/);
    expect(after.receipts).toEqual(receipts);
    if (started.at(-1)) expect(after.runs[0]).toMatchObject({ task: 'mark', outcome: null });
    // Settles what was lost, so that the next run begins with its own first step.
    await expectDone(rig, ['runs']);
  }
  // Up to EXECUTING all was committed before the task was started: a single boundary, well before the end.
  expect(started.indexOf(true)).toBeGreaterThan(10);
  expect(started.lastIndexOf(false)).toBe(started.indexOf(true) - 1);
  expect(started.length - started.indexOf(true)).toBeGreaterThan(5);
});

/** The store is on the disk; the project, with the marker that a started task makes, is elsewhere. */
async function rigOn(disk: string): Promise<CrashRig> {
  const rig = await createRig(tasksFor(disk), { store: join(disk, 'store') });
  cleanups.push(rig.remove);
  return rig;
}

function tasksFor(disk: string): object {
  const fillUp = `cat /dev/zero > ${disk}/filler 2>/dev/null`;
  return {
    mark: { shell: 'touch marker' },
    fill: { shell: `${fillUp}; touch filled; echo filled` },
    forever: { shell: 'echo $$ > pid.new; mv pid.new pid; exec sleep 600' },
    'fill-later': { shell: `until [ -e pid ]; do sleep 0.01; done; ${fillUp}` },
  };
}

function mountDisk(mib: number): string {
  const disk = mkdtempSync(join(tmpdir(), 'ax-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m,mode=0700`, 'tmpfs', disk]);
  cleanups.push(() => {
    execFileSync('umount', ['-l', disk]);
    rmSync(disk, { recursive: true, force: true });
  });
  return disk;
}

function remount(disk: string, how: 'ro' | 'rw'): void {
  execFileSync('mount', ['-o', `remount,${how}`, disk], { stdio: 'pipe' });
}

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const probe = mkdtempSync(join(tmpdir(), 'ax-probe-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

/** Takes up all room but this. */
function fill(disk: string, left: number): void {
  mkdirSync(disk, { recursive: true });
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(join(disk, 'filler'), Buffer.alloc(Math.max(bavail * bsize - left, 0)));
}

function empty(disk: string): void {
  rmSync(join(disk, 'filler'), { force: true });
}

function contentOf(rig: CrashRig) {
  const database = rig.open();
  try {
    const runs = listRuns(database, -1).map(({ task, state, outcome }) => ({ task, state, outcome }));
    return { runs, receipts: listReceipts(database, { limit: -1 }), audit: verifyAudit(database) };
  } finally {
    database.close();
  }
}
