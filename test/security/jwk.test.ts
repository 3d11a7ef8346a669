import { createPrivateKey, createPublicKey } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect, it } from 'vitest';
import { FIELD_PRIME } from '../../src/security/curve25519.ts';
import {
  generateReceiptKey,
  generateX25519,
  parseReceiptKey,
  parseX25519Identity,
  parseX25519Recipient,
  receiptKeyFromBytes,
} from '../../src/security/encryption-keys.ts';
import { publicJwk, thumbprint, withTypableKid } from '../../src/security/jwk.ts';
import {
  generateEd25519,
  generateHmacKey,
  parseSigningKey,
  parseVerificationKey,
  signMessage,
  verifySignature,
} from '../../src/security/signing-keys.ts';
import { agreeX25519 } from '../../src/security/x25519.ts';
import { codeOf } from '../support/code-of.ts';
import { seededRandom } from '../support/seeded-random.ts';

// RFC 8037 appendix A.1 to A.3.
const RFC8037 = {
  kty: 'OKP',
  crv: 'Ed25519',
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
} as const;
const RFC8037_THUMBPRINT = 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k';

const random = seededRandom('jwk');
const ed25519 = generateEd25519(random);
const hmac = generateHmacKey(random);
const receipt = generateReceiptKey(random);
const x25519 = generateX25519(random);

function without<T extends object>(jwk: T, member: keyof T): Partial<T> {
  const copy: Partial<T> = { ...jwk };
  delete copy[member];
  return copy;
}

function littleEndian(u: bigint): string {
  return Buffer.from(u.toString(16).padStart(64, '0'), 'hex').reverse().toString('base64url');
}

describe('thumbprint', () => {
  it('is that of RFC 8037 appendix A.3', () => {
    expect(thumbprint(RFC8037)).toBe(RFC8037_THUMBPRINT);
  });

  it('is what jose computes, for each kind of key', async () => {
    for (const jwk of [ed25519, hmac, receipt, x25519]) {
      expect(thumbprint(jwk)).toBe(await calculateJwkThumbprint(jwk));
      expect(jwk.kid).toBe(thumbprint(jwk));
    }
  });
});

