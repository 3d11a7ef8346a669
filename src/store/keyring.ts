import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AxError } from '../errors.ts';
import { describeExpiry, isExpired } from '../security/expiry.ts';
import type { JsonValue } from '../security/json.ts';
import type { ScryptParameters } from '../security/passphrase.ts';
import { ensurePrivateDirectory, refuseLooseParent, syncDirectory, throwIo } from './files.ts';
import {
  hasPrivatePart,
  type KeyRole,
  type Protection,
  parseKeyFor,
  readKeyFile,
  type StoredKey,
  writeKeyFile,
} from './key-file.ts';
import { describeRevocation, loadRevocations, type Revocation } from './revocations.ts';
import { createVault, type Vault } from './vault.ts';

/**
 * The keyring: one private file for each key, written once, and one for each that was revoked. Which key of a role
 * is in use follows from their dates alone: the newest is active, the others are retired. A revoked key is never in
 * use, and none that it had taken over from comes back in its place. So adding a key is the whole of a rotation's
 * decision, in one atomic step, and two rotations at once leave two keys and no doubt. Recipients do not take
 * over from each other: they are the keys of several readers, and all of them are active. So are the keys of other
 * hosts, which are here to verify their receipts; of this host's own they take nothing over, nor lose to them. That a key has expired
 * changes none of that: it is its role's key, does nothing any more but open, and wants to be rotated.
 */

export interface KeyEntry extends Omit<StoredKey, 'open'> {
  readonly state: 'active' | 'retired' | 'revoked';
  readonly revocation: Revocation | null;
  /**
   * The JWK: with its private part, where that is here. Of a protected key it is opened when it is asked for;
   * @throws KEYRING_LOCKED, PASSPHRASE_WRONG, KEY_MALFORMED
   */
  readonly jwk: JsonValue;
}

export type Keyring = readonly KeyEntry[];

/** Opens no protected key. */
const LOCKED = createVault(() => new Uint8Array());

const FILE_NAME = /^[A-Za-z0-9_-]{43}\.json$/;

/**
 * Every key, oldest first. Without a vault the private parts of protected keys stay closed.
 *
 * @throws KEY_MALFORMED, KEY_PERMISSIONS, IO; a key that cannot be read is never passed over
 */
export function loadKeyring(keysDir: string, uid: number, vault = LOCKED): Keyring {
  const entries = keyFiles(keysDir, uid).map((name) => readKeyFile(join(keysDir, name), uid, vault));
  const revocations = loadRevocations(keysDir, uid);
  entries.sort((a, b) => a.createdAt - b.createdAt || (a.kid < b.kid ? -1 : 1));
  return entries.map((entry, index) => {
    const revocation = revocations.get(entry.kid) ?? null;
    const superseded = entries.slice(index + 1).some((later) => supersedes(later, entry));
    return entryOf(entry, revocation ? 'revoked' : superseded ? 'retired' : 'active', revocation);
  });
}

type Owned = Pick<StoredKey, 'role' | 'hasPrivatePart'>;

function supersedes(later: Owned, entry: Owned): boolean {
  if (isOfAnotherHost(later) || isOfAnotherHost(entry)) return false;
  return later.role === entry.role && entry.role !== 'recipient';
}

/** A host key with the public part alone: it verifies receipts, and signs none here. */
export function isOfAnotherHost({ role, hasPrivatePart }: Owned): boolean {
  return role === 'host' && !hasPrivatePart;
}

function keyFiles(keysDir: string, uid: number): string[] {
  if (!existsSync(keysDir)) return [];
  refuseLooseParent(keysDir, uid);
  ensurePrivateDirectory(keysDir, uid);
  try {
    return readdirSync(keysDir).filter((name) => FILE_NAME.test(name));
  } catch (error) {
    throwIo(`read the keys in ${keysDir}`, error);
  }
}

function entryOf(
  { open, ...key }: StoredKey,
  state: KeyEntry['state'],
  revocation: Revocation | null,
): KeyEntry {
  return {
    ...key,
    state,
    revocation,
    get jwk() {
      return open();
    },
  };
}

/** The key of a role that is in use, of recipients the newest; undefined when there is none. Never another host's. */
export function activeKey(keyring: Keyring, role: KeyRole): KeyEntry | undefined {
  return keyring.findLast(
    (entry) => entry.role === role && entry.state === 'active' && !isOfAnotherHost(entry),
  );
}

/** The newest key of a role, revoked or not: the one that a rotation takes over from. Never another host's. */
export function newestKey(keyring: Keyring, role: KeyRole): KeyEntry | undefined {
  return keyring.findLast((entry) => entry.role === role && !isOfAnotherHost(entry));
}

