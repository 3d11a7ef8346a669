import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/errors.ts';
import { type Envelope, pae, parseEnvelope } from '../../src/security/dsse.ts';
import {
  addSignature,
  addSignatureOf,
  serializeEnvelope,
  signEnvelope,
} from '../../src/security/dsse-sign.ts';
import { isFirstSigner, verifiedKeys, verifyThreshold } from '../../src/security/dsse-verify.ts';
import { verifyHmacSha256 } from '../../src/security/hmac.ts';
import { type JsonValue, parseJson } from '../../src/security/json.ts';
import { localSigner } from '../../src/security/signer.ts';
import {
  generateEd25519,
  generateHmacKey,
  parseSigningKey,
  parseVerificationKey,
  type SigningKey,
  signMessage,
  type VerificationKey,
} from '../../src/security/signing-keys.ts';
import { codeOf } from '../support/code-of.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

const TYPE = 'application/vnd.ax.manifest.v1+json';
const BODY = Buffer.from('{"task":"build"}');

const random = seededRandom('dsse');
const [alice, bob, carol] = [edKey(), edKey(), edKey()] as const;
const team = parseSigningKey(generateHmacKey(random), 'team');

function edKey(): SigningKey {
  return parseSigningKey(generateEd25519(random), 'key');
}

function publicKey(hex: string): VerificationKey {
  const x = Buffer.from(hex, 'hex').toString('base64url');
  return parseVerificationKey({ kty: 'OKP', crv: 'Ed25519', x }, 'key');
}

function kids(keys: readonly { kid: string }[]): string[] {
  return keys.map(({ kid }) => kid);
}

function reread(envelope: Envelope): Envelope {
  return parseEnvelope(parseJson(serializeEnvelope(envelope), 'ax.lock'), 'ax.lock');
}

/** An envelope as JSON, to be bent. */
function json(envelope: Envelope) {
  return JSON.parse(serializeEnvelope(envelope)) as {
    payload: string;
    payloadType: string;
    signatures: [Record<string, JsonValue>, ...Record<string, JsonValue>[]];
  };
}

describe('pae', () => {
  it('is the example of protocol.md', () => {
    const example = 'DSSEv1 29 http://example.com/HelloWorld 11 hello world';
    expect(pae('http://example.com/HelloWorld', Buffer.from('hello world')).toString()).toBe(example);
  });

  it('counts bytes, not characters', () => {
    expect(pae('tïpe', Buffer.from('héé')).toString()).toBe('DSSEv1 5 tïpe 5 héé');
  });

  it('gives two different pairs two different messages', () => {
    // An alphabet of what separates and counts, so that parts could run into each other.
    const part = fc.string({ unit: fc.constantFrom('a', ' ', '1', '2'), maxLength: 5 });
    const pair = fc.tuple(
      part,
      part.map((text) => Buffer.from(text)),
    );
    fc.assert(
      fc.property(pair, pair, ([typeA, bodyA], [typeB, bodyB]) => {
        const same = typeA === typeB && bodyA.equals(bodyB);
        expect(pae(typeA, bodyA).equals(pae(typeB, bodyB))).toBe(same);
      }),
      { seed: 1, numRuns: 1000 },
    );
  });

  it('refuses a type that UTF-8 cannot carry', () => {
    expect(codeOf(() => pae('a\ud800', BODY))).toBe('ENVELOPE_MALFORMED');
  });
});

