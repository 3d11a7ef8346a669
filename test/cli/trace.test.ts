import { describe, expect, it } from 'vitest';
import { statement } from '../support/evidence.ts';
import { createRig, lines, type Rig } from '../support/rig.ts';
import { document, result, runPlan } from '../support/shapes.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const INBOUND = { TRACEPARENT: `00-${TRACE}-${PARENT}-00` };
const OTHER = { TRACEPARENT: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };

const TOLD = 'told: { shell: echo "$TRACEPARENT" > told, passEnv: [TRACEPARENT] }';
const UNTOLD = 'untold: { shell: env > untold }';

async function signedRig(): Promise<Rig> {
  const rig = await createRig();
  await rig.sign(`
    ${TOLD}
    ${UNTOLD}
    fails: { shell: 'echo "$TRACEPARENT" >> fails; exit 1', passEnv: [TRACEPARENT] }
  `);
  return rig;
}

describe('runs of an ax that was started in a trace', () => {
  it('are part of it, each with a span of its own below the one that started ax', async () => {
    const rig = await signedRig();
    expect((await rig.axWith({ env: INBOUND }, 'run', 'told', 'untold')).exitCode).toBe(0);
    const [told, untold] = [await statement(rig, 'told'), await statement(rig, 'untold')];
    for (const { traceId, parentSpanId } of [told, untold]) {
      expect({ traceId, parentSpanId }).toEqual({ traceId: TRACE, parentSpanId: PARENT });
    }
    expect(told.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(new Set([told.spanId, untold.spanId, PARENT]).size).toBe(3);
  });

  it('tell tasks that ask for it of their own span, and no others', async () => {
    const rig = await signedRig();
    await rig.axWith({ env: INBOUND }, 'run', 'told', 'untold');
    const { spanId } = await statement(rig, 'told');
    expect(rig.read('told')).toBe(`00-${TRACE}-${spanId}-00\n`);
    expect(rig.read('untold')).not.toContain('TRACEPARENT');
  });

  it('are so when they are refused, too', async () => {
    const rig = await signedRig();
    rig.write('ax.lock', rig.read('ax.lock').replace('"sig": "', '"sig": "AAAA'));
    expect((await rig.axWith({ env: INBOUND }, 'run', 'told')).exitCode).not.toBe(0);
    expect(await statement(rig)).toMatchObject({ outcome: 'refused', traceId: TRACE, parentSpanId: PARENT });
    expect(rig.has('told')).toBe(false);
  });
});

describe('runs of an ax that was started in none', () => {
  it('begin a trace, which they share, and tell tasks of it', async () => {
    const rig = await signedRig();
    expect((await rig.ax('run', 'told', 'untold')).exitCode).toBe(0);
    const { traceId, spanId, parentSpanId } = await statement(rig, 'told');
    expect(parentSpanId).toBeNull();
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    expect((await statement(rig, 'untold')).traceId).toBe(traceId);
    expect(rig.read('told')).toBe(`00-${traceId}-${spanId}-01\n`);
  });

  it.each([
    ['upper case', INBOUND.TRACEPARENT.toUpperCase()],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['no hex', `\u001b[31m${'x'.repeat(200)}`],
  ])('are those of one whose TRACEPARENT is malformed: %s', async (_, TRACEPARENT) => {
    const rig = await signedRig();
    const quiet = await rig.axWith({ env: { TRACEPARENT } }, 'run', 'told');
    expect({ exitCode: quiet.exitCode, notes: lines(quiet.stderr).length }).toEqual({
      exitCode: 0,
      notes: 1,
    });
    const { traceId, spanId, parentSpanId } = await statement(rig);
    expect(parentSpanId).toBeNull();
    expect(traceId).not.toBe(TRACE);
    expect(rig.read('told')).toBe(`00-${traceId}-${spanId}-01\n`);
    const verbose = await rig.axWith({ env: { TRACEPARENT } }, 'run', 'told', '--verbose');
    const notes = lines(verbose.stderr).filter((line) => line.includes('TRACEPARENT'));
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(/^ax: TRACEPARENT is ignored: expected a W3C traceparent, found \S{1,90}$/);
  });
});

describe('a retry', () => {
  async function failed(rig: Rig, env: Record<string, string>): Promise<string> {
    const { exitCode, stdout } = await rig.axWith({ env }, 'run', 'fails', '--json');
    expect(exitCode).toBe(1);
    return result(stdout).runs[0]?.runId ?? '';
  }

  it('goes on in the trace of its run', async () => {
    const rig = await signedRig();
    const id = await failed(rig, INBOUND);
    const { spanId } = await statement(rig);
    expect((await rig.ax('retry', id)).exitCode).toBe(1);
    expect(await statement(rig)).toMatchObject({ attempt: 2, traceId: TRACE, parentSpanId: PARENT, spanId });
    expect(rig.read('fails')).toBe(`00-${TRACE}-${spanId}-00\n00-${TRACE}-${spanId}-01\n`);
  });

  it('joins the trace that it was started in', async () => {
    const rig = await signedRig();
    const id = await failed(rig, INBOUND);
    const before = await statement(rig);
    expect((await rig.axWith({ env: OTHER }, 'retry', id)).exitCode).toBe(1);
    const after = await statement(rig);
    expect(after).toMatchObject({
      attempt: 2,
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      parentSpanId: '00f067aa0ba902b7',
    });
    expect(after.spanId).not.toBe(before.spanId);
    expect(lines(rig.read('fails'))[1]).toBe(`00-${after.traceId}-${after.spanId}-01`);
    expect((await rig.ax('audit', 'verify')).exitCode).toBe(0);
  });
});

it('--dry-run says that a task will have the variable, set here or not', async () => {
  const rig = await signedRig();
  for (const env of [{}, INBOUND]) {
    const { stdout } = await rig.axWith({ env }, 'run', 'told', '--dry-run', '--json');
    expect(document(runPlan, stdout).tasks[0]?.environment).toEqual(['AX_RUN_ID', 'PATH', 'TRACEPARENT']);
  }
});
