import type { BuiltinGuard } from '../../../../src/manifest/guards/schema.ts';
import {
  type CelJob,
  defaultLimits,
  type GuardJob,
  type GuardLimits,
  type ScriptJob,
} from '../../../../src/runtime/isolate/job.ts';
import type { Program } from '../../../../src/runtime/isolate/spawn.ts';

/** 2026-01-15, a Thursday, 14:30 UTC. */
export const NOW = Date.UTC(2026, 0, 15, 14, 30);

export const SNAPSHOT = {
  now: NOW,
  phase: 'check',
  task: {
    name: 'deploy',
    title: 'Deploy',
    description: '',
    argv: ['sh', '-c', 'true'],
    metadata: { owner: 'web' },
  },
  actor: { uid: 1000, name: 'ci' },
  inputs: { target: 'prod', count: '3' },
  env: { CI: 'true' },
  git: { branch: 'main', commit: 'c0ffee', clean: true },
  usage: { starts: [NOW - 60_000], running: 0 },
  needs: {},
};

export const SNAPSHOT_TEXT = JSON.stringify(SNAPSHOT);

export function script(source: string, limits: Partial<GuardLimits> = {}): ScriptJob {
  return {
    kind: 'script',
    source,
    snapshotText: SNAPSHOT_TEXT,
    limits: { ...defaultLimits('script'), ...limits },
  };
}

export function cel(expression: string, limits: Partial<GuardLimits> = {}): CelJob {
  return {
    kind: 'cel',
    expression,
    snapshotText: SNAPSHOT_TEXT,
    limits: { ...defaultLimits('cel'), ...limits },
  };
}

export function builtin(config: BuiltinGuard): GuardJob {
  return { kind: 'builtin', config, snapshotText: SNAPSHOT_TEXT };
}

/** The process that breaks the rules. */
export const ROGUE: Program = { file: new URL('./rogue-child.mts', import.meta.url), heapMb: 64 };
