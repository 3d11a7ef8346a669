import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateReceiptKey, generateX25519 } from '../../src/security/encryption-keys.ts';
import { generateEd25519, generateHmacKey } from '../../src/security/signing-keys.ts';
import type { KeyRole } from '../../src/store/key-file.ts';
import { activeKey, addKey, loadKeyring, requireKey } from '../../src/store/keyring.ts';
import { codeOf } from '../support/code-of.ts';
import { seededRandom } from '../support/seeded-random.ts';

const UID = process.getuid?.() ?? -1;
const NOW = Date.UTC(2026, 0, 15, 12);

let folder: string;
let keys: string;
let randomBytes: (count: number) => Uint8Array;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ax-'));
  keys = join(folder, 'keys');
  randomBytes = seededRandom('keyring');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const add = (role: KeyRole, now = NOW) => {
  const jwk = role === 'receipt' ? generateReceiptKey(randomBytes) : generateEd25519(randomBytes);
  return addKey(keys, { role, jwk, now, uid: UID });
};
const publicPartOf = ({ d: _, ...jwk }: ReturnType<typeof generateEd25519>) => jwk;
const load = () => loadKeyring(keys, UID);

describe('which key is in use', () => {
  test('none, where there are none', () => {
    expect(load()).toEqual([]);
    expect(activeKey([], 'signing')).toBeUndefined();
    expect(codeOf(() => requireKey([], 'receipt'))).toBe('KEY_UNKNOWN');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('the newest of its role; the others are retired', () => {
    const first = add('receipt', NOW);
    const host = add('host', NOW + 5);
    const second = add('receipt', NOW + 10);
    const third = add('receipt', NOW + 20);
    expect(load().map(({ kid, role, state }) => ({ kid, role, state }))).toEqual([
      { kid: first.kid, role: 'receipt', state: 'retired' },
      { kid: host.kid, role: 'host', state: 'active' },
      { kid: second.kid, role: 'receipt', state: 'retired' },
      { kid: third.kid, role: 'receipt', state: 'active' },
    ]);
    expect(activeKey(load(), 'receipt')?.kid).toBe(third.kid);
    expect(requireKey(load(), 'host').kid).toBe(host.kid);
  });

  test.each([0, -1, -86_400_000, -NOW])('the newest also when the clock was set by %i ms', (step) => {
    const first = add('receipt', NOW);
    const second = add('receipt', NOW + step);
    const third = add('receipt', NOW + step);
    expect(second.createdAt).toBeGreaterThan(first.createdAt);
    expect(load().map(({ kid }) => kid)).toEqual([first.kid, second.kid, third.kid]);
    expect(activeKey(load(), 'receipt')?.kid).toBe(third.kid);
  });
});

describe('a key file', () => {
  test('is private to its owner, whatever the umask, and so is its folder', () => {
    const umask = process.umask(0);
    try {
      add('signing');
    } finally {
      process.umask(umask);
    }
    const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
    expect(mode(keys)).toBe('700');
    expect(readdirSync(keys).map((name) => mode(join(keys, name)))).toEqual(['600']);
  });

  test.each([0o640, 0o604, 0o660, 0o666, 0o610, 0o601])('that others may use is refused: mode %o', (mode) => {
    add('receipt');
    chmodSync(onlyFile(), mode);
    expect(codeOf(load)).toBe('KEY_PERMISSIONS');
  });

  test('of someone else is refused', () => {
    add('receipt');
    expect(codeOf(() => loadKeyring(keys, UID + 1))).toBe('KEY_PERMISSIONS');
  });

  test('that is a link is refused', () => {
    add('receipt');
    const path = onlyFile();
    renameSync(path, join(folder, 'elsewhere.json'));
    symlinkSync(join(folder, 'elsewhere.json'), path);
    expect(codeOf(load)).toBe('KEY_PERMISSIONS');
  });

  test('under the name of another key is refused', () => {
    const first = add('receipt');
    const second = add('receipt');
    copyFileSync(join(keys, `${first.kid}.json`), join(keys, `${second.kid}.json`));
    expect(codeOf(load)).toBe('KEY_MALFORMED');
  });

  test.each([
    ['empty', () => ''],
    ['cut short', (text: string) => text.slice(0, -20)],
    ['no JSON', () => 'no JSON'],
    ['no object', () => '[]'],
    ['with a name twice', (text: string) => text.replace('{', '{"role":"host",')],
    ['without a role', (text: string) => text.replace('"role"', '"rule"')],
    ['of a role that is none', (text: string) => text.replace('"receipt"', '"root"')],
    ['in another role', (text: string) => text.replace('"receipt"', '"signing"')],
    ['without a time', (text: string) => text.replace('"createdAt"', '"made"')],
    ['of no time', (text: string) => text.replace(/"2026[^"]*"/, '"soon"')],
    ['without its key', (text: string) => text.replace('"jwk"', '"key"')],
    ['with a key of 31 bytes', (text: string) => text.replace(/"k": "../, '"k": "')],
    ['with another kid', (text: string) => text.replace(/"kid": "./, '"kid": "_')],
    ['of bytes that are no UTF-8', () => Buffer.from([0x7b, 0xff, 0x7d])],
  ])('that is malformed is refused, never passed over: %s', (_, change) => {
    add('receipt');
    const path = onlyFile();
    writeFileSync(path, change(readFileSync(path, 'utf8')));
    expect(codeOf(load)).toBe('KEY_MALFORMED');
    // Nor is another one added beside it.
    expect(codeOf(() => add('receipt'))).toBe('KEY_MALFORMED');
  });

  test('holds a key that fits its role, and no other', () => {
    const wrong: [KeyRole, { kid: string }][] = [
      ['receipt', generateEd25519(randomBytes)],
      ['receipt', generateX25519(randomBytes)],
      ['host', generateHmacKey(randomBytes)],
      ['signing', generateReceiptKey(randomBytes)],
      ['approval', publicPartOf(generateEd25519(randomBytes))],
    ];
    for (const [role, jwk] of wrong) {
      expect(codeOf(() => addKey(keys, { role, jwk, now: NOW, uid: UID }))).toBe('KEY_MALFORMED');
      expect(load()).toEqual([]);
    }
  });

  test('to sign with may have its private part elsewhere', () => {
    const jwk = publicPartOf(generateEd25519(randomBytes));
    const entry = addKey(keys, { role: 'signing', jwk, now: NOW, uid: UID });
    expect(entry).toMatchObject({ kid: jwk.kid, state: 'active', hasPrivatePart: false, protection: null });
    expect(load().map(({ kid, publicJwk, hasPrivatePart }) => [kid, publicJwk, hasPrivatePart])).toEqual([
      [jwk.kid, jwk, false],
    ]);
  });

  test('that was being written when ax was killed is not a key', () => {
    const { kid } = add('receipt');
    copyFileSync(onlyFile(), join(keys, `.${kid}.json.4711.tmp`));
    expect(load().map((entry) => entry.kid)).toEqual([kid]);
  });
});

test.each([0o770, 0o720, 0o702, 0o777])(
  'a folder around the keys that others may write to is refused: mode %o',
  (mode) => {
    add('receipt');
    chmodSync(folder, mode);
    expect(load).toThrow(expect.objectContaining({ code: 'KEY_PERMISSIONS', hint: `chmod go-w ${folder}` }));
    expect(codeOf(() => add('receipt'))).toBe('KEY_PERMISSIONS');
    chmodSync(folder, mode & 0o755);
    expect(load()).toHaveLength(1);
  },
);

test('a sticky folder around the keys lets nobody put others in their place', () => {
  add('receipt');
  chmodSync(folder, 0o1777);
  expect(load()).toHaveLength(1);
});

test('a folder of keys that is a link is refused', () => {
  add('receipt');
  renameSync(keys, join(folder, 'elsewhere'));
  symlinkSync(join(folder, 'elsewhere'), keys);
  expect(codeOf(load)).toBe('KEY_PERMISSIONS');
  expect(codeOf(() => add('receipt'))).toBe('KEY_PERMISSIONS');
  expect(readdirSync(join(folder, 'elsewhere'))).toHaveLength(1);
});

test('a folder of keys that others may enter is refused before a key is written there', () => {
  add('receipt');
  chmodSync(keys, 0o755);
  expect(codeOf(() => add('receipt'))).toBe('KEY_PERMISSIONS');
  expect(readdirSync(keys)).toHaveLength(1);
});

function onlyFile(): string {
  return join(keys, readdirSync(keys)[0] ?? '');
}
