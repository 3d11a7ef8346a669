import { describe, expect, it } from 'vitest';
import type { Guard } from '../../../src/manifest/guards/guard.ts';
import { decideSigned, type GuardRecord, signAnswers } from '../../../src/runtime/guards/gate.ts';
import { fail, pass, type Verdict } from '../../../src/runtime/guards/verdict.ts';
import type { GuardedTask } from '../../../src/runtime/plan.ts';
import { canonicalJson } from '../../../src/security/canonical.ts';
import { snapshotOf } from '../../support/guard-snapshot.ts';

const KEY = Buffer.alloc(32, 7);
const GUARDS: readonly Guard[] = [{ gitClean: true }, { dependencies: true }];
const PLAN: GuardedTask = {
  taskId: 'deploy',
  task: { run: ['true'] },
  argv: ['true'],
  inputs: {},
  inputsSha256: '0'.repeat(64),
  pinned: [],
  secrets: [{ name: 'TOKEN', value: 'correct-horse' }],
  scrubsAddresses: false,
};
const snapshot = snapshotOf();

function signed(verdicts: readonly Verdict[], changes: Parameters<typeof snapshotOf>[0] = {}): GuardRecord[] {
  const seen = snapshotOf(changes);
  return signAnswers(
    verdicts.map((verdict) => ({ verdict })),
    { plan: PLAN, guards: GUARDS, snapshot: seen, snapshotText: canonicalJson(seen) },
    KEY,
  );
}

function decided(records: readonly GuardRecord[], key: Uint8Array = KEY): Verdict {
  return decideSigned(records, { guards: GUARDS, snapshot, snapshotText: canonicalJson(snapshot) }, key);
}

describe('signed answers', () => {
  it('that all pass come to a pass, each named in the reason', () => {
    expect(decided(signed([pass('clean'), pass('as signed')]))).toEqual(
      pass('gitClean: clean; dependencies: as signed'),
    );
  });

  it('count for the guard that gave them alone: swapped, they are none', () => {
    const [first, second] = signed([pass('clean'), pass('as signed')]) as [GuardRecord, GuardRecord];
    const verdict = decided([second, first]);
    expect(verdict.verdict).toBe('fail');
    expect(verdict.reason).toContain('expected guardDigest');
  });

  it('that are missing are a fail', () => {
    expect(decided(signed([pass('clean'), pass('as signed')]).slice(0, 1)).verdict).toBe('fail');
    expect(decided([]).verdict).toBe('fail');
  });

  it('that nobody gave are signed as a fail', () => {
    expect(decided(signed([pass('clean')]))).toEqual(fail('dependencies: gave no answer'));
  });

  it.each<[string, Parameters<typeof snapshotOf>[0]]>([
    ['phase', { phase: 'spawn' }],
    ['run', { run: { id: '01JDCD0000000000000000000B', attempt: 1 } }],
    ['snapshot', { inputs: { target: 'api' } }],
    ['time', { now: snapshot.now + 1 }],
    ['manifest', { project: { ...snapshot.project, manifestDigest: 'cd'.repeat(32) } }],
  ])('of another %s do not count', (_, changes) => {
    expect(decided(signed([pass('clean'), pass('as signed')], changes)).verdict).toBe('fail');
  });

  it('that were changed afterwards, or signed with another key, do not count', () => {
    const records = signed([pass('clean'), fail('not as signed')]);
    const changed = records.map((record) => ({ ...record, verdict: pass('as signed') }));
    expect(decided(changed).reason).toContain('its MAC does not match its content');
    expect(decided(records, Buffer.alloc(32, 8)).verdict).toBe('fail');
  });

  it('keep no declared secret in their reason', () => {
    const [record] = signed([fail('saw correct-horse'), pass('as signed')]);
    expect(record?.verdict.reason).toBe('saw [secret:TOKEN]');
  });
});
