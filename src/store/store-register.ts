import { existsSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Hex } from '../security/digest.ts';
import { decodeUtf8, parseJson } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import { malformed } from '../security/jwk.ts';
import { ensurePrivateDirectory, readPrivateFile, syncDirectory, throwIo, writeFileAtomic } from './files.ts';

/**
 * The stores whose receipts were sealed with a keyring: one private file for each in the keyring's home, named by
 * the digest of the store's real path. A keyring serves many stores, and none of them would be asked when a key is
 * removed, if nobody knew where they are.
 */

const FILE_NAME = /^[0-9a-f]{64}\.json$/;

/**
 * Enters a store; where it is entered already, that is all it looks for. Durable on return.
 *
 * Whoever seals receipts calls this first and reads the keyring then: only so does a removal, which reads the register
 * once the key is in use no more, know of every store that the key may still come to be used in.
 *
 * @throws KEY_PERMISSIONS, IO, STORE_FULL
 */
export function registerStore(storesDir: string, directory: string, uid: number): void {
  const path = realpathSync(directory);
  const file = fileOf(storesDir, path);
  if (existsSync(file)) return;
  ensurePrivateDirectory(storesDir, uid);
  writeFileAtomic(file, `${JSON.stringify({ path }, null, 2)}\n`, 0o600);
}

/**
 * The paths of all of them, in order.
 *
 * @throws KEY_MALFORMED, KEY_PERMISSIONS, IO; an entry that cannot be read is never passed over
 */
export function registeredStores(storesDir: string, uid: number): string[] {
  if (!existsSync(storesDir)) return [];
  ensurePrivateDirectory(storesDir, uid);
  return namesIn(storesDir)
    .map((name) => readEntry(storesDir, name, uid))
    .sort();
}

/** @throws IO */
export function forgetStore(storesDir: string, path: string): void {
  try {
    rmSync(fileOf(storesDir, path), { force: true });
    syncDirectory(storesDir);
  } catch (error) {
    throwIo(`forget the store ${path}`, error);
  }
}

function namesIn(storesDir: string): string[] {
  try {
    return readdirSync(storesDir).filter((name) => FILE_NAME.test(name));
  } catch (error) {
    throwIo(`read the register of stores in ${storesDir}`, error);
  }
}

function readEntry(storesDir: string, name: string, uid: number): string {
  const file = join(storesDir, name);
  const bytes = readPrivateFile(file, uid);
  const value = bytes === null ? null : parse(bytes, file);
  const path = isObject(value) ? value.path : undefined;
  if (typeof path === 'string' && fileOf(storesDir, path) === file) return path;
  throw malformed(file, 'expected the path of the store that it is named after');
}

function parse(bytes: Buffer, file: string): unknown {
  try {
    return parseJson(decodeUtf8(bytes, file), file);
  } catch (error) {
    throw malformed(file, error instanceof Error ? error.message.replace(`${file}:`, 'line ') : 'not JSON');
  }
}

function fileOf(storesDir: string, path: string): string {
  return join(storesDir, `${sha256Hex(path)}.json`);
}
