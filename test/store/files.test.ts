import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { AxError } from '../../src/errors.ts';
import { createFileAtomic } from '../../src/store/files.ts';
import { codeOf } from '../support/code-of.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ax-files-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('a file is made whole, with its mode, and only after its record', () => {
  const path = join(folder(), 'a.json');
  let atRecord: string[] = [];
  createFileAtomic(path, { content: 'content\n', mode: 0o640 }, () => {
    atRecord = readdirSync(join(path, '..'));
  });
  expect(atRecord).not.toContain('a.json');
  expect(atRecord).toHaveLength(1);
  expect(readFileSync(path, 'utf8')).toBe('content\n');
  expect(statSync(path).mode & 0o777).toBe(0o640);
  expect(readdirSync(join(path, '..'))).toEqual(['a.json']);
});

test('a record that cannot be made is the error, and there is no file', () => {
  const path = join(folder(), 'a.json');
  const call = () =>
    createFileAtomic(path, { content: 'x', mode: 0o600 }, () => {
      throw new AxError('STORE_BUSY', 'busy');
    });
  expect(codeOf(call)).toBe('STORE_BUSY');
  expect(readdirSync(join(path, '..'))).toEqual([]);
});

test('what another process makes under that name in the meantime stays what it is', () => {
  const path = join(folder(), 'a.json');
  const call = () =>
    createFileAtomic(path, { content: 'ours', mode: 0o600 }, () => writeFileSync(path, 'theirs'));
  expect(codeOf(call)).toBe('IO');
  expect(readFileSync(path, 'utf8')).toBe('theirs');
  expect(readdirSync(join(path, '..'))).toEqual(['a.json']);
});

test('what is there already is refused before anything is recorded', () => {
  const path = join(folder(), 'a.json');
  writeFileSync(path, 'theirs');
  let recorded = false;
  const call = () =>
    createFileAtomic(path, { content: 'ours', mode: 0o600 }, () => {
      recorded = true;
    });
  expect(codeOf(call)).toBe('IO');
  expect(recorded).toBe(false);
});
