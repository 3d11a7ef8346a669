import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { isAxError } from '../../src/errors.ts';
import { isPrivatePem, parseOpensshPrivateKey } from '../../src/security/openssh-key.ts';
import { generateEd25519, parseSigningKey } from '../../src/security/signing-keys.ts';
import { encodeSshPublicKey, parseSshPublicKey } from '../../src/security/ssh-public-key.ts';
import { sshString, sshUint32 } from '../../src/security/ssh-wire.ts';
import { HAS_SSH, makeKey } from '../support/ssh.ts';

const parse = (text: string) => parseOpensshPrivateKey(text, 'id');

/** What is wrong with it, or undefined. */
function problemOf(text: string): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    if (!isAxError(error, 'KEY_MALFORMED')) throw error;
    return error.message;
  }
}

interface Parts {
  readonly seed: Uint8Array;
  readonly comment: string;
  readonly change?: Partial<Record<'magic' | 'cipher' | 'kdf' | 'type', string>>;
  readonly options?: Uint8Array;
  readonly count?: number;
  readonly checks?: readonly [number, number];
  readonly outer?: Uint8Array;
  readonly inner?: Uint8Array;
  readonly half?: Uint8Array;
  readonly padding?: Uint8Array;
  readonly trailing?: Uint8Array;
}

/** PROTOCOL.key, written out once more: a file with every part as it should be, or as a test wants it. */
function fileOf(parts: Parts): string {
  const { seed, comment, change = {}, options = Buffer.alloc(0), count = 1, checks = [7, 7] } = parts;
  const raw = Buffer.from(generateEd25519(() => Uint8Array.from(seed)).x, 'base64url');
  const { outer = raw, inner = raw, half = raw, trailing = Buffer.alloc(0) } = parts;
  const list = Buffer.concat([
    sshUint32(checks[0]),
    sshUint32(checks[1]),
    sshString(change.type ?? 'ssh-ed25519'),
    sshString(inner),
    sshString(Buffer.concat([seed, half])),
    sshString(comment),
  ]);
  const padding = parts.padding ?? Buffer.of(1, 2, 3, 4, 5, 6, 7).subarray(0, (8 - (list.length % 8)) % 8);
  const bytes = Buffer.concat([
    Buffer.from(change.magic ?? 'openssh-key-v1\0'),
    sshString(change.cipher ?? 'none'),
    sshString(change.kdf ?? 'none'),
    sshString(options),
    sshUint32(count),
    sshString(encodeSshPublicKey(outer)),
    sshString(Buffer.concat([list, padding])),
    trailing,
  ]);
  return pem(bytes.toString('base64').replace(/.{70}/g, '$&\n'));
}

function pem(body: string, label = 'OPENSSH PRIVATE KEY'): string {
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}

const SEED = randomBytes(32);
const OTHER = Buffer.from(generateEd25519(randomBytes).x, 'base64url');
const GOOD: Parts = { seed: SEED, comment: 'me@host' };

test('a key comes back as it went in, whatever its comment', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.string({ maxLength: 40 }),
      (seed, comment) => {
        expect(parse(fileOf({ seed, comment }))).toEqual(generateEd25519(() => seed));
      },
    ),
    { numRuns: 100 },
  );
});

