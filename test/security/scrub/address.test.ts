import { describe, expect, test } from 'vitest';
import { createTextScrubber } from '../../../src/security/scrub/text.ts';

const policy = { secrets: [], credentials: true, personal: true };
const scrub = createTextScrubber({ ...policy, addresses: true });
const without = createTextScrubber(policy);

describe('an IP address, where that is asked for', () => {
  test.each<[string, string]>([
    ['listening on 192.168.1.20 and fe80::7:8%eth0, port 3000', 'listening on [ip] and [ip], port 3000'],
    ['http://10.0.0.1:8080/ and http://[2001:db8::1]:8080/', 'http://[ip]:8080/ and http://[[ip]]:8080/'],
    ['from 203.0.113.7.', 'from [ip].'],
    ['::1: refused; 127.0.0.1: refused', '[ip]: refused; [ip]: refused'],
    ['route 10.1.0.0/16 and 2001:db8::/32', 'route [ip] and [ip]'],
    ['mapped ::ffff:192.0.2.128 here', 'mapped [ip] here'],
    ['ssh -L 8080:10.0.0.5:80 root@10.0.0.4', 'ssh -L 8080:[ip]:80 root@[ip]'],
    ['-p 127.0.0.1:80:80', '-p [ip]:80:80'],
    ['2001:DB8:0:0:8:800:200C:417A', '[ip]'],
    ['addr=0.0.0.0;peer=::', 'addr=[ip];peer=[ip]'],
    ['10.0.0.1-10.0.0.9', '[ip]-[ip]'],
    ['{"remote":"198.51.100.23"}', '{"remote":"[ip]"}'],
    ['connect to edge-1 (198.51.100.23) failed', 'connect to edge-1 ([ip]) failed'],
  ])('%s', (text, expected) => {
    expect(scrub(text)).toBe(expected);
    expect(without(text)).toBe(text);
  });

  test.each([
    'version 1.2.3.4, v10.0.19045.1, Version: 4.8.9037.0',
    'Mozilla/5.0 Chrome/131.0.6778.85 Safari/537.36',
    'package==2.31.0.6 and other>=1.2.3.4',
    'wrote app-1.2.3.4.tgz and libfoo_4.5.6.7.deb',
    '1.2.3.4-rc.1 and 1.2.3.4+build7',
    'OID 1.3.6.1.4.1.311, section 1.2.3',
    'semver 1.24.3-rc.1+build.5, 256.1.1.1, 01.02.03.04',
    'at 12:34:56.789 and 2026-11-24T15:00:12.123Z',
    'src/lib.rs:120:9 std::vector MyClass::of aa:bb:cc:dd:ee:ff',
    'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    'ratio 1:2:3:4, 16:9, key:value::rest, 2001::db8::1',
  ])('and not: %s', (text) => {
    expect(scrub(text)).toBe(text);
  });
});