describe('parseVerificationKey', () => {
  it('reads a public Ed25519 key and names it by its thumbprint', () => {
    const key = parseVerificationKey(without(RFC8037, 'd'), 'key');
    expect(key.algorithm).toBe('Ed25519');
    expect(key.kid).toBe(RFC8037_THUMBPRINT);
  });

  it('reads an HMAC secret of 32 to 128 bytes', () => {
    const verdicts = [0, 16, 31, 32, 64, 100, 128, 129, 1024].map((n) => {
      const k = Buffer.alloc(n, 7).toString('base64url');
      return codeOf(() => parseVerificationKey({ kty: 'oct', alg: 'HS256', k }, 'key')) ?? n;
    });
    const bad = 'KEY_MALFORMED';
    expect(verdicts).toEqual([bad, bad, bad, 32, 64, 100, 128, bad, bad]);
  });

  it('ignores members that it does not know, and takes the names of its algorithm', () => {
    for (const extra of [{ alg: 'EdDSA' }, { alg: 'Ed25519' }, { use: 'sig' }, { ext: true, key_ops: [] }]) {
      expect(parseVerificationKey({ ...publicOf(ed25519), ...extra }, 'key').kid).toBe(ed25519.kid);
    }
  });

  it('reads when a key expires; its name does not change by that', () => {
    const dated = parseVerificationKey(
      { ...publicOf(ed25519), iat: 1_700_000_000, exp: 1_800_000_000 },
      'key',
    );
    expect(dated).toMatchObject({ kid: ed25519.kid, expiresAt: 1_800_000_000_000 });
    expect(parseVerificationKey(publicOf(ed25519), 'key').expiresAt).toBeUndefined();
    expect(parseVerificationKey({ ...hmac, exp: 1 }, 'key').expiresAt).toBe(1000);
    expect(parseX25519Recipient({ ...publicOf(x25519), exp: 253_402_300_799 }, 'key').expiresAt).toBe(
      Date.parse('9999-12-31T23:59:59Z'),
    );
  });

  it.each([null, '1800000000', 1.5, -1, 253_402_300_800, true, [1_800_000_000]])(
    'refuses %j for a time, as iat and as exp: it does not mean that there is no end',
    (time) => {
      for (const member of ['iat', 'exp']) {
        expect(() => parseVerificationKey({ ...publicOf(ed25519), [member]: time }, 'key')).toThrow(
          expect.objectContaining({
            code: 'KEY_MALFORMED',
            message: expect.stringContaining(`key: ${member}: expected a time in whole seconds`),
          }),
        );
      }
    },
  );

  it.each([{ revoked_at: 1_700_000_000 }, {}, null, false])(
    'refuses a key that is marked revoked: %j',
    (revoked) => {
      expect(codeOf(() => parseVerificationKey({ ...publicOf(ed25519), revoked }, 'key'))).toBe(
        'KEY_REVOKED',
      );
      expect(codeOf(() => parseSigningKey({ ...ed25519, revoked }, 'key'))).toBe('KEY_REVOKED');
      expect(codeOf(() => parseX25519Recipient({ ...publicOf(x25519), revoked }, 'key'))).toBe('KEY_REVOKED');
      expect(codeOf(() => parseReceiptKey({ ...receipt, revoked }, 'key'))).toBe('KEY_REVOKED');
    },
  );

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['text', JSON.stringify(ed25519)],
    ['an array', [ed25519]],
    ['no kty', without(publicOf(ed25519), 'kty')],
    ['an EC key', { kty: 'EC', crv: 'P-256', x: ed25519.x, y: ed25519.x }],
    ['an RSA key', { kty: 'RSA', n: 'AQAB', e: 'AQAB' }],
    ['kty in another case', { ...publicOf(ed25519), kty: 'okp' }],
    ['another curve', { ...publicOf(ed25519), crv: 'Ed448' }],
    ['no curve', without(publicOf(ed25519), 'crv')],
    ['alg none', { ...publicOf(ed25519), alg: 'none' }],
    ['alg of the other kind', { ...publicOf(ed25519), alg: 'HS256' }],
    ['use for encryption', { ...publicOf(ed25519), use: 'enc' }],
    ['no x', without(publicOf(ed25519), 'x')],
    ['x as a number', { ...publicOf(ed25519), x: 7 }],
    ['x padded', { kty: 'OKP', crv: 'Ed25519', x: `${ed25519.x}=` }],
    ['x with white space', { kty: 'OKP', crv: 'Ed25519', x: `${ed25519.x}\n` }],
    ['x in the standard alphabet', { ...without(RFC8037, 'd'), x: RFC8037.x.replaceAll('_', '/') }],
    ['x with a bit after its end', { ...without(RFC8037, 'd'), x: RFC8037.x.replace(/o$/, 'p') }],
    ['x of 31 bytes', { kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(31, 3).toString('base64url') }],
    ['x of 33 bytes', { kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(33, 3).toString('base64url') }],
    ['x of small order', { kty: 'OKP', crv: 'Ed25519', x: littleEndian(1n) }],
    ['x not canonical', { kty: 'OKP', crv: 'Ed25519', x: littleEndian(FIELD_PRIME + 3n) }],
    ['x not on the curve', { kty: 'OKP', crv: 'Ed25519', x: littleEndian(2n) }],
    ['a kid that is not the thumbprint', { ...publicOf(ed25519), kid: RFC8037_THUMBPRINT }],
    ['an empty kid', { ...publicOf(ed25519), kid: '' }],
    ['a private key', ed25519],
    ['a secret without alg', without(hmac, 'alg')],
    ['a secret for another algorithm', { ...hmac, alg: 'HS512' }],
    ['a receipt key', receipt],
    ['an X25519 key', publicOf(x25519)],
  ])('refuses %s', (_, value) => {
    expect(codeOf(() => parseVerificationKey(value, 'key'))).toBe('KEY_MALFORMED');
  });

  it('says where, what was expected and what was found', () => {
    expect(() => parseVerificationKey({ ...hmac, alg: 'HS512' }, 'trust.json: keys[0]')).toThrow(
      'trust.json: keys[0]: alg: expected "HS256" or "A256KW", found "HS512"',
    );
  });
});