describe('parseEnvelope', () => {
  it('reads what serializeEnvelope writes', () => {
    const envelope = signEnvelope(TYPE, BODY, [alice, team]);
    expect(reread(envelope)).toEqual(envelope);
  });

  const good = json(signEnvelope(TYPE, BODY, [alice]));
  const [signature] = good.signatures;
  const many = (n: number) => Array.from({ length: n }, () => signature);

  it.each<[string, JsonValue, string]>([
    ['null', null, 'ax.lock: expected a DSSE envelope, found null'],
    ['an array', [good], 'ax.lock: expected a DSSE envelope, found an array of 1'],
    [
      'no payloadType',
      { ...good, payloadType: null },
      'ax.lock: payloadType: expected Unicode text, found null',
    ],
    ['a lone surrogate', { ...good, payloadType: 'a\udfff' }, 'ax.lock: payloadType: expected Unicode text'],
    [
      'no payload',
      { ...good, payload: 7 },
      'ax.lock: payload: expected padded base64 in one alphabet, found a number',
    ],
    ['payload unpadded', { ...good, payload: 'aGk' }, 'ax.lock: payload: expected padded base64'],
    ['payload with a line break', { ...good, payload: 'aGk=\n' }, 'ax.lock: payload: expected padded base64'],
    [
      'payload with a bit after its end',
      { ...good, payload: 'aGl=' },
      'ax.lock: payload: expected padded base64',
    ],
    [
      'no signature',
      { ...good, signatures: [] },
      'signatures: expected an array of 1 to 16, found an array of 0',
    ],
    [
      '17 signatures',
      { ...good, signatures: many(17) },
      'signatures: expected an array of 1 to 16, found an array of 17',
    ],
    ['signatures as an object', { ...good, signatures: signature }, 'signatures: expected an array'],
    ['a signature as text', { ...good, signatures: ['x'] }, 'signatures[0]: expected an object'],
    [
      'keyid as a number',
      { ...good, signatures: [{ ...signature, keyid: 1 }] },
      'signatures[0].keyid: expected a string',
    ],
    [
      'no sig',
      { ...good, signatures: [signature, { keyid: '' }] },
      'signatures[1].sig: expected padded base64',
    ],
    ['an empty sig', { ...good, signatures: [{ sig: '' }] }, 'signatures[0].sig: expected a signature'],
  ])('refuses %s', (_, value, message) => {
    const attempt = () => parseEnvelope(value, 'ax.lock');
    expect(codeOf(attempt)).toBe('ENVELOPE_MALFORMED');
    expect(attempt).toThrow(message);
  });

  it('takes sixteen signatures, no keyid, unknown members and the URL-safe alphabet', () => {
    const body = Buffer.from([0xfb, 0xff, 0xfe]);
    const value = json(signEnvelope(TYPE, body, [alice]));
    const bare = { sig: value.signatures[0].sig as string, extra: [1] };
    const url = value.payload.replaceAll('+', '-').replaceAll('/', '_');
    expect(url).not.toBe(value.payload);
    const signatures = Array.from({ length: 16 }, () => bare);
    const envelope = parseEnvelope({ ...value, payload: url, signatures, extra: {} }, 'x');
    expect(envelope.signatures).toHaveLength(16);
    expect(envelope.signatures[0]?.keyid).toBe('');
    expect(kids(verifiedKeys(envelope, [alice]))).toEqual([alice.kid]);
  });
});