describe('refused is', () => {
  it.each<[string, Partial<Parts>, string]>([
    ['another format', { change: { magic: 'openssh-key-v2\0' } }, 'expected the format openssh-key-v1'],
    ['a key of another algorithm', { change: { type: 'ssh-rsa' } }, 'found ssh-rsa'],
    ['a cipher without a key derivation', { change: { cipher: 'aes256-ctr' } }, 'expected none of both'],
    ['options of no key derivation', { options: Buffer.of(1) }, 'expected none of both'],
    ['no key', { count: 0 }, 'expected one key, found 0'],
    ['several keys', { count: 2 }, 'expected one key, found 2'],
    ['two check numbers', { checks: [7, 8] }, 'expected the same number twice'],
    ['another public key outside', { outer: OTHER }, 'expected one public key in all three places'],
    ['another public key inside', { inner: OTHER }, 'expected one public key in all three places'],
    ['another public key in the pair', { half: OTHER }, 'expected one public key in all three places'],
    [
      'a private part of another key',
      { outer: OTHER, inner: OTHER, half: OTHER },
      'found that of another key',
    ],
    [
      'a pair that is too long',
      { half: Buffer.concat([OTHER, Buffer.of(0)]) },
      'expected 64 bytes, found 65',
    ],
    [
      'padding of other bytes',
      { comment: '', padding: Buffer.of(1, 2, 3, 4, 0) },
      'padding: expected the bytes',
    ],
    [
      'a block of padding too many',
      { comment: 'abcde', padding: Buffer.of(1, 2, 3, 4, 5, 6, 7, 8) },
      'padding',
    ],
    ['no padding where there should be some', { comment: 'a', padding: Buffer.alloc(0) }, 'a multiple of 8'],
    ['bytes after the end', { trailing: Buffer.of(0) }, 'found 1 more bytes'],
  ])('%s', (_, change, message) => {
    expect(problemOf(fileOf(GOOD))).toBeUndefined();
    expect(problemOf(fileOf({ ...GOOD, ...change }))).toContain(message);
  });

  it('a key under a passphrase, with the way through the agent', () => {
    const sealed = fileOf({
      ...GOOD,
      change: { cipher: 'aes256-ctr', kdf: 'bcrypt' },
      options: Buffer.of(1),
    });
    expect(() => parse(sealed)).toThrow(
      expect.objectContaining({
        code: 'KEY_MALFORMED',
        message: 'id: expected a key without a passphrase, found one that has one',
        hint: 'let ssh-agent sign with it: ssh-add id, then ax keys import id.pub',
      }),
    );
  });

  it('text around it, two in one file, other alphabets, and what it is not', () => {
    const good = fileOf(GOOD);
    for (const text of [
      `x${good}`,
      `${good}x`,
      `${good}${good}`,
      `\n${good}`,
      `${good}\n\n`,
      good.slice(0, -20),
    ]) {
      expect(problemOf(text), text.slice(0, 40)).toBeDefined();
    }
    expect(problemOf(good.replaceAll('\n', '\r\n'))).toBeUndefined();
    expect(problemOf(good.replaceAll('A', '-'))).toBeDefined();
    expect(problemOf(pem('', 'RSA PRIVATE KEY'))).toBe(
      'id: expected an OPENSSH PRIVATE KEY, found RSA PRIVATE KEY',
    );
    for (const label of ['RSA PRIVATE KEY', 'PRIVATE KEY', 'ENCRYPTED PRIVATE KEY', 'EC PRIVATE KEY']) {
      expect(isPrivatePem(pem('', label)), label).toBe(true);
      expect(problemOf(pem('AAAA', label))).toContain(label);
    }
    expect(isPrivatePem(pem('', 'CERTIFICATE'))).toBe(false);
  });

  it('without a word of the private part in what is said', () => {
    const secret = Buffer.from(SEED).toString('base64url').slice(0, 12);
    const message = problemOf(fileOf({ ...GOOD, outer: OTHER, inner: OTHER, half: OTHER })) ?? '';
    expect(message).not.toContain(secret);
  });
});

describe.skipIf(!HAS_SSH)('a file that ssh-keygen made', () => {
  it('is the key of its public file, and signs for it', () => {
    for (const comment of ['', 'x', 'me@host', 'a comment with spaces']) {
      const { privateText, publicText } = makeKey(undefined, { comment });
      const jwk = parse(privateText);
      expect(jwk.kid).toBe(parseSshPublicKey(publicText, 'pub').kid);
      expect(parseSigningKey(jwk, 'key').kid).toBe(jwk.kid);
    }
  });

  it('is refused cut anywhere, and with any byte changed is refused or the same key', () => {
    const { privateText } = makeKey();
    const { kid, d } = parse(privateText);
    const bytes = Buffer.from(privateText, 'latin1');
    // Without its last line feed it is whole.
    for (let length = 0; length < bytes.length - 1; length++) {
      expect(problemOf(bytes.toString('latin1', 0, length)), `${length}`).toBeDefined();
    }
    let survived = 0;
    for (let index = 0; index < bytes.length; index++) {
      for (const mask of [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff]) {
        const changed = Buffer.from(bytes);
        changed[index] = (changed[index] ?? 0) ^ mask;
        const text = changed.toString('latin1');
        if (problemOf(text) !== undefined) continue;
        expect(parse(text)).toMatchObject({ kid, d });
        survived += 1;
      }
    }
    // The comment is all that may change, and it is a small part of the file.
    expect(survived).toBeLessThan(100);
  });

  it.each<[string, string[], string]>([
    ['RSA', ['rsa', '-b', '2048'], 'found ssh-rsa'],
    ['ECDSA', ['ecdsa'], 'found ecdsa-sha2-nistp256'],
  ])('with %s is refused by name', (_, type, message) => {
    expect(problemOf(makeKey(undefined, { type }).privateText)).toContain(message);
  });

  it('under a passphrase is refused', () => {
    const { privateText } = makeKey(undefined, { passphrase: 'correct horse' });
    expect(problemOf(privateText)).toContain('expected a key without a passphrase');
  });
});
