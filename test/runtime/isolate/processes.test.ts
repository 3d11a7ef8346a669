import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { createIsolate, type Isolate } from '../../../src/runtime/isolate/isolate.ts';
import { isRunning } from '../../support/crash-rig.ts';
import { builtin, cel, ROGUE, script } from './support/jobs.ts';
import { busy, gone, statOf } from './support/processes.ts';

const isolates: Isolate[] = [];

function rogue(): (mode: string) => Promise<string> {
  const isolate = createIsolate({ team: ROGUE });
  isolates.push(isolate);
  return async (mode) => (await isolate.evaluate(cel(mode))).verdict.reason;
}

afterEach(async () => {
  await Promise.all(isolates.splice(0).map((each) => each.close()));
});

describe('what the process has', () => {
  it('is no environment, no argument, and no folder of anybody', async () => {
    expect(JSON.parse(await rogue()('surroundings'))).toEqual({ env: {}, argv: [], cwd: '/' });
  });

  it.each(['reads a file', 'reads beside itself', 'lists a folder', 'writes a file'])(
    '%s: refused by the permission model',
    async (mode) => {
      expect(await rogue()(mode)).toBe('ERR_ACCESS_DENIED');
      expect(existsSync('/tmp/ax-rogue-was-here')).toBe(false);
    },
  );

  it.each(['starts a process', 'starts a worker'])('%s: refused by the permission model', async (mode) => {
    expect(await rogue()(mode)).toBe('ERR_ACCESS_DENIED');
  });
});

describe('the end of the process', () => {
  it('is a Fail of the guard when it is killed from outside, and the next one gets another', async () => {
    const isolate = createIsolate({ team: ROGUE });
    isolates.push(isolate);
    const pid = Number((await isolate.evaluate(cel('pid'))).verdict.reason);
    const verdict = isolate.evaluate(cel('a busy loop', { wallMs: 60_000 }));
    await busy(pid);
    process.kill(pid, 'SIGKILL');
    expect(await verdict).toEqual({ verdict: { verdict: 'fail', reason: 'the guard ended its process' } });
    const next = Number((await isolate.evaluate(cel('pid'))).verdict.reason);
    expect(next).not.toBe(pid);
    expect(isRunning(pid)).toBe(false);
  });

  it('is a Fail of no guard when it comes between two', async () => {
    const isolate = createIsolate({ team: ROGUE });
    isolates.push(isolate);
    const pid = Number((await isolate.evaluate(cel('pid'))).verdict.reason);
    process.kill(pid, 'SIGKILL');
    await gone(pid);
    expect((await isolate.evaluate(cel('ok'))).verdict).toEqual({ verdict: 'pass', reason: 'rogue' });
  });

  it('comes with close, also in the middle of a loop', async () => {
    const isolate = createIsolate({ team: ROGUE });
    const pid = Number((await isolate.evaluate(cel('pid'))).verdict.reason);
    const verdict = isolate.evaluate(cel('a busy loop', { wallMs: 60_000 }));
    await isolate.close();
    expect(isRunning(pid)).toBe(false);
    expect((await verdict).verdict).toMatchObject({ verdict: 'fail' });
  });

  it('gives the memory back, and ax has not grown', async () => {
    const isolate = createIsolate();
    isolates.push(isolate);
    const before = process.memoryUsage().rss;
    const greedy = script(
      'export default () => { const a = []; for (;;) a.push(new Uint8Array(65536).fill(1)) }',
    );
    for (let round = 0; round < 5; round++) {
      expect((await isolate.evaluate(greedy)).verdict.verdict).toBe('fail');
    }
    const good = builtin({ actor: { allow: ['ci'] } });
    expect((await isolate.evaluate(good)).verdict.verdict).toBe('pass');
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });
});

describe.runIf(process.platform === 'linux')('the end of ax', () => {
  /** A process with an isolate of two children. */
  async function startParent(...args: readonly string[]) {
    const file = fileURLToPath(new URL('./support/parent.ts', import.meta.url));
    const parent = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void parent.kill('SIGKILL'));
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    return { parent, children: JSON.parse(line) as number[] };
  }

  it('is not kept waiting by processes that nobody asks', async () => {
    const { parent, children } = await startParent('ends');
    expect(children).toHaveLength(2);
    if (parent.exitCode === null) await once(parent, 'exit');
    expect(parent.exitCode).toBe(0);
    await Promise.all(children.map(gone));
  });

  it('by SIGKILL ends the processes, idle ones at once', async () => {
    const { parent, children } = await startParent('idle');
    expect(children.map(isRunning)).toEqual([true, true]);
    parent.kill('SIGKILL');
    await Promise.all(children.map(gone));
  });

  it('by SIGKILL ends the processes, those in a loop when their time is over', async () => {
    const { parent, children } = await startParent('busy', '3000');
    await Promise.all(children.map(busy));
    parent.kill('SIGKILL');
    await Promise.all(children.map(gone));
  });

  it('by Ctrl-C is its own: the signal does not reach the processes', async () => {
    const { parent, children } = await startParent('idle');
    const sessions = children.map((pid) => Number(statOf(pid)[3]));
    expect(sessions).toEqual(children);
    parent.kill('SIGKILL');
    await Promise.all(children.map(gone));
  });
});
