/**
 * Stands for an ax that is killed while the isolate is busy: asks for what its argument says, and tells the pids of
 * its children.
 */
import { readFileSync } from 'node:fs';
import { createIsolate } from '../../../../src/runtime/isolate/isolate.ts';
import { cel, script } from './jobs.ts';

const isolate = createIsolate();
await isolate.evaluate({
  kind: 'builtin',
  config: { actor: { allow: ['ci'] } },
  snapshotText: cel('').snapshotText,
});
await isolate.evaluate(cel('true'));
const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
  .trim()
  .split(' ')
  .map(Number);
const endless = { wallMs: 60_000, cpuMs: 60_000, memoryBytes: 16 * 1024 * 1024 };
if (process.argv[2] === 'busy') {
  // What never asks the interpreter whether it may go on, and a pattern that backtracks.
  const loop = 'Array.prototype.reverse.call({ length: 2 ** 53 - 1 })';
  const config = { env: { NAME: { pattern: '(x+x+)+y' } } };
  const snapshotText = JSON.stringify({ now: 0, env: { NAME: 'x'.repeat(60) } });
  const limits = { ...endless, wallMs: Number(process.argv[3]) };
  void isolate.evaluate(script(`export default () => { ${loop} }`, limits));
  void isolate.evaluate({ kind: 'builtin', config, snapshotText, limits });
}
process.stdout.write(`${JSON.stringify(children)}\n`);
if (process.argv[2] !== 'ends') setInterval(() => {}, 60_000);
