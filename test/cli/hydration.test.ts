import { expect, test } from 'vitest';
import { createRig, filesBelow } from '../support/rig.ts';

test('a pattern that backtracks for ever refuses the run in time, and starts nothing', async () => {
  const rig = await createRig();
  await rig.sign(`
    slow:
      run: [touch, started]
      params: { name: { pattern: '(x+x+)+y' } }
  `);
  const { exitCode, stdout, stderr } = await rig.ax('run', 'slow', '--input', `name=${'x'.repeat(60)}`);
  expect(stdout).toBe('');
  expect(rig.normal(stderr)).toBe(
    [
      'ax: error[ISOLATE_FAILED]: the tasks were not filled in: the process that does it exceeded its time (5000 ms)',
      'ax: hint: try again; if a pattern takes for ever over an input: simplify it in ax.yaml, then: ax sign',
      'ax: slow refused, receipt <id>',
      '',
    ].join('\n'),
  );
  expect(exitCode).toBe(69);
  expect(filesBelow(rig.project)).not.toContain('started');

  const { receipts } = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout);
  expect(receipts).toMatchObject([{ task: 'slow', outcome: 'refused' }]);
  expect((await rig.ax('run', 'slow', '--input', 'name=xxy')).exitCode).toBe(0);
  expect(filesBelow(rig.project)).toContain('started');
});