describe('parseSigningKey', () => {
  it('reads a private Ed25519 key, whose signature its public half verifies', () => {
    const key = parseSigningKey(ed25519, 'key');
    const message = Buffer.from('message');
    const signature = signMessage(key, message);
    expect(verifySignature(parseVerificationKey(publicOf(ed25519), 'key'), message, signature)).toBe(true);
    expect(verifySignature(key, Buffer.from('another'), signature)).toBe(false);
  });

  it('refuses a public key, and a d that belongs to another x', () => {
    const other = generateEd25519(random);
    expect(codeOf(() => parseSigningKey(publicOf(ed25519), 'key'))).toBe('KEY_MALFORMED');
    expect(codeOf(() => parseSigningKey({ ...ed25519, d: other.d }, 'key'))).toBe('KEY_MALFORMED');
    expect(codeOf(() => parseSigningKey({ ...ed25519, d: ed25519.d.slice(0, -2) }, 'key'))).toBe(
      'KEY_MALFORMED',
    );
    expect(codeOf(() => parseSigningKey({ ...ed25519, d: null }, 'key'))).toBe('KEY_MALFORMED');
  });

  it('never shows a part of a key in a refusal', () => {
    const attempts = [
      { ...ed25519, d: `${ed25519.d}=` },
      { ...hmac, k: `${hmac.k}=` },
      { ...hmac, alg: hmac.k },
    ];
    for (const attempt of attempts) {
      const secret = 'd' in attempt ? ed25519.d : hmac.k;
      expect(() => parseSigningKey(attempt, 'key')).toThrow(
        expect.objectContaining({ code: 'KEY_MALFORMED', message: expect.not.stringContaining(secret) }),
      );
    }
  });
});

describe('encryption keys', () => {
  it('reads a receipt key, as a JWK and as bytes, under one name', () => {
    const key = parseReceiptKey(receipt, 'key');
    expect(key.algorithm).toBe('A256KW');
    expect(key.key.toString('base64url')).toBe(receipt.k);
    expect(receiptKeyFromBytes(key.key)).toEqual(key);
  });

  it('neither cuts nor stretches a receipt key', () => {
    for (const n of [0, 16, 24, 31, 33, 48, 64]) {
      const k = Buffer.alloc(n, 1).toString('base64url');
      expect(codeOf(() => receiptKeyFromBytes(Buffer.alloc(n, 1)))).toBe('KEY_MALFORMED');
      expect(codeOf(() => parseReceiptKey({ kty: 'oct', alg: 'A256KW', k }, 'key'))).toBe('KEY_MALFORMED');
    }
  });

  it('refuses keys of another purpose', () => {
    for (const other of [hmac, ed25519, publicOf(ed25519), x25519, { ...receipt, use: 'sig' }]) {
      expect(codeOf(() => parseReceiptKey(other, 'key'))).toBe('KEY_MALFORMED');
    }
    for (const other of [hmac, receipt, ed25519, { ...x25519, alg: 'ECDH-ES' }]) {
      expect(codeOf(() => parseX25519Identity(other, 'key'))).toBe('KEY_MALFORMED');
    }
  });

  it('keeps the two halves of an X25519 key apart', () => {
    expect(parseX25519Recipient(publicOf(x25519), 'key').kid).toBe(x25519.kid);
    expect(parseX25519Identity(x25519, 'key').kid).toBe(x25519.kid);
    expect(codeOf(() => parseX25519Recipient(x25519, 'key'))).toBe('KEY_MALFORMED');
    expect(codeOf(() => parseX25519Identity(publicOf(x25519), 'key'))).toBe('KEY_MALFORMED');
    const other = generateX25519(random);
    expect(codeOf(() => parseX25519Identity({ ...x25519, d: other.d }, 'key'))).toBe('KEY_MALFORMED');
  });

  it('refuses to seal to a key that agrees on zero with everyone', () => {
    // The list of small orders at cr.yp.to/ecdh.html, canonical encodings first, then u >= p and top bits.
    const p = FIELD_PRIME;
    const order8 = [
      325606250916557431795983626356110631294008115727848805560023387167927233504n,
      39382357235489614581723060781553021112529911719440698176882885853963445705823n,
    ];
    const canonical = [0n, 1n, p - 1n, ...order8];
    const respelled = [p, p + 1n, p + 5n, ...[...canonical, 9n].map((u) => u + 2n ** 255n)];
    for (const u of [...canonical, ...respelled]) {
      const jwk = { kty: 'OKP', crv: 'X25519', x: littleEndian(u) };
      expect(codeOf(() => parseX25519Recipient(jwk, 'key'))).toBe('KEY_MALFORMED');
    }
    expect(parseX25519Recipient({ kty: 'OKP', crv: 'X25519', x: littleEndian(9n) }, 'key').kid).toHaveLength(
      43,
    );
  });

  it('agrees as in RFC 7748 section 6.1', () => {
    const text = (hex: string) => Buffer.from(hex, 'hex').toString('base64url');
    const okp = { kty: 'OKP', crv: 'X25519' };
    const alice = {
      d: text('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'),
      x: text('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'),
    };
    const bob = {
      d: text('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'),
      x: text('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'),
    };
    const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    for (const [one, other] of [[alice, bob] as const, [bob, alice] as const]) {
      const { privateKey } = parseX25519Identity({ ...okp, ...one }, 'one');
      const { publicKey } = parseX25519Recipient({ ...okp, x: other.x }, 'other');
      expect(agreeX25519(privateKey, publicKey).toString('hex')).toBe(shared);
    }
  });
});

