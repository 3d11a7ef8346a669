import { createPrivateKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { FIELD_PRIME, littleEndian, privateKeyObject, rawPublicKey } from '../../src/security/curve25519.ts';
import { importEd25519, signEd25519, verifyEd25519, verifyEd25519Aside } from '../../src/security/ed25519.ts';
import { haveVectors, vectorJson } from '../support/vectors.ts';

const hex = (text: string) => Buffer.from(text, 'hex');

/** The whole rule from bare bytes: a key that is refused verifies nothing. */
function accepts(key: Buffer, message: Buffer, signature: Buffer): boolean {
  const publicKey = importEd25519(key);
  return publicKey !== undefined && verifyEd25519(publicKey, message, signature);
}

/** The same, aside. */
async function acceptsAside(key: Buffer, message: Buffer, signature: Buffer): Promise<boolean> {
  const publicKey = importEd25519(key);
  return publicKey !== undefined && (await verifyEd25519Aside(publicKey, message, signature));
}

function encode(y: bigint, sign: 0n | 1n = 0n): Buffer {
  return hex((y | (sign << 255n)).toString(16).padStart(64, '0')).reverse();
}

// RFC 8032 section 7.1, TEST 1 to 3: secret key, public key, message, signature.
const RFC8032 = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
].map(([seed = '', key = '', message = '', signature = '']) => ({
  seed: hex(seed),
  key: hex(key),
  message: hex(message),
  signature: hex(signature),
}));

describe('RFC 8032 section 7.1', () => {
  it.each(RFC8032)('derives, signs and verifies %#', ({ seed, key, message, signature }) => {
    const privateKey = privateKeyObject('Ed25519', seed);
    expect(rawPublicKey(privateKey)).toEqual(key);
    expect(signEd25519(privateKey, message)).toEqual(signature);
    expect(accepts(key, message, signature)).toBe(true);
  });

  it('refuses every single flipped bit of a signature, key and message', () => {
    const { key, message, signature } = RFC8032[2] as (typeof RFC8032)[number];
    const flips = (bytes: Buffer) =>
      Array.from({ length: bytes.length * 8 }, (_, bit) => {
        const copy = Buffer.from(bytes);
        copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
        return copy;
      });
    expect(flips(signature).filter((bad) => accepts(key, message, bad))).toEqual([]);
    expect(flips(key).filter((bad) => accepts(bad, message, signature))).toEqual([]);
    expect(flips(message).filter((bad) => accepts(key, bad, signature))).toEqual([]);
  });

  it('comes to the same aside, for every flipped bit of a signature and for every length', async () => {
    const { key, message, signature } = RFC8032[2] as (typeof RFC8032)[number];
    const longer = Buffer.concat([signature, Buffer.alloc(66)]);
    const lengths = Array.from({ length: 130 }, (_, n) => longer.subarray(0, n));
    const flipped = Array.from({ length: 512 }, (_, bit) => {
      const copy = Buffer.from(signature);
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
      return copy;
    });
    const all = [...lengths, ...flipped];
    const aside = await Promise.all(all.map((one) => acceptsAside(key, message, one)));
    expect(aside).toEqual(all.map((one) => accepts(key, message, one)));
    expect(aside.filter(Boolean)).toHaveLength(1);
  });

  it('refuses S + L, the other half of a malleable signature', () => {
    const { key, message, signature } = RFC8032[0] as (typeof RFC8032)[number];
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const s = littleEndian(signature.subarray(32));
    expect(accepts(key, message, Buffer.concat([signature.subarray(0, 32), encode(s + order)]))).toBe(false);
  });

  it('refuses a signature of any length but 64', () => {
    const { key, message, signature } = RFC8032[0] as (typeof RFC8032)[number];
    const lengths = Array.from({ length: 130 }, (_, n) => n).filter((n) =>
      accepts(key, message, Buffer.concat([signature, Buffer.alloc(66)]).subarray(0, n)),
    );
    expect(lengths).toEqual([64]);
  });
});

