import { expect, test } from 'vitest';
import { evaluateKeyAge } from '../../../src/runtime/guards/key-age.ts';
import { keysOf } from '../../../src/runtime/guards/keys.ts';
import type { KeyRole } from '../../../src/store/key-file.ts';
import type { Keyring } from '../../../src/store/keyring.ts';
import { NOW, snapshotOf } from '../../support/guard-snapshot.ts';

const DAY = 86_400_000;
const entry = (kid: string, role: KeyRole, days: number): Keyring[number] => ({
  kid,
  role,
  algorithm: role === 'receipt' ? 'A256KW' : 'Ed25519',
  createdAt: NOW - days * DAY,
  state: 'active',
  jwk: { secret: 'canary' },
  publicJwk: null,
  protection: null,
  hasPrivatePart: true,
  revocation: null,
});
const KEYRING: Keyring = [
  entry('old-signer', 'signing', 400),
  entry('old-host', 'host', 300),
  entry('old-receipt', 'receipt', 200),
  entry('signer', 'signing', 30),
  entry('host', 'host', 20),
  entry('receipt', 'receipt', 10),
];

test('the keys that a run relies on, and of each what a guard may know', () => {
  const reliesOn = { signers: ['signer', 'colleague'], recipients: ['receipt', 'auditor'], hostKid: 'host' };
  expect(keysOf(KEYRING, reliesOn)).toEqual([
    { kid: 'signer', role: 'signing', createdAt: NOW - 30 * DAY },
    { kid: 'host', role: 'host', createdAt: NOW - 20 * DAY },
    { kid: 'receipt', role: 'receipt', createdAt: NOW - 10 * DAY },
  ]);
});

test('retired keys that it relies on too: an old signature is as old as its key', () => {
  const keys = keysOf(KEYRING, { signers: ['old-signer'], recipients: ['old-receipt'], hostKid: 'host' });
  expect(keys.map(({ kid }) => kid)).toEqual(['old-signer', 'old-receipt', 'host']);
  expect(evaluateKeyAge({ max: '365d' }, snapshotOf({ keys })).verdict).toBe('fail');
});

test('a key counts in its own role alone', () => {
  expect(keysOf(KEYRING, { signers: ['receipt'], recipients: ['signer'], hostKid: 'receipt' })).toEqual([]);
});

test('of keys that are not in the keyring nothing is known', () => {
  expect(keysOf([], { signers: ['colleague'], recipients: ['auditor'], hostKid: 'host' })).toEqual([]);
});
