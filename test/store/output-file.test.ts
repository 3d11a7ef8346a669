import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createOutputFile } from '../../src/store/output-file.ts';
import { codeOf } from '../support/code-of.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'ax-output-'));
  onTestFinished(() => {
    chmodSync(path, 0o700);
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

test('has its name only once it is whole, and is the owner’s alone', () => {
  const dir = folder();
  const file = createOutputFile(join(dir, 'out'), { replace: false });
  file.write(Buffer.from([0, 255]));
  expect(readdirSync(dir).filter((name) => name === 'out')).toEqual([]);
  file.write(Buffer.from('end'));
  file.commit();
  file.abandon();
  expect(readdirSync(dir)).toEqual(['out']);
  expect(readFileSync(join(dir, 'out'))).toEqual(Buffer.from([0, 255, 0x65, 0x6e, 0x64]));
  expect(statSync(join(dir, 'out')).mode & 0o777).toBe(0o600);
});

test('leaves nothing when it is abandoned', () => {
  const dir = folder();
  const file = createOutputFile(join(dir, 'out'), { replace: false });
  file.write(Buffer.from('half'));
  file.abandon();
  expect(readdirSync(dir)).toEqual([]);
});

test('does not begin where something has that name, a link that leads nowhere too', () => {
  const dir = folder();
  writeFileSync(join(dir, 'file'), 'mine');
  symlinkSync(join(dir, 'nowhere'), join(dir, 'link'));
  for (const name of ['file', 'link']) {
    expect(codeOf(() => createOutputFile(join(dir, name), { replace: false }))).toBe('IO');
  }
  expect(readdirSync(dir).sort()).toEqual(['file', 'link']);
  expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('mine');
});

test('does not replace what was put there meanwhile', () => {
  const dir = folder();
  const file = createOutputFile(join(dir, 'out'), { replace: false });
  writeFileSync(join(dir, 'out'), 'theirs');
  expect(codeOf(() => file.commit())).toBe('IO');
  file.abandon();
  expect(readdirSync(dir)).toEqual(['out']);
  expect(readFileSync(join(dir, 'out'), 'utf8')).toBe('theirs');
});

test('replaces in one step when it is told to; until then the old file stands', () => {
  const dir = folder();
  writeFileSync(join(dir, 'out'), 'old');
  const file = createOutputFile(join(dir, 'out'), { replace: true });
  file.write(Buffer.from('new'));
  expect(readFileSync(join(dir, 'out'), 'utf8')).toBe('old');
  file.commit();
  expect(readFileSync(join(dir, 'out'), 'utf8')).toBe('new');
  expect(readdirSync(dir)).toEqual(['out']);
});
