import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readApprovalFiles } from '../../src/manifest/approval-files.ts';
import { codeOf } from '../support/code-of.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ax-approvals-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('files are read as they are, under the names that they were given by', () => {
  const cwd = folder();
  writeFileSync(join(cwd, 'a.json'), 'anything');
  writeFileSync(join(cwd, 'b.json'), Buffer.alloc(64 * 1024, 'b'));
  expect(readApprovalFiles(cwd, ['a.json', join(cwd, 'b.json')])).toEqual([
    { source: 'a.json', bytes: Buffer.from('anything') },
    { source: join(cwd, 'b.json'), bytes: Buffer.alloc(64 * 1024, 'b') },
  ]);
  expect(readApprovalFiles(cwd, [])).toEqual([]);
});

test.each<[string, (path: string) => void, string]>([
  ['is missing', () => {}, 'cannot read a.json: no such file'],
  ['is a folder', (path) => mkdirSync(path), 'expected a regular file of at most 65536 bytes'],
  [
    'is larger than any approval',
    (path) => writeFileSync(path, Buffer.alloc(64 * 1024 + 1)),
    'expected a regular file of at most 65536 bytes',
  ],
])('a file that %s is an error, with what to give instead', (_, make, message) => {
  const cwd = folder();
  make(join(cwd, 'a.json'));
  const call = () => readApprovalFiles(cwd, ['a.json']);
  expect(codeOf(call)).toBe('IO');
  expect(call).toThrow(
    expect.objectContaining({
      message: expect.stringContaining(message),
      hint: 'give the path of a file that `ax approve` made',
    }),
  );
});

test('more than 64 are refused before any is read', () => {
  const names = Array.from({ length: 65 }, (_, n) => `${n}.json`);
  expect(codeOf(() => readApprovalFiles('/nowhere', names))).toBe('USAGE');
});
