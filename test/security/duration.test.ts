import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../src/security/duration.ts';

describe('parseDuration', () => {
  it.each([
    ['1ms', 1],
    ['250ms', 250],
    ['1s', 1000],
    ['10m', 600_000],
    ['1h', 3_600_000],
    ['90d', 7_776_000_000],
    ['9007199254740991ms', Number.MAX_SAFE_INTEGER],
    ['104249991d', 9_007_199_222_400_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each([
    ...['', '10', 'm', '0s', '0ms', '-1s', '+1s', '01s', '00s', '1.5s', '1,5s', '1e3s', '0x1s', '1_000ms'],
    ...[
      '1 s',
      ' 1s',
      '1s ',
      '1s\n',
      '1S',
      '1M',
      '1MS',
      '1sec',
      '1w',
      '1y',
      '1us',
      '1m30s',
      '１s',
      'Infinityms',
    ],
    ...['9007199254740992ms', '9007199254740993ms', '104249992d', `${'9'.repeat(400)}d`],
  ])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it('gives whole, positive and safe milliseconds or nothing, whatever the size', () => {
    const digits = fc.bigInt({ min: 1n, max: 2n ** 80n });
    fc.assert(
      fc.property(digits, fc.constantFrom('ms', 's', 'm', 'h', 'd'), (count, unit) => {
        const factor = { ms: 1n, s: 1000n, m: 60_000n, h: 3_600_000n, d: 86_400_000n }[unit] ?? 0n;
        const exact = count * factor;
        const safe = exact <= BigInt(Number.MAX_SAFE_INTEGER);
        expect(parseDuration(`${count}${unit}`)).toBe(safe ? Number(exact) : undefined);
      }),
      { seed: 0x5eed, numRuns: 300 },
    );
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0ms'],
    [0.4, '0ms'],
    [-0, '0ms'],
    [850, '850ms'],
    [999.9, '999ms'],
    [1000, '1.0s'],
    [1234, '1.2s'],
    [59_999, '59.9s'],
    [60_000, '1m 00s'],
    [184_000, '3m 04s'],
    [3_599_999, '59m 59s'],
    [3_600_000, '1h 00m'],
    [7_500_000, '2h 05m'],
    [86_399_999, '23h 59m'],
    [108_000_000, '1d 06h'],
    [7_776_000_000, '90d 00h'],
    [-1500, '-1.5s'],
    [-0.5, '0ms'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])('refuses %d', (ms) => {
    expect(() => formatDuration(ms)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});
