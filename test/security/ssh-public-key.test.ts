import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { generateEd25519, parseSigningKey, parseVerificationKey } from '../../src/security/signing-keys.ts';
import {
  encodeSshPublicKey,
  isSshPublicKeyText,
  parseSshPublicKey,
  sshFingerprint,
} from '../../src/security/ssh-public-key.ts';
import { sshString } from '../../src/security/ssh-wire.ts';
import { codeOf } from '../support/code-of.ts';
import { HAS_SSH, makeKey } from '../support/ssh.ts';

const JWK = generateEd25519(randomBytes);
const RAW = Buffer.from(JWK.x, 'base64url');
const BLOB = encodeSshPublicKey(RAW);

const lineOf = (blob: Uint8Array, type = 'ssh-ed25519') => `${type} ${Buffer.from(blob).toString('base64')}`;
const parse = (text: string) => parseSshPublicKey(text, 'key.pub');

test('a public key has the kid of the same key as a JWK, with or without comment and line end', () => {
  for (const rest of ['', '\n', '\r\n', ' me@host', '\tme  at home\n', ' caf\u00c3\u00a9\n']) {
    expect(parse(`${lineOf(BLOB)}${rest}`).kid, rest).toBe(JWK.kid);
  }
});

test('any key that is allowed comes back as it went in', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
      const jwk = generateEd25519(() => seed);
      const key = parse(lineOf(encodeSshPublicKey(Buffer.from(jwk.x, 'base64url'))));
      expect(key.kid).toBe(jwk.kid);
      expect(key.publicKey.raw.toString('base64url')).toBe(jwk.x);
    }),
    { numRuns: 50 },
  );
});

describe('refused is', () => {
  it('every other algorithm, by its name and with what to do', () => {
    const cases: [string, RegExp][] = [
      ['ssh-rsa', /ssh-keygen -t ed25519/],
      ['ssh-dss', /ssh-keygen -t ed25519/],
      ['ecdsa-sha2-nistp256', /ssh-keygen -t ed25519/],
      ['sk-ssh-ed25519@openssh.com', /a security key/],
      ['sk-ecdsa-sha2-nistp256@openssh.com', /a security key/],
      ['ssh-ed25519-cert-v01@openssh.com', /a certificate/],
      ['sk-ssh-ed25519-cert-v01@openssh.com', /a certificate/],
    ];
    for (const [type, hint] of cases) {
      // By what the line says, and by what the blob says under another name.
      const blob = Buffer.concat([sshString(type), sshString(RAW)]);
      for (const line of [lineOf(blob, type), lineOf(blob)]) {
        expect(() => parse(line)).toThrow(
          expect.objectContaining({
            code: 'KEY_MALFORMED',
            message: `key.pub: expected an ssh-ed25519 key, found ${type}`,
            hint: expect.stringMatching(hint),
          }),
        );
      }
      expect(isSshPublicKeyText(lineOf(blob, type))).toBe(true);
    }
  });

  it('more than one line', () => {
    for (const text of [`${lineOf(BLOB)}\n${lineOf(BLOB)}\n`, `${lineOf(BLOB)}\n\n`, `\n${lineOf(BLOB)}`]) {
      expect(codeOf(() => parse(text))).toBe('KEY_MALFORMED');
    }
    expect(codeOf(() => parse(`${lineOf(BLOB)} ${'x'.repeat(9000)}`))).toBe('KEY_MALFORMED');
  });

  it('base64 that is not strict', () => {
    const base64 = BLOB.toString('base64');
    const respelled = [
      '',
      base64.slice(0, -1),
      `${base64}=`,
      `${base64}AAAA`,
      `${base64.slice(0, 8)}*${base64.slice(9)}`,
      `"${base64}"`,
    ];
    for (const text of respelled)
      expect(
        codeOf(() => parse(`ssh-ed25519 ${text}`)),
        text,
      ).toBe('KEY_MALFORMED');
    const urlSafe = encodeSshPublicKey(Buffer.from(urlUnsafeKey(), 'base64url')).toString('base64url');
    expect(urlSafe).toMatch(/[-_]/);
    expect(codeOf(() => parse(`ssh-ed25519 ${urlSafe}=`))).toBe('KEY_MALFORMED');
  });

  it('a blob that was cut, lengthened, or has a key of another length', () => {
    for (let length = 0; length < BLOB.length; length++) {
      expect(
        codeOf(() => parse(lineOf(BLOB.subarray(0, length)))),
        `${length}`,
      ).toBe('KEY_MALFORMED');
    }
    expect(codeOf(() => parse(lineOf(Buffer.concat([BLOB, Buffer.of(0)]))))).toBe('KEY_MALFORMED');
    for (const length of [0, 31, 33, 64]) {
      expect(codeOf(() => parse(lineOf(encodeSshPublicKey(Buffer.alloc(length, 1)))))).toBe('KEY_MALFORMED');
    }
  });

  it('a point of small order', () => {
    expect(codeOf(() => parse(lineOf(encodeSshPublicKey(Buffer.alloc(32)))))).toBe('KEY_MALFORMED');
  });

  it('nothing that a JWK is', () => {
    expect(isSshPublicKeyText(JSON.stringify(JWK))).toBe(false);
    expect(isSshPublicKeyText('')).toBe(false);
  });
});

/** A public key whose blob has a character that differs between the alphabets. */
function urlUnsafeKey(): string {
  for (;;) {
    const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
    if (x !== undefined && /[-_]/.test(encodeSshPublicKey(Buffer.from(x, 'base64url')).toString('base64url')))
      return x;
  }
}

describe.skipIf(!HAS_SSH)('with ssh-keygen', () => {
  it('a key that it made is read, and has the fingerprint that it gives', () => {
    const { file, publicText } = makeKey();
    const key = parse(publicText);
    expect(
      parseVerificationKey({ kty: 'OKP', crv: 'Ed25519', x: key.publicKey.raw.toString('base64url') }, 'k')
        .kid,
    ).toBe(key.kid);
    const [, fingerprint] = execFileSync('ssh-keygen', ['-lf', file], { encoding: 'utf8' }).split(' ');
    expect(sshFingerprint(key.publicKey.raw)).toBe(fingerprint);
  });

  it('it reads what we write', () => {
    const key = parseSigningKey(JWK, 'key');
    if (key.algorithm !== 'Ed25519') throw new Error(key.algorithm);
    const read = execFileSync('ssh-keygen', ['-lf', '-'], { input: lineOf(BLOB), encoding: 'utf8' });
    expect(read.split(' ')[1]).toBe(sshFingerprint(key.publicKey.raw));
  });
});
