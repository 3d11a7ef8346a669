import { describe, expect, it } from 'vitest';
import { equalBytes, sha256Hex } from '../../src/security/digest.ts';

describe('sha256Hex', () => {
  it('gives the digests of FIPS 180-2, appendix B, and of nothing', () => {
    expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(sha256Hex('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it('hashes a string as its UTF-8 bytes, and a view without the memory around it', () => {
    const bytes = Buffer.from('prüfsumme 😀', 'utf8');
    expect(sha256Hex('prüfsumme 😀')).toBe(sha256Hex(bytes));
    expect(sha256Hex(new Uint8Array([0, ...bytes, 0]).subarray(1, -1))).toBe(sha256Hex(bytes));
  });

  it('refuses a lone surrogate, which would share its digest with U+FFFD', () => {
    expect(() => sha256Hex('a\ud800')).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    expect(() => sha256Hex('a\ufffd')).not.toThrow();
  });
});

describe('equalBytes', () => {
  it('is true for the same bytes only', () => {
    expect(equalBytes(Buffer.from('abcd'), new Uint8Array([97, 98, 99, 100]))).toBe(true);
    expect(equalBytes(Buffer.from('abcd'), Buffer.from('abce'))).toBe(false);
    expect(equalBytes(Buffer.alloc(0), Buffer.alloc(0))).toBe(true);
  });

  it('is false for a prefix, and for nothing at all, without throwing', () => {
    expect(equalBytes(Buffer.from('abcd'), Buffer.from('abc'))).toBe(false);
    expect(equalBytes(Buffer.alloc(0), Buffer.from('a'))).toBe(false);
  });
});
