import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createGuardedScrubber } from '../../../src/security/scrub/guarded.ts';
import { createScrubber, type ScrubPolicy } from '../../../src/security/scrub/stream.ts';
import { createTextScrubber } from '../../../src/security/scrub/text.ts';
import { createValueScrubber, withhold } from '../../../src/security/scrub/value.ts';

// Put together here, so that no scanner takes this file for a leak.
const GITHUB = ['ghp', 'x7Kq2mV9LwTz4RbN8sYc1HdF6jPgA3eUo5Qi'].join('_');
const AWS = `AKIA${'Q3EGRWTYUPLK2345'}`;
const JWT = `${'eyJhbGciOiJIUzI1NiJ9'}.${'eyJzdWIiOiIxMjM0NSJ9eyJ'}.${'dBjftJeZ4CVPmB92K27uhbUJU1p1r'}`;
const PEM =
  ['-----BEGIN', 'PRIVATE KEY-----\n'].join(' ') +
  `${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC'.repeat(2)}\n`.repeat(3);
const KEY = `${PEM}-----END PRIVATE KEY-----`;

const policy: ScrubPolicy = { secrets: [], credentials: true, personal: true };
const scrub = createTextScrubber(policy);
const live = createTextScrubber({ ...policy, personal: false });

describe('a declared secret', () => {
  const value = 'pa$$ "wörd"/5f?\'x';
  const declared = createTextScrubber({ ...policy, secrets: [{ name: 'TOKEN', value }] });
  const bytes = Buffer.from(value);

  test.each<[string, string]>([
    ['as it is', value],
    ['in a URL', encodeURIComponent(value)],
    ['in a form', new URLSearchParams({ a: value }).toString().slice(2)],
    ['in JSON', JSON.stringify(value).slice(1, -1)],
    ['in JSON of ASCII alone', JSON.stringify(value).slice(1, -1).replace('ö', '\\u00f6')],
    ['in single quotes of a shell', value.replaceAll("'", `'\\''`)],
    ['in double quotes of a shell', value.replaceAll(/["$`\\]/g, '\\$&')],
    ['in hex', bytes.toString('hex')],
    ['in capital hex', bytes.toString('hex').toUpperCase()],
  ])('is removed %s', (_, form) => {
    expect(declared(`<${form}>`)).toBe('<[secret:TOKEN]>');
  });

  test('is removed from base64 at every offset, in both alphabets, padded or not', () => {
    for (const before of ['', 'a', 'ab', 'abc']) {
      for (const after of ['', 'x', 'xy', 'xyz']) {
        for (const encoding of ['base64', 'base64url'] as const) {
          const encoded = Buffer.from(before + value + after).toString(encoding);
          const out = declared(`<${encoded}>`);
          expect(out).toContain('[secret:TOKEN]');
          // What is left are the neighbours, and at most a character on each side that has bits of both.
          expect(out.replace('[secret:TOKEN]', '').length, encoded).toBeLessThanOrEqual(2 + 4 + 8);
        }
      }
    }
  });

  test('of few bytes is looked for as it is, not in what every text has', () => {
    const short = createTextScrubber({ ...policy, secrets: [{ name: 'PIN', value: 'abc' }] });
    expect(short('abc YWJj 616263')).toBe('[secret:PIN] YWJj 616263');
  });
});

describe('what is recognised', () => {
  test('more keywords in one text than are collected at once', () => {
    const line = 'password=a1b2c3d4 https://me:s3cr3tpw@host\n';
    const out = 'password=[credential:assigned] https://[credential:url-userinfo]@host\n';
    expect(scrub(line.repeat(3000))).toBe(out.repeat(3000));
  });

  test.each<[string, string, string]>([
    ['a token by its prefix', `got ${GITHUB}!`, 'got [credential:github-token]!'],
    ['a cloud key', `id ${AWS} used`, 'id [credential:aws-key] used'],
    ['a JWT', `t=${JWT};`, 't=[credential:jwt];'],
    ['a private key', `a\n${KEY}\nb`, 'a\n[credential:private-key]\nb'],
    ['a private key in JSON', JSON.stringify({ k: KEY }), '{"k":"[credential:private-key]"}'],
    [
      'user-info of a URL',
      'git clone https://me:s3cr3tpw@host/x',
      'git clone https://[credential:url-userinfo]@host/x',
    ],
    [
      'user-info of a URL, with letters outside ASCII',
      'git clone https://me:s3crà3tpw@host/x',
      'git clone https://[credential:url-userinfo]@host/x',
    ],
    [
      'an Authorization header',
      'Authorization: Bearer abcDEF123456.x',
      'Authorization: Bearer [credential:authorization]',
    ],
    ['a Cookie header', 'Cookie: session=abcdef123; b=2', 'Cookie: [credential:cookie]'],
    ['a value by its name', 'API_SECRET=9fQ2xL7vB4nM1kZ8', 'API_SECRET=[credential:assigned]'],
    ['a value by its service', `datadog_key: ${'a1b2c3d4e5'.repeat(4)}`, 'datadog_key: [credential:datadog]'],
  ])('%s', (_, text, expected) => {
    expect(live(text)).toBe(expected);
  });

  test.each<[string, string, string]>([
    ['an e-mail address', 'by Ann <ann.lee+x@mail.example.org>.', 'by Ann <[email]>.'],
    ['a number of E.164', 'call +49 151 23456789 now', 'call [phone] now'],
    ['a national number', 'call (567) 362-8910 now', 'call [phone] now'],
    ['an IBAN', 'to DE89 3704 0044 0532 0130 00 today', 'to [iban] today'],
    ['a card', 'card 4012-8888-8888-1881, ok', 'card [card], ok'],
  ])('%s, of what is kept alone', (_, text, expected) => {
    expect(scrub(text)).toBe(expected);
    expect(live(text)).toBe(text);
  });

  test('an IP address only where that is asked for', () => {
    const text = 'listening on 192.168.1.20 and fe80::7:8%eth0, port 3000';
    expect(scrub(text)).toBe(text);
    expect(createTextScrubber({ ...policy, addresses: true })(text)).toBe(
      'listening on [ip] and [ip], port 3000',
    );
  });

  test.each([
    'commit 8f14e45fceea167a5a36dedd4bea2543d1e5f0aa',
    'sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    'cache key: linux-node-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    'id 123e4567-e89b-42d3-a456-426614174000',
    'ax 1.24.3-rc.1+build.5 at 2026-11-24T15:00:12.123Z',
    '  ➜  Local:   http://localhost:5173/?token=dev',
    'done in 1732460412345 ms, 654789321 bytes of 4294967296, 0123456789',
    '/home/ann/project/src/security/keys/token-2.ts:120:9 - error TS2339',
    'The key to a good password is its length; tokens are issued by the auth service.',
    'const token = await getToken(request, { secret: process.env.AUTH_SECRET });',
    'registry.example.com/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  ])('and not: %s', (text) => {
    expect(scrub(text)).toBe(text);
  });
});

describe('a stream', () => {
  const text = [
    'starting up',
    `export TOKEN=${GITHUB} and ${AWS}`,
    KEY,
    `x=${JWT} ${'long '.repeat(9000)}Authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l`,
    'mail ann@example.org or call +49 151 23456789',
    'curl \\',
    '  -u ann:pa55w0rd https://example.org',
    'no newline at the end',
  ].join('\n');
  const input = Buffer.from(text);

  test('comes out the same however it is cut', () => {
    for (const personal of [false, true]) {
      const whole = createTextScrubber({ ...policy, personal })(text);
      expect(whole).not.toContain(GITHUB);
      const cut = fc.array(fc.nat(input.length), { maxLength: 40 });
      fc.assert(
        fc.property(cut, (cuts) => {
          const scrubber = createScrubber({ ...policy, personal });
          const out: Buffer[] = [];
          let from = 0;
          for (const to of [...cuts, input.length].sort((a, b) => a - b)) {
            out.push(scrubber.push(Buffer.from(input.subarray(from, to))));
            from = to;
          }
          out.push(scrubber.end());
          expect(Buffer.concat(out).toString()).toBe(whole);
        }),
        { numRuns: 60 },
      );
    }
  });

  test('comes out the same byte by byte', () => {
    const short = text.replace(/(?:long ){8000}/, '');
    for (const personal of [false, true]) {
      const scrubber = createScrubber({ ...policy, personal });
      let out = '';
      for (const byte of Buffer.from(short)) out += scrubber.push(Buffer.from([byte])).toString('latin1');
      out += scrubber.end().toString('latin1');
      expect(out).toBe(createTextScrubber({ ...policy, personal })(short));
    }
  });

  test('shows a line that has not ended, as long as nothing is in it', () => {
    const scrubber = createScrubber({ ...policy, personal: false });
    expect(scrubber.push(Buffer.from('ready? ')).toString()).toBe('ready? ');
    expect(scrubber.push(Buffer.from('token=')).toString()).toBe('');
    expect(scrubber.push(Buffer.from(`${GITHUB}\n`)).toString()).toBe('token=[credential:github-token]\n');
  });

  test('that cannot be scrubbed is withheld, and does not throw', () => {
    const broken = createGuardedScrubber(policy, () => ({
      push: () => {
        throw new Error('broken');
      },
      end: () => Buffer.from('rest'),
    }));
    expect(broken.push(Buffer.from('a')).toString()).toBe('\n[withheld]\n');
    expect(broken.push(Buffer.from('b')).length).toBe(0);
    expect(broken.end().length).toBe(0);
  });
});

describe('a value', () => {
  const value = createValueScrubber({
    ...policy,
    secrets: [{ name: 'T', value: 'hunter2' }],
    keeps: (path) => path.at(-1) === 'id',
  });

  test('is scrubbed in keys and values, at any depth', () => {
    expect(value({ list: [{ 'ann@example.org': [GITHUB] }], hunter2: 'a hunter2 b' })).toEqual({
      list: [{ '[email]': ['[credential:github-token]'] }],
      '[secret:T]': 'a [secret:T] b',
    });
  });

  test('is judged with its key', () => {
    expect(value({ apiSecret: '9fQ2xL7vB4nM1kZ8', note: '9fQ2xL7vB4nM1kZ8' })).toEqual({
      apiSecret: '[credential:assigned]',
      note: '9fQ2xL7vB4nM1kZ8',
    });
  });

  test('keeps what is its own, but for declared secrets', () => {
    expect(value({ id: 'ann@example.org', other: { id: 'hunter2' } })).toEqual({
      id: 'ann@example.org',
      other: { id: '[secret:T]' },
    });
  });

  test('may contain itself, errors and their causes, and keys that come out alike', () => {
    const cycle: Record<string, unknown> = { name: 'x' };
    cycle.self = cycle;
    const error = new Error('no hunter2', { cause: new Error(`bad ${GITHUB}`) });
    expect(value({ cycle, error, 'a@example.org': 1, 'b@example.org': 2 })).toEqual({
      cycle: { name: 'x', self: '[circular]' },
      error: {
        name: 'Error',
        message: 'no [secret:T]',
        cause: { name: 'Error', message: 'bad [credential:github-token]' },
      },
      '[email]': 1,
      '[email] (2)': 2,
    });
  });

  test('of any depth ends somewhere', () => {
    let deep: unknown = GITHUB;
    for (let depth = 0; depth < 5000; depth++) deep = { deep };
    const out = JSON.stringify(value(deep));
    expect(out).toContain('[withheld]');
    expect(out).not.toContain(GITHUB);
  });

  test('can be withheld whole, its own fields aside', () => {
    expect(withhold({ id: 'x', said: ['y', { z: 'w' }], code: 3 }, (path) => path.at(-1) === 'id')).toEqual({
      id: 'x',
      said: ['[withheld]', { z: '[withheld]' }],
      code: 3,
    });
  });
});
