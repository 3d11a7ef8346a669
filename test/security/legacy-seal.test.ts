import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isLegacySeal,
  openLegacySeal,
  parseLegacyKey,
  parseLegacySeal,
} from '../../src/security/legacy-seal.ts';
import { codeOf } from '../support/code-of.ts';

const KEY = Buffer.from(Array.from({ length: 32 }, (_, index) => index));

/** What the older store wrote, by node:crypto alone. */
function sealed(plaintext: string, key = KEY) {
  const iv = Buffer.alloc(12, 7);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const [ivText, text, tag] = [iv, ciphertext, cipher.getAuthTag()].map((part) =>
    part.toString('base64'),
  ) as [string, string, string];
  return {
    version: 1,
    encrypted: { version: 1, algorithm: 'aes-256-gcm', iv: ivText, ciphertext: text, authTag: tag },
  };
}

/** The plaintext, or null when the file is refused in whatever way. */
function opened(value: unknown, keys: readonly Buffer[] = [KEY]): string | null {
  if (!isLegacySeal(value)) return null;
  const seal = parseLegacySeal(value);
  return typeof seal === 'string' ? null : (openLegacySeal(seal, keys)?.toString() ?? null);
}

describe('the key of an older store', () => {
  it('is base64, padded or not, in either alphabet, and of a longer one the first 32 bytes', () => {
    const long = Buffer.concat([KEY, Buffer.from('sixteen bytes more')]);
    for (const text of [
      KEY.toString('base64'),
      KEY.toString('base64url'),
      long.toString('base64'),
      KEY.toString('base64').replace('=', ''),
    ]) {
      expect(parseLegacyKey(text, 'key')).toEqual([KEY]);
    }
  });

  it('may, in 64 digits of hex, be two: what they say in base64, which that store used, and in hex', () => {
    const hex = KEY.toString('hex');
    expect(parseLegacyKey(hex, 'key')).toEqual([Buffer.from(hex, 'base64').subarray(0, 32), KEY]);
  });

  it.each(['', 'short', KEY.subarray(1).toString('base64'), `${KEY.toString('hex')}!`, 'a b'.repeat(40)])(
    'is refused, and not shown, when it is something else: %j',
    (text) => {
      expect(codeOf(() => parseLegacyKey(text, 'key'))).toBe('KEY_MALFORMED');
      if (text === '') return;
      expect(() => parseLegacyKey(text, 'key')).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining(text) }),
      );
    },
  );
});

describe('a sealed file of an older store', () => {
  it('opens with its key among others, and with no other', () => {
    expect(opened(sealed('text'), [Buffer.alloc(32), KEY])).toBe('text');
    expect(opened(sealed('text'), [Buffer.alloc(32)])).toBeNull();
    expect(opened(sealed('text'), [])).toBeNull();
  });

  it('is refused with a tag of any other length than 16 bytes, which its own reader took', () => {
    const whole = sealed('text');
    const tag = Buffer.from(whole.encrypted.authTag, 'base64');
    for (let length = 0; length <= 32; length++) {
      const authTag = Buffer.concat([tag, Buffer.alloc(16)])
        .subarray(0, length)
        .toString('base64');
      const value = { ...whole, encrypted: { ...whole.encrypted, authTag } };
      expect(opened(value)).toBe(length === 16 ? 'text' : null);
    }
  });

  it('is refused with any bit of its bytes changed', () => {
    const whole = sealed('text');
    for (const name of ['iv', 'ciphertext', 'authTag'] as const) {
      const bytes = Buffer.from(whole.encrypted[name], 'base64');
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const encrypted = { ...whole.encrypted, [name]: changed.toString('base64') };
        expect(opened({ ...whole, encrypted })).toBeNull();
      }
    }
  });

  it('is refused with any member changed, missing or added, which no tag covers', () => {
    const whole = sealed('text');
    const member = fc.constantFrom('version', 'algorithm', 'iv', 'ciphertext', 'authTag', 'extra');
    fc.assert(
      fc.property(member, fc.jsonValue(), fc.boolean(), (name, value, outside) => {
        const inner = whole.encrypted as Record<string, unknown>;
        const changed = outside
          ? { ...whole, [name]: value }
          : { ...whole, encrypted: { ...inner, [name]: value } };
        fc.pre(JSON.stringify(changed) !== JSON.stringify(whole));
        expect(opened(changed)).toBeNull();
      }),
    );
    for (const name of Object.keys(whole.encrypted)) {
      expect(opened({ ...whole, encrypted: { ...whole.encrypted, [name]: undefined } })).toBeNull();
    }
    expect(opened({ encrypted: whole.encrypted })).toBeNull();
  });

  it('is refused in another spelling of its base64', () => {
    const whole = sealed('\u00fb\u00ff\u00fe'.repeat(9));
    const { ciphertext, iv } = whole.encrypted;
    for (const encrypted of [
      { ...whole.encrypted, ciphertext: Buffer.from(ciphertext, 'base64').toString('base64url') },
      { ...whole.encrypted, ciphertext: `${ciphertext}\n` },
      { ...whole.encrypted, iv: `${iv}=` },
    ]) {
      expect(opened({ ...whole, encrypted })).toBeNull();
    }
  });
});