describe('publicJwk', () => {
  it('holds the public members and nothing else', () => {
    expect(publicJwk(edSigningKey())).toEqual(publicOf(ed25519));
    expect(publicJwk(parseX25519Identity(x25519, 'key'))).toEqual(publicOf(x25519));
    expect(Object.keys(publicJwk(edSigningKey()))).toEqual(['kty', 'crv', 'x', 'kid']);
    expect(publicJwk({ ...edSigningKey(), expiresAt: 1_800_000_000_999 })).toEqual({
      ...publicOf(ed25519),
      exp: 1_800_000_000,
    });
  });
});

describe('generators', () => {
  it('use the randomness that they are handed and nothing else', () => {
    for (const generate of [generateEd25519, generateHmacKey, generateReceiptKey, generateX25519]) {
      expect(generate(seededRandom('same'))).toEqual(generate(seededRandom('same')));
      expect(generate(seededRandom('same')).kid).not.toBe(generate(seededRandom('other')).kid);
    }
  });

  it('refuse a source that answers with too little', () => {
    for (const generate of [generateEd25519, generateHmacKey, generateReceiptKey, generateX25519]) {
      expect(codeOf(() => generate((n) => new Uint8Array(n - 1)))).toBe('INTERNAL');
    }
  });

  it('make key pairs that node:crypto reads as JWKs', () => {
    for (const jwk of [ed25519, x25519]) {
      const pair = createPublicKey(createPrivateKey({ key: jwk, format: 'jwk' }));
      expect(pair.export({ format: 'jwk' })).toMatchObject({ x: jwk.x, crv: jwk.crv });
    }
  });
});

function publicOf<T extends { d: string }>(jwk: T): Omit<T, 'd'> {
  const { d: _, ...rest } = jwk;
  return rest;
}

function edSigningKey() {
  const key = parseSigningKey(ed25519, 'key');
  if (key.algorithm !== 'Ed25519') throw new Error('expected the Ed25519 key');
  return key;
}

it('of keys that are made here none has a kid that a command line would take for an option', () => {
  const randomBytes = seededRandom('typable');
  const kids: string[] = [];
  const made = Array.from({ length: 300 }, () =>
    withTypableKid(() => {
      const jwk = generateReceiptKey(randomBytes);
      kids.push(jwk.kid);
      return jwk;
    }),
  );
  // What the test is about has come up, and been passed over.
  expect(kids.some((kid) => kid.startsWith('-'))).toBe(true);
  expect(made.filter(({ kid }) => kid.startsWith('-'))).toEqual([]);
});
