import { expect, test } from 'vitest';
import type { AttemptResult, Report } from '../../src/runtime/invocation.ts';
import { listAudit } from '../../src/store/audit.ts';
import { loadRun } from '../../src/store/runs.ts';
import { usageOf } from '../../src/store/starts.ts';
import { inProcess } from '../support/invocation.ts';
import { createRig } from '../support/rig.ts';

/** What comes between the check of guards and the start of the process. */

/** Monday, a minute before the window closes. */
const MONDAY = Date.UTC(2026, 10, 23, 16, 59, 0);
const WINDOW = '- changeWindow: {days: [mon], from: "09:00", to: "17:00", timezone: UTC}';

function isStart(report: Report): boolean {
  return report.type === 'event' && report.toState === 'EXECUTING';
}

async function guarded(guards: string, report: (report: Report, clock: { now: number }) => void) {
  const rig = await createRig();
  // Signed for longer than the distance between the test's clock and the machine's.
  await rig.sign(`deploy:\n  run: [touch, started]\n  guards:\n    ${guards}`, 'expires: 3650d');
  // Not before it was signed: the lock has a date.
  const clock = { now: Math.max(MONDAY, nextMonday(Date.now())) };
  const parts = inProcess(rig, {
    changes: { now: () => clock.now },
    report: (told) => report(told, clock),
  });
  const result = await parts.attempt(await parts.plan('deploy'));
  return { rig, result, ...parts };
}

/** 16:59 UTC of the first Monday from a moment on. */
function nextMonday(from: number): number {
  const week = 7 * 24 * 3_600_000;
  return MONDAY + Math.ceil((from - MONDAY) / week) * week;
}

function usage({
  database,
  context,
}: {
  database: Parameters<typeof usageOf>[0];
  context: { now(): number };
}) {
  return usageOf(database, {
    project: 'acme/web',
    task: 'deploy',
    runId: '01JDCD0000000000000000000A',
    attempt: 1,
    now: context.now(),
  });
}

test('a change window that stays open lets the task start', async () => {
  const { rig, result, database, context } = await guarded(WINDOW, () => {});
  expect(result).toMatchObject({ outcome: 'completed', exitCode: 0 });
  expect(rig.has('started')).toBe(true);
  const evaluations = listAudit(database, { type: 'guard.evaluation' }).map(({ data }) => data);
  expect(evaluations).toMatchObject([
    { guard: 'changeWindow', phase: 'check', verdict: 'pass' },
    { guard: 'changeWindow', phase: 'spawn', verdict: 'pass' },
  ]);
  expect(usage({ database, context })).toMatchObject({ starts: [context.now()], running: 0 });
});

test('a change window that closes between the check and the spawn is refused at the spawn', async () => {
  const { rig, result, database, context } = await guarded(WINDOW, (report, clock) => {
    if (isStart(report)) clock.now += 60_000;
  });
  expect(result).toMatchObject({ outcome: 'refused', exitCode: 77 });
  expect(result.error).toMatchObject({ code: 'GUARD_BLOCKED' });
  expect(result.error?.message).toContain('outside Mon 09:00–17:00 UTC');
  expect(rig.has('started')).toBe(false);
  expect(loadRun(database, result.runId)).toMatchObject({ state: 'FAILED', outcome: 'refused' });
  const moves = listAudit(database, { type: 'run.transition' }).map(({ data }) => data);
  expect(moves.at(-1)).toMatchObject({ event: 'RuleViolation', source: 'guard-host', to: 'FAILED' });
  // What did not start is not counted as a start.
  expect(usage({ database, context })).toEqual({ starts: [], running: 0 });
});

test('a dependency that changes between the check and the spawn is refused at the spawn', async () => {
  const rig = await createRig();
  rig.write('tool.sh', '#!/bin/sh\ntouch started\n', 0o755);
  await rig.sign('deploy:\n  run: [./tool.sh]\n  guards:\n    - dependencies: true');
  const parts = inProcess(rig, {
    report: (told) => {
      if (isStart(told)) rig.write('tool.sh', '#!/bin/sh\ntouch started other\n', 0o755);
    },
  });
  const result = await parts.attempt(await parts.plan('deploy'));
  expect(result).toMatchObject({ outcome: 'refused', exitCode: 76 });
  expect(result.error).toMatchObject({ code: 'DEPENDENCY_CHANGED' });
  expect(rig.has('started')).toBe(false);
  expect(loadRun(parts.database, result.runId)).toMatchObject({ state: 'FAILED', outcome: 'refused' });
});

test('a cancel that comes while the guards are asked again starts nothing', async () => {
  const rig = await createRig();
  await rig.sign('deploy:\n  run: [touch, started]\n  guards:\n    - dependencies: true');
  const { startAttempt } = await import('../../src/runtime/attempt.ts');
  let cancel = (): boolean => false;
  const parts = inProcess(rig, {
    report: (told) => {
      // Before the guards are asked for the second time.
      if (isStart(told)) queueMicrotask(() => cancel());
    },
  });
  const attempt = startAttempt(parts.invocation, {
    plan: await parts.plan('deploy'),
    checked: [],
    retryOf: null,
    needsMet: () => true,
    turns: { take: async () => true, release: async () => 'alone' },
    waitMs: null,
  });
  cancel = () => attempt.cancel({ requestedBy: 'tester', source: 'cancel-channel', exitCode: 130 });
  const result: AttemptResult = await attempt.result;
  expect(result).toMatchObject({ outcome: 'canceled', exitCode: 130 });
  expect(rig.has('started')).toBe(false);
  expect(loadRun(parts.database, result.runId)).toMatchObject({ state: 'CANCELED', outcome: 'canceled' });
  expect(usage(parts)).toEqual({ starts: [], running: 0 });
});
