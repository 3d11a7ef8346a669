import { describe, expect, test } from 'vitest';
import { type ApprovalSubject, requireApproverKey, verifyApproval } from '../../src/manifest/approval.ts';
import { MANIFEST_PAYLOAD_TYPE } from '../../src/manifest/verify.ts';
import { serializeEnvelope, signEnvelope } from '../../src/security/dsse-sign.ts';
import { generateEd25519, generateHmacKey, parseSigningKey } from '../../src/security/signing-keys.ts';
import { HOUR, ID, NOW, SUBJECT, signApproval } from '../support/approvals.ts';
import { codeOf } from '../support/code-of.ts';
import { seededRandom } from '../support/seeded-random.ts';

const random = seededRandom('approval');
const alice = parseSigningKey(generateEd25519(random), 'alice');
const mallory = parseSigningKey(generateEd25519(random), 'mallory');
const shared = parseSigningKey(generateHmacKey(random), 'shared');

function approvalBy(key: typeof alice, subject = SUBJECT): Buffer {
  return Buffer.from(serializeEnvelope(signApproval(subject, { id: ID, key, now: NOW, validMs: HOUR })));
}

const revoked = new Map();

function verify(bytes: Uint8Array, subject = SUBJECT, now = NOW) {
  return verifyApproval(bytes, subject, { keys: [alice, shared], revoked, now, source: 'approval.json' });
}

test('an approval by a revoked key does not count, also one that is dated before the revocation', () => {
  const policy = { keys: [alice], now: NOW + 1, source: 'approval.json' };
  const bytes = approvalBy(alice);
  expect(verifyApproval(bytes, SUBJECT, { ...policy, revoked }).kid).toBe(alice.kid);
  const now = new Map([[alice.kid, { at: NOW + 1, reason: null }]]);
  expect(codeOf(() => verifyApproval(bytes, SUBJECT, { ...policy, revoked: now }))).toBe('APPROVAL_REFUSED');
});

test('an approval by a trusted key holds for exactly what it names', () => {
  expect(verify(approvalBy(alice))).toEqual({
    id: ID,
    kid: alice.kid,
    createdAt: NOW,
    expiresAt: NOW + HOUR,
  });
});

describe('an approval does not count', () => {
  test.each<[keyof ApprovalSubject, string]>([
    ['project', 'acme/api'],
    ['manifestDigest', 'c'.repeat(64)],
    ['task', 'build'],
    ['inputsSha256', 'd'.repeat(64)],
  ])('for another %s', (name, value) => {
    expect(codeOf(() => verify(approvalBy(alice), { ...SUBJECT, [name]: value }))).toBe('APPROVAL_REFUSED');
  });

  test('by a key that nobody trusts for the project', () => {
    expect(codeOf(() => verify(approvalBy(mallory)))).toBe('SIGNATURE_UNTRUSTED');
  });

  test('from the moment it expires', () => {
    expect(verify(approvalBy(alice), SUBJECT, NOW + HOUR - 1).kid).toBe(alice.kid);
    expect(codeOf(() => verify(approvalBy(alice), SUBJECT, NOW + HOUR))).toBe('APPROVAL_REFUSED');
  });

  test('from the future', () => {
    expect(verify(approvalBy(alice), SUBJECT, NOW - 30_000).kid).toBe(alice.kid);
    expect(codeOf(() => verify(approvalBy(alice), SUBJECT, NOW - 30_001))).toBe('APPROVAL_REFUSED');
  });

  test('when it is a signature under something else', () => {
    const manifest = signEnvelope(MANIFEST_PAYLOAD_TYPE, Buffer.from('{}'), [alice]);
    expect(codeOf(() => verify(Buffer.from(serializeEnvelope(manifest))))).toBe('PAYLOAD_TYPE_UNEXPECTED');
  });

  test('by a shared secret: it cannot be made, and is not verified', () => {
    expect(codeOf(() => requireApproverKey(shared))).toBe('KEY_MALFORMED');
    const forged = signEnvelope('application/vnd.ax.approval.v1+json', Buffer.from('{}'), [shared]);
    expect(codeOf(() => verify(Buffer.from(serializeEnvelope(forged))))).toBe('SIGNATURE_UNTRUSTED');
  });
});
