import { deepFreeze, type GuardSnapshot } from '../../src/runtime/guards/snapshot.ts';

/** 2026-11-23 is a Monday. */
export const NOW = Date.parse('2026-11-23T12:00:00Z');

export const AUTHOR = `author${'a'.repeat(37)}`;

/** A snapshot in which every guard has something to look at; frozen, as guards get it. */
export function snapshotOf(changes: Partial<GuardSnapshot> = {}): GuardSnapshot {
  return deepFreeze({
    now: NOW,
    phase: 'check',
    run: { id: '01JDCD0000000000000000000A', attempt: 1 },
    project: { name: 'acme/web', manifestDigest: 'ab'.repeat(32), manifestVersion: 7, signers: [AUTHOR] },
    task: {
      name: 'deploy',
      title: 'Deploy the site',
      description: '',
      argv: ['npm', 'run', 'deploy'],
      needs: ['build'],
      metadata: { owner: 'web' },
    },
    inputs: { target: 'web' },
    actor: { uid: 1000, name: 'ci' },
    env: { CI: 'true' },
    git: { branch: 'main', commit: 'c0ffee'.padEnd(40, '0'), clean: true },
    gitProblem: null,
    keys: [],
    approvals: [],
    usage: { starts: [], running: 0 },
    recent: [],
    unreadable: 0,
    dependencies: [],
    needs: { build: true },
    // A copy: what a test goes on changing must not be frozen under its hands.
    ...structuredClone(changes),
  });
}

/** A snapshot at a moment, for guards that look at nothing but the clock. */
export function at(time: string | number): GuardSnapshot {
  return snapshotOf({ now: typeof time === 'number' ? time : Date.parse(time) });
}
