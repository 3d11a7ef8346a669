import { describe, expect, it } from 'vitest';
import { createRig, type Rig, snapshot } from '../support/rig.ts';
import { document, receiptsList } from '../support/shapes.ts';

/** Three runs: `a` twice, then `b`, which fails. */
async function ranThree(): Promise<Rig> {
  const rig = await createRig();
  await rig.sign('a: { run: ["true"] }\nb: { shell: exit 4 }');
  for (const task of ['a', 'a', 'b']) await rig.ax('run', task);
  return rig;
}

describe('ax receipts list', () => {
  async function listed(rig: Rig, ...args: string[]) {
    const { exitCode, stdout } = await rig.ax('receipts', 'list', '--json', ...args);
    expect(exitCode).toBe(0);
    return document(receiptsList, stdout).receipts;
  }

  it('filters by task, outcome, user, run and time', async () => {
    const rig = await ranThree();
    const all = await listed(rig);
    expect(all.map(({ task }) => task)).toEqual(['b', 'a', 'a']);
    const [failed, second] = all;
    const me = failed?.actor.name ?? '';
    expect(await listed(rig, '--task', 'a')).toEqual(all.slice(1));
    expect(await listed(rig, '--outcome', 'failed')).toEqual([failed]);
    expect(await listed(rig, '--actor', me)).toEqual(all);
    expect(await listed(rig, '--actor', `uid:${process.getuid?.()}`)).toEqual(all);
    expect(await listed(rig, '--actor', `${me}-not`)).toEqual([]);
    expect(await listed(rig, '--run', second?.runId ?? '')).toEqual([second]);
    expect(await listed(rig, '--since', '1h')).toEqual(all);
    expect(await listed(rig, '--until', '1h')).toEqual([]);
    expect(await listed(rig, '--since', '2026-01-31', '--until', '2026-01-31T12:00:00+02:00')).toEqual([]);
    expect(await listed(rig, '--task', 'a', '--outcome', 'failed')).toEqual([]);
  });

  it('says how to go on with the same filter', async () => {
    const rig = await ranThree();
    const { stdout, stderr } = await rig.ax('receipts', 'list', '--task', 'a', '--limit', '1');
    const last = stdout.split('\n')[1]?.split(' ')[0] ?? '';
    expect(stderr).toBe(`more: the same with --before ${last}\n`);
    expect(await listed(rig, '--task', 'a', '--before', last)).toHaveLength(1);
  });

  it.each([
    ['--since', 'yesterday'],
    ['--since', '2026-02-30'],
    ['--since', '2026-01-31T12:00:00'],
    ['--since', '1969-12-31'],
    ['--until', ''],
    ['--until', '99999999d'],
    ['--actor', 'uid:x'],
    ['--actor', 'uid:'],
    ['--outcome', 'done'],
  ])('refuses %s %s', async (option, value) => {
    const rig = await createRig();
    const before = snapshot(rig);
    const { exitCode, stdout, stderr } = await rig.ax('receipts', 'list', option, value);
    expect(exitCode).toBe(64);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^ax: error\[USAGE\]: .*\nax: hint: .*\n$/);
    expect(snapshot(rig)).toEqual(before);
  });
});
