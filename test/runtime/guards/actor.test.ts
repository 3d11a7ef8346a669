import { expect, test } from 'vitest';
import { evaluateActor } from '../../../src/runtime/guards/actor.ts';
import { snapshotOf } from '../../support/guard-snapshot.ts';

test.each<[string[], { uid: number; name: string }, 'pass' | 'fail']>([
  [['ci'], { uid: 1000, name: 'ci' }, 'pass'],
  [['release', 'ci'], { uid: 1000, name: 'ci' }, 'pass'],
  [['uid:1000'], { uid: 1000, name: 'anyone' }, 'pass'],
  [['uid:0'], { uid: 0, name: '' }, 'pass'],
  [['ci'], { uid: 1000, name: 'CI' }, 'fail'],
  [['ci'], { uid: 1000, name: 'ci ' }, 'fail'],
  [['ci'], { uid: 1000, name: '' }, 'fail'],
  [['uid:100'], { uid: 1000, name: 'ci' }, 'fail'],
  [['uid:1000'], { uid: 100, name: 'ci' }, 'fail'],
  // A name that looks like a number entry is still only a name.
  [['uid:0'], { uid: 1000, name: 'uid:0' }, 'fail'],
  [['1000'], { uid: 1000, name: 'ci' }, 'fail'],
])('%j and %j: %s', (allow, actor, verdict) => {
  expect(evaluateActor({ allow }, snapshotOf({ actor })).verdict).toBe(verdict);
});

test('says who it is and who it should be, briefly', () => {
  const actor = { uid: 1001, name: 'mallory' };
  expect(evaluateActor({ allow: ['ci', 'uid:1000'] }, snapshotOf({ actor })).reason).toBe(
    'expected one of ci, uid:1000; found "mallory" (uid 1001)',
  );
  const many = Array.from({ length: 200 }, (_, index) => `user${index}`);
  expect(evaluateActor({ allow: many }, snapshotOf({ actor })).reason).toContain('user4 and 195 more; found');
});