describe('verifiedKeys', () => {
  it('finds each key once, in the order of the signatures', () => {
    const envelope = signEnvelope(TYPE, BODY, [carol, alice, team]);
    const keys = [alice, bob, carol, alice, team];
    expect(kids(verifiedKeys(envelope, keys))).toEqual(kids([carol, alice, team]));
  });

  it('takes the keyid for a hint: wrong, swapped, shared or absent, the keys are the same', () => {
    const envelope = signEnvelope(TYPE, BODY, [alice, bob]);
    const [first, second] = envelope.signatures as [Envelope['signatures'][0], Envelope['signatures'][0]];
    for (const [a, b] of [
      ['', ''],
      [bob.kid, alice.kid],
      [bob.kid, bob.kid],
      ['nonsense', '__proto__'],
    ] as const) {
      const signatures = [
        { ...first, keyid: a },
        { ...second, keyid: b },
      ];
      expect(kids(verifiedKeys({ ...envelope, signatures }, [alice, bob]))).toEqual(kids([alice, bob]));
    }
  });

  it('counts one key once, however often it signed and under whatever names', () => {
    const envelope = signEnvelope(TYPE, BODY, [alice]);
    const [one] = envelope.signatures as [Envelope['signatures'][0]];
    const signatures = [one, one, { ...one, keyid: bob.kid }, { ...one, keyid: '' }];
    expect(kids(verifiedKeys({ ...envelope, signatures }, [alice, alice, bob]))).toEqual([alice.kid]);
  });

  it('skips signatures that do not verify, before and after good ones', () => {
    const envelope = signEnvelope(TYPE, BODY, [alice, bob]);
    const bad = [Buffer.alloc(64), Buffer.alloc(32), Buffer.alloc(1), Buffer.alloc(65)].map((sig) => ({
      keyid: alice.kid,
      sig,
    }));
    const signatures = [...bad, ...envelope.signatures, ...bad];
    expect(kids(verifiedKeys({ ...envelope, signatures }, [alice, bob]))).toEqual(kids([alice, bob]));
  });

  it('has the first signer at its head, who is found by the first signature and its name alone', async () => {
    const envelope = signEnvelope(TYPE, BODY, [alice, bob]);
    const [first, second] = envelope.signatures as [Envelope['signatures'][0], Envelope['signatures'][0]];
    expect(await isFirstSigner(envelope, alice)).toBe(true);
    expect(kids(verifiedKeys(envelope, [bob, alice]))[0]).toBe(alice.kid);
    expect(await isFirstSigner(signEnvelope(TYPE, BODY, [team]), team)).toBe(true);
    const others: readonly (readonly [Envelope, VerificationKey])[] = [
      [envelope, bob],
      [envelope, team],
      [{ ...envelope, signatures: [] }, alice],
      [{ ...envelope, signatures: [second, first] }, alice],
      [{ ...envelope, signatures: [{ ...first, keyid: '' }] }, alice],
      [{ ...envelope, signatures: [{ ...second, keyid: alice.kid }] }, alice],
      [{ ...envelope, signatures: [{ ...first, sig: Buffer.alloc(64) }, first] }, alice],
      [{ ...envelope, payload: Buffer.from('other') }, alice],
      [{ ...envelope, payloadType: 'other' }, alice],
      [{ ...signEnvelope(TYPE, BODY, [team]), payload: Buffer.from('other') }, team],
    ];
    for (const [other, key] of others) expect(await isFirstSigner(other, key)).toBe(false);
  });

  it('never believes the jwk beside a signature', () => {
    const forged = json(signEnvelope(TYPE, BODY, [bob]));
    forged.signatures[0].keyid = alice.kid;
    expect(verifiedKeys(parseEnvelope(forged, 'x'), [alice])).toEqual([]);
  });

  it('loses every signature with any change of a byte in type or payload', () => {
    const envelope = signEnvelope(TYPE, BODY, [alice, team]);
    for (let i = 0; i < BODY.length; i++) {
      const payload = Buffer.from(BODY);
      payload[i] = (payload[i] as number) ^ 1;
      expect(verifiedKeys({ ...envelope, payload }, [alice, team])).toEqual([]);
    }
    for (const payloadType of [`${TYPE} `, TYPE.toUpperCase(), TYPE.slice(1), '']) {
      expect(verifiedKeys({ ...envelope, payloadType }, [alice, team])).toEqual([]);
    }
  });
});

