import { describe, expect, it } from 'vitest';
import {
  type BoundVerdict,
  type SignedVerdict,
  signVerdict,
  verifyVerdict,
} from '../../../src/runtime/guards/signed-verdict.ts';
import { encodeBase64url } from '../../../src/security/base64.ts';
import { canonicalJson, sha256Canonical } from '../../../src/security/canonical.ts';
import { hmacSha256 } from '../../../src/security/hmac.ts';
import { codeOf } from '../../support/code-of.ts';

const KEY = Buffer.alloc(32, 7);
const CONTENT: BoundVerdict = {
  manifestDigest: 'a'.repeat(64),
  guardDigest: sha256Canonical({ branch: { allow: ['main'] } }),
  runId: '01KBR5X0T0ABCDEFGHJKMNPQRS',
  phase: 'check',
  snapshotDigest: 'b'.repeat(64),
  at: Date.UTC(2026, 0, 15),
  verdict: { verdict: 'defer', reason: 'not yet', retryAfterMs: 1000 },
};
const { manifestDigest, guardDigest, runId, phase } = CONTENT;
const EXPECTED = { manifestDigest, guardDigest, runId, phase };
const SIGNED = signVerdict(CONTENT, KEY);

const refused = (value: unknown, expected = EXPECTED, key: Uint8Array = KEY) =>
  expect(codeOf(() => verifyVerdict(value, expected, key))).toBe('GUARD_VERDICT_INVALID');

describe('a signed verdict', () => {
  it('holds as it was signed, and after a journey as JSON', () => {
    expect(verifyVerdict(SIGNED, EXPECTED, KEY)).toEqual(CONTENT.verdict);
    expect(verifyVerdict(JSON.parse(JSON.stringify(SIGNED)), { ...CONTENT }, KEY)).toEqual(CONTENT.verdict);
  });

  it('does not hold with any member changed, though each change is of its form', () => {
    const changes: Partial<SignedVerdict>[] = [
      { manifestDigest: 'c'.repeat(64) },
      { guardDigest: 'c'.repeat(64) },
      { runId: '01KBR5X0T0ABCDEFGHJKMNPQRT' },
      { phase: 'spawn' },
      { snapshotDigest: 'c'.repeat(64) },
      { at: CONTENT.at + 1 },
      { verdict: { verdict: 'pass', reason: 'not yet' } },
      { verdict: { verdict: 'defer', reason: 'not yet', retryAfterMs: 1001 } },
      { verdict: { verdict: 'defer', reason: 'not  yet', retryAfterMs: 1000 } },
      { mac: encodeBase64url(Buffer.alloc(32)) },
      { mac: SIGNED.mac.slice(0, 22) },
      { mac: `${SIGNED.mac}=` },
      { mac: '' },
    ];
    for (const change of changes)
      refused({ ...SIGNED, ...change }, { ...EXPECTED, ...change } as typeof EXPECTED);
  });

  it('does not hold with two members swapped', () => {
    const { manifestDigest: a, guardDigest: b, snapshotDigest: c } = SIGNED;
    refused(
      { ...SIGNED, manifestDigest: b, guardDigest: a },
      { ...EXPECTED, manifestDigest: b, guardDigest: a },
    );
    refused({ ...SIGNED, manifestDigest: c, snapshotDigest: a }, { ...EXPECTED, manifestDigest: c });
  });

  it('does not hold where another was expected', () => {
    const others: Partial<BoundVerdict>[] = [
      { manifestDigest: 'c'.repeat(64) },
      { guardDigest: sha256Canonical({ branch: { allow: ['*'] } }) },
      { runId: '01KBR5X0T0ABCDEFGHJKMNPQRT' },
      { phase: 'spawn' },
      { snapshotDigest: 'c'.repeat(64) },
      { at: CONTENT.at - 1 },
    ];
    for (const other of others) refused(SIGNED, { ...EXPECTED, ...other } as typeof EXPECTED);
  });

  it('does not hold under another key, nor as a MAC of the same key over the same text for another use', () => {
    refused(SIGNED, EXPECTED, Buffer.alloc(32, 8));
    const undomained = encodeBase64url(hmacSha256(KEY, Buffer.from(canonicalJson(CONTENT))));
    expect(undomained).not.toBe(SIGNED.mac);
    refused({ ...SIGNED, mac: undomained });
  });

  it.each([
    ['null', null],
    ['text', JSON.stringify(SIGNED)],
    ['a list', [SIGNED]],
    ['another member', { ...SIGNED, trusted: true }],
    ['a missing member', { ...SIGNED, at: undefined }],
    ['an upper-case digest', { ...SIGNED, manifestDigest: 'A'.repeat(64) }],
    ['a short digest', { ...SIGNED, snapshotDigest: 'a'.repeat(63) }],
    ['a run id that is none', { ...SIGNED, runId: '../../etc/passwd' }],
    ['an unknown phase', { ...SIGNED, phase: 'CHECK' }],
    ['a time that is text', { ...SIGNED, at: '0' }],
    ['a verdict and more', { ...SIGNED, verdict: { verdict: 'pass', reason: '', retryAfterMs: 1 } }],
    ['a reason with half a character', { ...SIGNED, verdict: { verdict: 'pass', reason: '\ud800' } }],
    ['a MAC that is a number', { ...SIGNED, mac: 1 }],
  ])('is refused as %s', (_name, value) => refused(value));

  it('is not made of members that are not of their form, or under a short key', () => {
    expect(codeOf(() => signVerdict({ ...CONTENT, runId: 'run' }, KEY))).toBe('INTERNAL');
    expect(codeOf(() => signVerdict({ ...CONTENT, at: 0.5 }, KEY))).toBe('INTERNAL');
    expect(codeOf(() => signVerdict(CONTENT, KEY.subarray(1)))).toBe('INTERNAL');
    expect(codeOf(() => verifyVerdict(SIGNED, EXPECTED, Buffer.alloc(0)))).toBe('INTERNAL');
  });

  it('signs what it names and nothing more', () => {
    expect(signVerdict({ ...CONTENT, more: 1 } as BoundVerdict, KEY)).toEqual(SIGNED);
  });
});
