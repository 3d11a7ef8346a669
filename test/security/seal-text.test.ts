import { createDecipheriv, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeBase64url } from '../../src/security/base64.ts';
import { deriveTextKey, openText, sealText } from '../../src/security/seal-text.ts';
import { generateEd25519, generateHmacKey, parseSigningKey } from '../../src/security/signing-keys.ts';
import { codeOf } from '../support/code-of.ts';
import { seededRandom } from '../support/seeded-random.ts';

const randomBytes = seededRandom('seal-text');
const jwk = generateEd25519(randomBytes);
const host = parseSigningKey(jwk, 'host');
const key = deriveTextKey(host, 'ax.test/1');
const TEXT = 'Deploy the site: straße, 東京, 🚀';
const seal = (text = TEXT, aad = 'run 1') => sealText(key, { text, aad, randomBytes });

describe('the derived key', () => {
  it('is HKDF-SHA256 (RFC 5869) of the private part, without a salt, for the label', () => {
    const hmac = (secret: Uint8Array, message: Uint8Array) =>
      createHmac('sha256', secret).update(message).digest();
    const seed = decodeBase64url(jwk.d) ?? Buffer.alloc(0);
    expect(seed).toHaveLength(32);
    const expected = hmac(hmac(Buffer.alloc(32), seed), Buffer.from('ax.test/1\u0001'));
    expect(key).toEqual({ kid: jwk.kid, key: expected });
  });

  it('is another for another label, and for another host', () => {
    const other = parseSigningKey(generateEd25519(randomBytes), 'other');
    const keys = [key, deriveTextKey(host, 'ax.test/2'), deriveTextKey(other, 'ax.test/1')];
    expect(new Set(keys.map((each) => each.key.toString('hex'))).size).toBe(3);
  });

  it('is not made of a shared secret', () => {
    const shared = parseSigningKey(generateHmacKey(randomBytes), 'shared');
    expect(codeOf(() => deriveTextKey(shared, 'ax.test/1'))).toBe('INTERNAL');
  });
});

describe('a sealed text', () => {
  it.each(['', 'a', TEXT, 'x'.repeat(10_000)])('opens again', (text) => {
    expect(openText(key, { sealed: seal(text), aad: 'run 1' })).toBe(text);
  });

  it('is nonce, ciphertext and tag of AES-256-GCM', () => {
    const sealed = seal();
    const decipher = createDecipheriv('aes-256-gcm', key.key, sealed.subarray(0, 12), { authTagLength: 16 });
    decipher.setAAD(Buffer.from('run 1')).setAuthTag(sealed.subarray(-16));
    expect(decipher.update(sealed.subarray(12, -16), undefined, 'utf8') + decipher.final('utf8')).toBe(TEXT);
  });

  it('is another every time', () => {
    expect(seal()).not.toEqual(seal());
  });

  it('does not open with any bit changed', () => {
    const sealed = seal();
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(openText(key, { sealed: changed, aad: 'run 1' }), `bit ${bit}`).toBeUndefined();
    }
  });

  it('does not open cut, longer, for something else, or with another key', () => {
    const sealed = seal();
    for (let length = 0; length < sealed.length; length++) {
      expect(openText(key, { sealed: sealed.subarray(0, length), aad: 'run 1' })).toBeUndefined();
    }
    expect(openText(key, { sealed: Buffer.concat([sealed, Buffer.alloc(1)]), aad: 'run 1' })).toBeUndefined();
    expect(openText(key, { sealed, aad: 'run 2' })).toBeUndefined();
    expect(openText(deriveTextKey(host, 'ax.test/2'), { sealed, aad: 'run 1' })).toBeUndefined();
  });
});
