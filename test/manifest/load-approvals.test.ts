import { describe, expect, test } from 'vitest';
import type { ApprovalSubject } from '../../src/manifest/approval.ts';
import { loadApprovals } from '../../src/manifest/load-approvals.ts';
import { MANIFEST_PAYLOAD_TYPE } from '../../src/manifest/verify.ts';
import type { SnapshotApproval } from '../../src/runtime/guards/snapshot.ts';
import { encodeBase64 } from '../../src/security/base64.ts';
import { addSignature, serializeEnvelope, signEnvelope } from '../../src/security/dsse-sign.ts';
import { generateEd25519, generateHmacKey, parseSigningKey } from '../../src/security/signing-keys.ts';
import { HOUR, ID, NOW, SUBJECT, signApproval } from '../support/approvals.ts';
import { seededRandom } from '../support/seeded-random.ts';

const random = seededRandom('load-approvals');
const alice = parseSigningKey(generateEd25519(random), 'alice');
const bob = parseSigningKey(generateEd25519(random), 'bob');
const mallory = parseSigningKey(generateEd25519(random), 'mallory');
const shared = parseSigningKey(generateHmacKey(random), 'shared');
const OTHER_ID = '01JDZ8M3Q0000000000000000B';
const TYPE = 'application/vnd.ax.approval.v1+json';

interface Change {
  readonly key?: typeof alice;
  readonly subject?: Partial<ApprovalSubject>;
  readonly id?: string;
  readonly now?: number;
}

function envelopeOf({ key = alice, subject = {}, id = ID, now = NOW }: Change = {}) {
  return signApproval({ ...SUBJECT, ...subject }, { id, key, now, validMs: HOUR });
}

function file(source: string, envelope: ReturnType<typeof envelopeOf>) {
  return { source, bytes: Buffer.from(serializeEnvelope(envelope)) };
}

function load(...files: { source: string; bytes: Buffer }[]) {
  return loadApprovals(files, SUBJECT, {
    keys: [alice, bob, shared],
    signers: [bob.kid],
    revoked: new Map(),
    now: NOW,
  });
}

test('those that hold are what guards see, and say who signed the manifest too', () => {
  const { valid, refused } = load(file('a', envelopeOf()), file('b', envelopeOf({ key: bob, id: OTHER_ID })));
  const seen: readonly SnapshotApproval[] = valid;
  expect(seen).toEqual([
    { kid: alice.kid, createdAt: NOW, expiresAt: NOW + HOUR, author: false },
    { kid: bob.kid, createdAt: NOW, expiresAt: NOW + HOUR, author: true },
  ]);
  expect(refused).toEqual([]);
});

test('no files are no approvals', () => {
  expect(load()).toEqual({ valid: [], refused: [] });
});

test('the same approval in two files is one; the same id by two keys is two', () => {
  expect(load(file('a', envelopeOf()), file('copy of a', envelopeOf())).valid).toHaveLength(1);
  expect(load(file('a', envelopeOf()), file('b', envelopeOf({ key: bob }))).valid).toHaveLength(2);
});

test('two approvals by one key are both there, for the guard to count the key once', () => {
  const { valid } = load(
    file('older', envelopeOf({ now: NOW - HOUR / 2 })),
    file('newer', envelopeOf({ id: OTHER_ID })),
  );
  expect(valid.map(({ kid, createdAt }) => [kid, createdAt])).toEqual([
    [alice.kid, NOW - HOUR / 2],
    [alice.kid, NOW],
  ]);
});