describe('verifyThreshold', () => {
  it('returns all the keys that signed', () => {
    const envelope = signEnvelope(TYPE, BODY, [alice, bob, carol]);
    expect(kids(verifyThreshold(envelope, [alice, bob, carol], 2))).toEqual(kids([alice, bob, carol]));
  });

  it('says SIGNATURE_UNTRUSTED when trusted keys have not signed', () => {
    const envelope = signEnvelope(TYPE, BODY, [alice]);
    expect(codeOf(() => verifyThreshold(envelope, [bob], 1))).toBe('SIGNATURE_UNTRUSTED');
    expect(codeOf(() => verifyThreshold(envelope, [], 1))).toBe('SIGNATURE_UNTRUSTED');
    expect(codeOf(() => verifyThreshold(envelope, [alice, bob], 2))).toBe('SIGNATURE_UNTRUSTED');
  });

  it('says SIGNATURE_INVALID when a signature claims a trusted key that did not make it', () => {
    const envelope = { ...signEnvelope(TYPE, BODY, [alice, bob]), payload: Buffer.from('{"task":"other"}') };
    expect(codeOf(() => verifyThreshold(envelope, [bob], 1))).toBe('SIGNATURE_INVALID');
    const relabelled = signEnvelope(TYPE, BODY, [alice]).signatures.map((one) => ({
      ...one,
      keyid: bob.kid,
    }));
    const claimed = { ...signEnvelope(TYPE, BODY, [alice]), signatures: relabelled };
    expect(codeOf(() => verifyThreshold(claimed, [bob], 1))).toBe('SIGNATURE_INVALID');
  });

  it('lets an HMAC key sign alone, and counts it for nothing beside others', () => {
    const envelope = signEnvelope(TYPE, BODY, [alice, team]);
    expect(kids(verifyThreshold(signEnvelope(TYPE, BODY, [team]), [team], 1))).toEqual([team.kid]);
    expect(codeOf(() => verifyThreshold(envelope, [alice, team], 2))).toBe('SIGNATURE_UNTRUSTED');
    expect(kids(verifyThreshold(addSignature(envelope, bob), [alice, team, bob], 2))).toEqual(
      kids([alice, bob]),
    );
  });

  it('does not count a key twice towards a threshold, by any trick with names', () => {
    const envelope = signEnvelope(TYPE, BODY, [alice]);
    const [one] = envelope.signatures as [Envelope['signatures'][0]];
    const doubled = { ...envelope, signatures: [one, { ...one, keyid: bob.kid }, { ...one, keyid: 'x' }] };
    expect(codeOf(() => verifyThreshold(doubled, [alice, alice, bob], 2))).toBe('SIGNATURE_INVALID');
    expect(codeOf(() => verifyThreshold(doubled, [alice, alice, carol], 2))).toBe('SIGNATURE_UNTRUSTED');
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses the threshold %d', (threshold) => {
    const envelope = signEnvelope(TYPE, BODY, [alice]);
    expect(codeOf(() => verifyThreshold(envelope, [alice], threshold))).toBe('TRUST_MALFORMED');
  });
});