describe('keys', () => {
  it('knows all small orders: doubling each y three times gives the identity', () => {
    const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
    const p = FIELD_PRIME;
    const mod = (n: bigint) => ((n % p) + p) % p;
    const invert = (n: bigint) => {
      let result = 1n;
      for (let e = p - 2n, base = mod(n); e > 0n; e >>= 1n, base = mod(base * base)) {
        if (e & 1n) result = mod(result * base);
      }
      return result;
    };
    const double = (y: bigint) => {
      const yy = mod(y * y);
      const xx = mod((yy - 1n) * invert(d * yy + 1n));
      return mod((yy + xx) * invert(1n - d * xx * yy));
    };
    const order8 = ['26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'];
    order8.push('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a');
    for (const y of [0n, 1n, p - 1n, ...order8.map((text) => littleEndian(hex(text)))]) {
      expect(double(double(double(y)))).toBe(1n);
      expect(importEd25519(encode(y, 0n))).toBeUndefined();
      expect(importEd25519(encode(y, 1n))).toBeUndefined();
    }
  });

  it('refuses y >= p, in all nineteen spellings and with either sign', () => {
    const spellings = Array.from({ length: 19 }, (_, n) => FIELD_PRIME + BigInt(n));
    const all = spellings.flatMap((y) => [encode(y, 0n), encode(y, 1n)]);
    expect(all.filter((raw) => importEd25519(raw) !== undefined)).toEqual([]);
  });

  it('refuses bytes that are no point: of y = 2 to 9, three belong to none', () => {
    const points = [2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n].filter((y) => importEd25519(encode(y)) !== undefined);
    expect(points).toEqual([3n, 4n, 5n, 6n, 9n]);
  });

  it('refuses any length but 32', () => {
    const { key } = RFC8032[0] as (typeof RFC8032)[number];
    expect(importEd25519(key.subarray(1))).toBeUndefined();
    expect(importEd25519(Buffer.concat([key, Buffer.alloc(1)]))).toBeUndefined();
    expect(importEd25519(Buffer.alloc(0))).toBeUndefined();
  });

  it('keeps its own copy of the bytes', () => {
    const raw = Buffer.from(RFC8032[0]?.key ?? '');
    const key = importEd25519(raw);
    raw.fill(0);
    expect(key?.raw).toEqual(RFC8032[0]?.key);
  });

  it('makes a private key that other tools read', () => {
    const { seed, key } = RFC8032[0] as (typeof RFC8032)[number];
    const pem = privateKeyObject('Ed25519', seed).export({ format: 'pem', type: 'pkcs8' });
    expect(rawPublicKey(createPrivateKey(pem))).toEqual(key);
  });
});

interface EdgeCase {
  number: number;
  key: string;
  sig: string;
  msg: string;
  flags: string[] | null;
}

// C2SP/CCTV ed25519vectors: 914 signatures on which verifiers disagree.
describe.skipIf(!haveVectors)('C2SP/CCTV ed25519vectors', () => {
  const cases = haveVectors ? vectorJson<EdgeCase[]>('ed25519-edge-cases.json') : [];
  const has = (row: EdgeCase, ...flags: string[]) => flags.some((flag) => row.flags?.includes(flag));

  it('accepts exactly what the written rule allows: 43 of 914', () => {
    const allowed = cases.filter(
      (row) =>
        !has(row, 'low_order_A', 'low_order_R', 'non_canonical_A', 'non_canonical_R', 'low_order_residue'),
    );
    const accepted = cases.filter((row) => accepts(hex(row.key), Buffer.from(row.msg), hex(row.sig)));
    expect(cases).toHaveLength(914);
    expect(accepted).toHaveLength(43);
    expect(accepted.map(({ number }) => number)).toEqual(allowed.map(({ number }) => number));
  });

  it('comes to the same aside', async () => {
    const aside = await Promise.all(
      cases.map((row) => acceptsAside(hex(row.key), Buffer.from(row.msg), hex(row.sig))),
    );
    expect(aside).toEqual(cases.map((row) => accepts(hex(row.key), Buffer.from(row.msg), hex(row.sig))));
    expect(aside.filter(Boolean)).toHaveLength(43);
  });

  it('refuses a key when it is imported exactly when A is of small order or not canonical', () => {
    const refused = cases.filter((row) => importEd25519(hex(row.key)) === undefined);
    const expected = cases.filter((row) => has(row, 'low_order_A', 'non_canonical_A'));
    expect(refused.length).toBeGreaterThan(500);
    expect(refused.map(({ number }) => number)).toEqual(expected.map(({ number }) => number));
  });
});

interface EddsaGroup {
  publicKey: { pk: string };
  tests: { tcId: number; msg: string; sig: string; result: 'valid' | 'invalid' }[];
}

describe.skipIf(!haveVectors)('Wycheproof ed25519_test', () => {
  it('gives every one of 151 verdicts', () => {
    const { testGroups } = vectorJson<{ testGroups: EddsaGroup[] }>('wycheproof/ed25519_test.json');
    const rows = testGroups.flatMap(({ publicKey, tests }) =>
      tests.map((test) => ({ ...test, pk: publicKey.pk })),
    );
    const wrong = rows.filter(
      ({ pk, msg, sig, result }) => accepts(hex(pk), hex(msg), hex(sig)) !== (result === 'valid'),
    );
    expect(rows).toHaveLength(151);
    expect(wrong.map(({ tcId }) => tcId)).toEqual([]);
  });
});