describe('what does not count is named with its reason, and takes nothing from the others', () => {
  const tampered = envelopeOf();
  const payload = Buffer.from(tampered.payload.toString().replace('deploy', 'deplox'));
  const forged = signEnvelope(TYPE, envelopeOf().payload, [shared]);
  const relabelled = {
    ...forged,
    signatures: forged.signatures.map((one) => ({ ...one, keyid: alice.kid })),
  };

  test.each<[string, ReturnType<typeof envelopeOf>, string, string]>([
    ['an expired one', envelopeOf({ now: NOW - HOUR }), 'APPROVAL_REFUSED', 'it expired at '],
    ['one from the future', envelopeOf({ now: NOW + 60_000 }), 'APPROVAL_REFUSED', 'it is from the future'],
    [
      'of another manifest',
      envelopeOf({ subject: { manifestDigest: 'c'.repeat(64) } }),
      'APPROVAL_REFUSED',
      'another manifest (it was signed again since)',
    ],
    ['of another task', envelopeOf({ subject: { task: 'x' } }), 'APPROVAL_REFUSED', 'another task'],
    [
      'of other inputs',
      envelopeOf({ subject: { inputsSha256: 'd'.repeat(64) } }),
      'APPROVAL_REFUSED',
      'another set of inputs',
    ],
    [
      'of another project',
      envelopeOf({ subject: { project: 'acme/api' } }),
      'APPROVAL_REFUSED',
      'another project',
    ],
    ['by an untrusted key', envelopeOf({ key: mallory }), 'SIGNATURE_UNTRUSTED', 'not signed by a key'],
    ['by a shared secret that is trusted', forged, 'SIGNATURE_UNTRUSTED', 'not signed by a key'],
    ['by a shared secret in another key’s name', relabelled, 'SIGNATURE_UNTRUSTED', 'not signed by a key'],
    ['tampered with', { ...tampered, payload }, 'SIGNATURE_UNTRUSTED', 'not signed by a key'],
    ['with two signatures', addSignature(envelopeOf(), bob), 'APPROVAL_REFUSED', 'expected one signature'],
    [
      'relabelled as a manifest',
      { ...envelopeOf(), payloadType: MANIFEST_PAYLOAD_TYPE },
      'PAYLOAD_TYPE_UNEXPECTED',
      'expected payloadType',
    ],
    [
      'signed as a manifest',
      signEnvelope(MANIFEST_PAYLOAD_TYPE, envelopeOf().payload, [alice]),
      'PAYLOAD_TYPE_UNEXPECTED',
      'expected payloadType',
    ],
    [
      'a manifest under the type of an approval',
      signEnvelope(TYPE, Buffer.from('{"schema":"ax.manifest/1"}'), [alice]),
      'APPROVAL_REFUSED',
      'not an approval of this version',
    ],
    [
      'that is not JSON',
      signEnvelope(TYPE, Buffer.from('approved'), [alice]),
      'JSON_MALFORMED',
      'a.json:1:1',
    ],
  ])('%s', (_, envelope, code, reason) => {
    const { valid, refused } = load(file('a.json', envelope), file('good', envelopeOf({ key: bob })));
    expect(valid.map(({ kid }) => kid)).toEqual([bob.kid]);
    expect(refused).toMatchObject([{ source: 'a.json', error: { code } }]);
    expect(refused[0]?.error.message).toMatch(/^a\.json:/);
    expect(refused[0]?.error.message).toContain(reason);
    expect(refused[0]?.error.hint).not.toBe('');
  });

  test.each<[string, Buffer, string]>([
    ['an empty file', Buffer.alloc(0), 'JSON_MALFORMED'],
    ['JSON that is no envelope', Buffer.from('{}'), 'ENVELOPE_MALFORMED'],
    ['more than 64 KiB', Buffer.alloc(64 * 1024 + 1, ' '), 'APPROVAL_REFUSED'],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe]), 'JSON_MALFORMED'],
  ])('%s', (_, bytes, code) => {
    const { valid, refused } = load({ source: 'a.json', bytes }, file('good', envelopeOf()));
    expect(valid).toHaveLength(1);
    expect(refused).toMatchObject([{ source: 'a.json', error: { code } }]);
  });
});

test('a payload type that would draw over the message is quoted, and cut', () => {
  const hostile = `\u001b[2Jok\n${'x'.repeat(1000)}`;
  const { refused } = load(file('a.json', { ...envelopeOf(), payloadType: hostile }));
  expect(refused[0]?.error.message).toContain('found "\\u001b[2Jok\\nxxx');
  expect(refused[0]?.error.message.length).toBeLessThan(250);
});

test('a key that is trusted under a false keyid is found by its signature', () => {
  const envelope = envelopeOf();
  const anonymous = {
    payloadType: TYPE,
    payload: encodeBase64(envelope.payload),
    signatures: envelope.signatures.map(({ sig }) => ({ keyid: mallory.kid, sig: encodeBase64(sig) })),
  };
  const { valid } = load({ source: 'a', bytes: Buffer.from(JSON.stringify(anonymous)) });
  expect(valid.map(({ kid }) => kid)).toEqual([alice.kid]);
});
