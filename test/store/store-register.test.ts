import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { forgetStore, registeredStores, registerStore } from '../../src/store/store-register.ts';
import { codeOf } from '../support/code-of.ts';

const UID = process.getuid?.() ?? -1;

let folder: string;
let register: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'ax-')));
  register = join(folder, 'stores');
  for (const name of ['one', 'two']) mkdirSync(join(folder, name));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('it is empty at first, and asking makes no folder', () => {
  expect(registeredStores(register, UID)).toEqual([]);
  expect(readdirSync(folder)).toEqual(['one', 'two']);
});

test('a store is entered once, by its real path, in a private file; and forgotten by name', () => {
  symlinkSync(join(folder, 'one'), join(folder, 'link'));
  registerStore(register, join(folder, 'link'), UID);
  expect(readdirSync(register)).toHaveLength(1);
  for (const name of ['one', 'two', 'two']) registerStore(register, join(folder, name), UID);
  expect(registeredStores(register, UID)).toEqual([join(folder, 'one'), join(folder, 'two')]);
  const [name = ''] = readdirSync(register);
  expect(name).toMatch(/^[0-9a-f]{64}\.json$/);
  expect((statSync(join(register, name)).mode & 0o777).toString(8)).toBe('600');
  expect((statSync(register).mode & 0o777).toString(8)).toBe('700');
  forgetStore(register, join(folder, 'one'));
  expect(registeredStores(register, UID)).toEqual([join(folder, 'two')]);
});

test('a register that others can look into is refused', () => {
  mkdirSync(register, { mode: 0o755 });
  expect(codeOf(() => registerStore(register, join(folder, 'one'), UID))).toBe('KEY_PERMISSIONS');
  expect(codeOf(() => registeredStores(register, UID))).toBe('KEY_PERMISSIONS');
  expect(readdirSync(register)).toEqual([]);
});
