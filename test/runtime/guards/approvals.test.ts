import { describe, expect, test } from 'vitest';
import type { ApprovalRule } from '../../../src/manifest/guards/schema.ts';
import { evaluateApprovals } from '../../../src/runtime/guards/approvals.ts';
import type { SnapshotApproval } from '../../../src/runtime/guards/snapshot.ts';
import { AUTHOR, NOW, snapshotOf } from '../../support/guard-snapshot.ts';

const HOUR = 3_600_000;

const by = (kid: string, changes: Partial<SnapshotApproval> = {}): SnapshotApproval => ({
  kid,
  createdAt: NOW - HOUR,
  expiresAt: NOW + HOUR,
  author: false,
  ...changes,
});

const evaluate = (config: ApprovalRule, ...approvals: SnapshotApproval[]) =>
  evaluateApprovals(config, snapshotOf({ approvals }));

describe('counts distinct keys that may approve, now', () => {
  const two: ApprovalRule = { threshold: 2 };
  test.each<[string, ApprovalRule, SnapshotApproval[], string]>([
    ['none', two, [], '0 of 2'],
    ['one', two, [by('a')], '1 of 2'],
    ['two', two, [by('a'), by('b')], 'pass'],
    ['more than needed', two, [by('a'), by('b'), by('c')], 'pass'],
    ['one key three times', two, [by('a'), by('a'), by('a', { createdAt: NOW })], '1 of 2'],
    ['expired this millisecond', two, [by('a'), by('b', { expiresAt: NOW })], '1 of 2'],
    ['expires in a millisecond', two, [by('a'), by('b', { expiresAt: NOW + 1 })], 'pass'],
    ['an expired and a fresh one by one key', two, [by('a', { expiresAt: 1 }), by('a'), by('b')], 'pass'],
    ['older than the policy allows', { ...two, expires: '1h' }, [by('a'), by('b')], '0 of 2'],
    [
      'a millisecond younger',
      { threshold: 1, expires: '1h' },
      [by('a', { createdAt: NOW - HOUR + 1 })],
      'pass',
    ],
    [
      'the policy lengthens nothing',
      { threshold: 1, expires: '9d' },
      [by('a', { expiresAt: NOW })],
      '0 of 1',
    ],
    ['from the future', { threshold: 1 }, [by('a', { createdAt: NOW + 30_001 })], '0 of 1'],
    ['30 s ahead', { threshold: 1 }, [by('a', { createdAt: NOW + 30_000 })], 'pass'],
    ['a key that is not listed', { threshold: 1, keys: ['a'] }, [by('b')], '0 of 1'],
    ['a key that is', { threshold: 1, keys: ['a'] }, [by('b'), by('a')], 'pass'],
    ['the author, where that is fine', { threshold: 1 }, [by(AUTHOR, { author: true })], 'pass'],
    ['the author, also when false is said', { threshold: 1, notAuthor: false }, [by(AUTHOR)], 'pass'],
    ['the author, marked', { threshold: 1, notAuthor: true }, [by('a', { author: true })], '0 of 1'],
    ['the author, a signer not marked', { threshold: 1, notAuthor: true }, [by(AUTHOR)], '0 of 1'],
    ['someone else', { threshold: 1, notAuthor: true }, [by('a')], 'pass'],
    ['the author, though listed', { threshold: 1, notAuthor: true, keys: [AUTHOR] }, [by(AUTHOR)], '0 of 1'],
    ['times that are none', { threshold: 1 }, [by('a', { expiresAt: NaN })], '0 of 1'],
    ['no time of giving', { threshold: 1 }, [by('a', { createdAt: NaN })], '0 of 1'],
  ])('%s', (_, config, approvals, expected) => {
    const verdict = evaluate(config, ...approvals);
    if (expected === 'pass') {
      expect(verdict.verdict, verdict.reason).toBe('pass');
    } else {
      expect(verdict).toMatchObject({
        verdict: 'defer',
        reason: expect.stringMatching(new RegExp(`^${expected} `)),
        retryAfterMs: 10_000,
      });
    }
  });
});

test('says how many of how many, what did not count, and what to do', () => {
  expect(evaluate({ threshold: 2 }).reason).toBe('0 of 2 approvals; give one with: ax approve deploy');
  const config = { threshold: 3, notAuthor: true };
  const expired = by('b', { expiresAt: NOW - 1 });
  expect(evaluate(config, by('a'), expired, expired, by(AUTHOR, { author: true })).reason).toBe(
    '1 of 3 approvals (not counted: 2 expired, 1 by the author); give one with: ax approve deploy',
  );
  expect(evaluate({ threshold: 1 }, by('a'))).toEqual({ verdict: 'pass', reason: '1 of 1 approval' });
});