describe('signing', () => {
  it('signs once with a key that is given twice, and never without a key', () => {
    expect(signEnvelope(TYPE, BODY, [alice, alice]).signatures).toHaveLength(1);
    expect(codeOf(() => signEnvelope(TYPE, BODY, []))).toBe('KEY_UNKNOWN');
  });

  it('adds a signature and leaves payload and other signatures as they are', () => {
    const before = signEnvelope(TYPE, BODY, [alice]);
    const after = addSignature(reread(before), bob);
    expect(after.payload).toEqual(before.payload);
    expect(after.signatures.slice(0, 1)).toEqual(before.signatures);
    expect(kids(verifyThreshold(after, [alice, bob], 2))).toEqual(kids([alice, bob]));
  });

  it('replaces an earlier signature by the same key, relabelled or broken', () => {
    const envelope = signEnvelope(TYPE, BODY, [alice, bob]);
    const [first, second] = envelope.signatures as [Envelope['signatures'][0], Envelope['signatures'][0]];
    for (const earlier of [
      { ...first, keyid: 'another name' },
      { ...first, sig: Buffer.alloc(64) },
    ]) {
      const signed = addSignature({ ...envelope, signatures: [earlier, second] }, alice);
      expect(signed.signatures).toEqual([second, first]);
    }
  });

  it('keeps to sixteen signatures', () => {
    const keys = Array.from({ length: 16 }, edKey);
    const full = signEnvelope(TYPE, BODY, keys);
    expect(full.signatures).toHaveLength(16);
    expect(addSignature(full, keys[3] as SigningKey).signatures).toHaveLength(16);
    expect(codeOf(() => addSignature(full, alice))).toBe('ENVELOPE_MALFORMED');
  });

  it('by a signer elsewhere comes to the same, is asked for where there is room, and is verified', async () => {
    const envelope = signEnvelope(TYPE, BODY, [bob]);
    expect(await addSignatureOf(envelope, localSigner(alice))).toEqual(addSignature(envelope, alice));
    expect(await addSignatureOf(envelope, localSigner(team))).toEqual(addSignature(envelope, team));

    const full = signEnvelope(TYPE, BODY, Array.from({ length: 16 }, edKey));
    const asked: Uint8Array[] = [];
    const signer = {
      key: alice,
      async sign(message: Uint8Array) {
        asked.push(message);
        return signMessage(bob, message);
      },
    };
    await expect(addSignatureOf(full, signer)).rejects.toMatchObject({ code: 'ENVELOPE_MALFORMED' });
    expect(asked).toEqual([]);
    await expect(addSignatureOf(envelope, signer)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
    expect(asked).toEqual([pae(TYPE, BODY)]);
  });
});

describe('serializeEnvelope', () => {
  // The key of RFC 8037 appendix A; the signature as pyca/cryptography makes it.
  const rfc8032 = parseSigningKey(
    {
      kty: 'OKP',
      crv: 'Ed25519',
      d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    },
    'key',
  );

  it('writes the same text every time', () => {
    expect(serializeEnvelope(signEnvelope('text/plain', Buffer.from('hello world'), [rfc8032]))).toBe(`{
  "payloadType": "text/plain",
  "payload": "aGVsbG8gd29ybGQ=",
  "signatures": [
    {
      "keyid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
      "sig": "ZPRh7zhPrR2K3SAIUwi3znuAWam+tzhnacxgmAjNhDx8BOz8Rln8GO/dfJgVMyMVVxEwul3Dqrb0Y0Pr3AQhBQ==",
      "jwk": {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
      }
    }
  ]
}
`);
  });

  it('never writes a secret, whatever jwk came in', () => {
    const secret = generateHmacKey(random);
    const pair = generateEd25519(random);
    const envelope = signEnvelope(TYPE, BODY, [team]);
    expect(serializeEnvelope(envelope)).not.toContain('jwk');
    for (const jwk of [secret, pair, { ...pair, kid: 'x' }, 'text', null, { kty: 'OKP' }] as JsonValue[]) {
      const [one] = envelope.signatures as [Envelope['signatures'][0]];
      const text = serializeEnvelope({ ...envelope, signatures: [{ ...one, jwk }] });
      expect(text).toBe(serializeEnvelope(envelope));
    }
  });
});

interface DsseVectors {
  keys: Record<string, { publicKeyHex: string }>;
  pae: { payloadType: string; payloadB64: string; paeHex: string }[];
  envelopes: {
    name: string;
    envelope: JsonValue;
    trustedKeys: string[];
    threshold: number;
    expect: 'valid' | 'invalid' | 'either';
  }[];
  paeMustDiffer: Record<'a' | 'b', { payloadType: string; payloadB64: string }>[];
  hmac: { name: string; keyHex: string; envelope: JsonValue; expect: 'valid' }[];
}

/** What each row that must not or need not verify is refused with; undefined where ax chose to accept. */
const REFUSALS: Record<string, ErrorCode | undefined> = {
  'invalid/multi/threshold-not-met': 'SIGNATURE_UNTRUSTED',
  'invalid/multi/untrusted': 'SIGNATURE_UNTRUSTED',
  'invalid/no-signatures': 'ENVELOPE_MALFORMED',
  'invalid/missing-signatures': 'ENVELOPE_MALFORMED',
  'invalid/missing-payload': 'ENVELOPE_MALFORMED',
  'invalid/missing-payloadType': 'ENVELOPE_MALFORMED',
  'invalid/missing-sig': 'ENVELOPE_MALFORMED',
  'invalid/empty-sig': 'ENVELOPE_MALFORMED',
  'invalid/payload-not-base64': 'ENVELOPE_MALFORMED',
  'invalid/sig-not-base64': 'ENVELOPE_MALFORMED',
  // Base64 that is not strict is refused, as go-securesystemslib does.
  'lenient/base64-mixed-alphabets': 'ENVELOPE_MALFORMED',
  'lenient/base64-unpadded': 'ENVELOPE_MALFORMED',
  // One key twice is one key, and that is enough for a threshold of one.
  'lenient/duplicate-signature-threshold-1': undefined,
  // The keyid is a hint, so the other keys are tried as well.
  'hint/wrong-keyid-right-sig': undefined,
};

describe.skipIf(!haveVectors)('dsse.json', () => {
  const vectors = haveVectors ? vectorJson<DsseVectors>('dsse.json') : undefined;
  const b64 = (text: string) => Buffer.from(text, 'base64');

  it('encodes each of 56 pairs as it should', () => {
    const rows = vectors?.pae ?? [];
    expect(rows).toHaveLength(56);
    for (const { payloadType, payloadB64, paeHex } of rows) {
      expect(pae(payloadType, b64(payloadB64)).toString('hex')).toBe(paeHex);
    }
  });

  it('tells apart each of 4 pairs that look alike', () => {
    const rows = vectors?.paeMustDiffer ?? [];
    expect(rows).toHaveLength(4);
    for (const { a, b } of rows) {
      expect(pae(a.payloadType, b64(a.payloadB64))).not.toEqual(pae(b.payloadType, b64(b.payloadB64)));
    }
  });

  it('has a verdict for each of 71 envelopes', () => {
    expect(vectors?.envelopes).toHaveLength(71);
    const either = vectors?.envelopes.filter((row) => row.expect === 'either').map(({ name }) => name) ?? [];
    expect(either).toHaveLength(4);
    expect(either.filter((name) => !(name in REFUSALS))).toEqual([]);
  });

  it.each(vectors?.envelopes ?? [])(
    '$name',
    ({ name, envelope, trustedKeys, threshold, expect: verdict }) => {
      const keys = trustedKeys.map((id) => publicKey(vectors?.keys[id]?.publicKeyHex ?? ''));
      const code = codeOf(() => verifyThreshold(parseEnvelope(envelope, name), keys, threshold));
      // The ids in these envelopes are not thumbprints, so a bad signature names no trusted key.
      const expected =
        name in REFUSALS ? REFUSALS[name] : verdict === 'valid' ? undefined : 'SIGNATURE_UNTRUSTED';
      expect(code).toBe(expected);
      if (verdict !== 'either') expect(code === undefined).toBe(verdict === 'valid');
    },
  );

  it.each(vectors?.hmac ?? [])('HMAC $name', ({ keyHex, envelope }) => {
    const bytes = Buffer.from(keyHex, 'hex');
    const keyOf = (k: Buffer) =>
      parseVerificationKey({ kty: 'oct', alg: 'HS256', k: k.toString('base64url') }, 'key');
    const parsed = parseEnvelope(envelope, 'x');
    expect(verifyThreshold(parsed, [keyOf(bytes)], 1)).toHaveLength(1);
    bytes[0] = (bytes[0] as number) ^ 1;
    expect(verifiedKeys(parsed, [keyOf(bytes)])).toEqual([]);
  });
});

interface MacGroup {
  keySize: number;
  tagSize: number;
  tests: { tcId: number; key: string; msg: string; tag: string; result: 'valid' | 'invalid' }[];
}

describe('HMAC-SHA256', () => {
  const hex = (text: string) => Buffer.from(text, 'hex');

  it('is that of RFC 4231 section 4.2', () => {
    const mac = 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7';
    expect(verifyHmacSha256(Buffer.alloc(20, 0x0b), Buffer.from('Hi There'), hex(mac))).toBe(true);
  });

  it.skipIf(!haveVectors)('gives every verdict of Wycheproof, and refuses each truncated tag', () => {
    const { testGroups } = vectorJson<{ testGroups: MacGroup[] }>('wycheproof/hmac_sha256_test.json');
    const rows = testGroups.flatMap(({ tagSize, tests }) => tests.map((test) => ({ ...test, tagSize })));
    const wrong = rows.filter(({ key, msg, tag, result, tagSize }) => {
      const expected = result === 'valid' && tagSize === 256;
      return verifyHmacSha256(hex(key), hex(msg), hex(tag)) !== expected;
    });
    expect(rows).toHaveLength(174);
    expect(wrong.map(({ tcId }) => tcId)).toEqual([]);
  });
});