/** The keys that receipts are sealed to besides the receipt key. */
export function activeRecipients(keyring: Keyring): KeyEntry[] {
  return keyring.filter((entry) => entry.role === 'recipient' && entry.state === 'active');
}

/**
 * Adds a key, which becomes its role's active one, or one more recipient; durable on return. A file of that name
 * is replaced: whether a key is there already is the caller's question.
 *
 * @throws KEY_PERMISSIONS, KEY_MALFORMED, IO, STORE_FULL
 * @throws KEYRING_LOCKED, PASSPHRASE_WRONG where keys are protected: none is added that is not
 */
export function addKey(
  keysDir: string,
  key: {
    role: KeyRole;
    jwk: { kid: string };
    now: number;
    /** Milliseconds since the epoch. */
    expiresAt?: number | undefined;
    uid: number;
    vault?: Vault;
  },
): KeyEntry {
  ensurePrivateDirectory(keysDir, key.uid);
  const keyring = loadKeyring(keysDir, key.uid, key.vault);
  const newest = newestKey(keyring, key.role);
  // A clock that was set back must not make the new key look older than the one it takes over from.
  const createdAt = Math.max(key.now, (newest?.createdAt ?? 0) + 1);
  const path = join(keysDir, `${key.jwk.kid}.json`);
  // A file that cannot be read again would make the whole keyring unreadable.
  const parsed = parseKeyFor(key.role, key.jwk, path);
  const { role, expiresAt, uid, vault = LOCKED } = key;
  // Where keys are protected, a new one is too, by the same passphrase.
  const like = provePassphrase(keyring);
  const jwk = key.jwk as unknown as JsonValue;
  const protection = like !== null && hasPrivatePart(parsed) ? { vault, scrypt: like } : null;
  writeKeyFile(path, { role, createdAt, expiresAt, jwk }, protection);
  return entryOf(readKeyFile(path, uid, vault), 'active', null);
}

/**
 * Opens one protected key, so that nothing is begun that would want them in vain.
 *
 * @returns how it is protected; null where no key is
 * @throws KEYRING_LOCKED, PASSPHRASE_WRONG
 */
export function provePassphrase(keyring: Keyring): ScryptParameters | null {
  const entry = keyring.findLast(({ protection }) => protection !== null);
  if (entry === undefined || entry.protection === null || entry.jwk === null) return null;
  return entry.protection.scrypt;
}

/**
 * Replaces the file of a key by one that protects its private part, or with null by one that does not; in one
 * atomic step, so the key is there before and after.
 *
 * @throws KEYRING_LOCKED, PASSPHRASE_WRONG, IO, STORE_FULL
 */
export function rewriteKey(
  keysDir: string,
  { kid, role, createdAt, expiresAt, jwk }: KeyEntry,
  protection: Protection,
): void {
  writeKeyFile(join(keysDir, `${kid}.json`), { role, createdAt, expiresAt, jwk }, protection);
}

/**
 * Takes the file of a key away; durable on return. A revocation of it stays.
 *
 * @throws IO, also when there is no such file
 */
export function removeKey(keysDir: string, kid: string): void {
  try {
    rmSync(join(keysDir, `${kid}.json`));
    syncDirectory(keysDir);
  } catch (error) {
    throwIo(`remove the key ${kid}`, error);
  }
}

/**
 * The active key of a role.
 *
 * @throws KEY_UNKNOWN, KEY_REVOKED with the command that makes one
 */
export function requireKey(keyring: Keyring, role: KeyRole): KeyEntry {
  const entry = activeKey(keyring, role);
  if (entry !== undefined) return entry;
  const newest = newestKey(keyring, role);
  if (newest !== undefined) requireUnrevoked(newest);
  throw new AxError('KEY_UNKNOWN', `no ${role} key in the keyring`, {
    hint: `ax keys generate --role ${role}`,
  });
}

/** @throws KEY_REVOKED with the command that makes another */
export function requireUnrevoked({ kid, role, revocation }: KeyEntry): void {
  if (revocation === null) return;
  throw new AxError('KEY_REVOKED', `the ${role} key ${kid} was ${describeRevocation(revocation)}`, {
    hint: `ax keys rotate --role ${role}`,
  });
}

/** @throws KEY_EXPIRED with the command that makes another, for a key that would be signed with or sealed to */
export function requireUnexpired(entry: KeyEntry, now: number): void {
  const { kid, role } = entry;
  if (!isExpired(entry, now)) return;
  throw new AxError('KEY_EXPIRED', `the ${role} key ${kid} ${describeExpiry(entry)}`, {
    hint: renewal(role),
  });
}

/** The command that puts another key in the place of one, or beside a recipient. */
export function renewal(role: KeyRole): string {
  return role === 'recipient'
    ? 'where it was made: ax keys generate --role recipient'
    : `ax keys rotate --role ${role}`;
}
