import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { highestVersionSeen, rememberVersion } from '../../src/store/versions.ts';
import { codeOf } from '../support/code-of.ts';
import { runWorkers } from '../support/workers.ts';

const UID = process.getuid?.() ?? -1;
const PROJECT = 'acme/web';

let folder: string;
let versions: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ax-'));
  versions = join(folder, 'versions');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const remember = (version: number, project = PROJECT) =>
  rememberVersion(versions, { project, version, uid: UID });

test('none has been seen at first, and asking makes no folder', () => {
  expect(highestVersionSeen(versions, PROJECT)).toBe(0);
  expect(readdirSync(folder)).toEqual([]);
});

test('the mark rises and never falls', () => {
  for (const [version, mark] of [
    [3, 3],
    [1, 3],
    [3, 3],
    [10, 10],
    [9, 10],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [11, Number.MAX_SAFE_INTEGER],
  ] as const) {
    remember(version);
    expect(highestVersionSeen(versions, PROJECT)).toBe(mark);
  }
});

test('each project has its own, however alike their names', () => {
  remember(5);
  remember(2, 'acme');
  remember(3, 'acme-web');
  expect(
    ['acme/web', 'acme', 'acme-web', 'acme/web/x'].map((name) => highestVersionSeen(versions, name)),
  ).toEqual([5, 2, 3, 0]);
});

test('lower marks are forgotten, so a thousand versions are one file', () => {
  for (let version = 1; version <= 50; version++) remember(version);
  expect(readdirSync(versions, { recursive: true })).toHaveLength(2);
});

test('is private to its owner, whatever the umask', () => {
  const umask = process.umask(0);
  try {
    remember(1);
  } finally {
    process.umask(umask);
  }
  for (const name of ['', ...readdirSync(versions, { recursive: true, encoding: 'utf8' })]) {
    const stat = statSync(join(versions, name));
    expect([name, (stat.mode & 0o777).toString(8)]).toEqual([name, stat.isDirectory() ? '700' : '600']);
  }
});

test('files that are no version do not count', () => {
  remember(4);
  const [project = ''] = readdirSync(versions);
  for (const name of ['99x', '-5', '0', '007', '1e9', 'Infinity', '99999999999999999999', '.5']) {
    writeFileSync(join(versions, project, name), '');
  }
  expect(highestVersionSeen(versions, PROJECT)).toBe(4);
});

test('a folder that others may enter is refused', () => {
  mkdirSync(versions);
  chmodSync(versions, 0o777);
  expect(codeOf(() => remember(1))).toBe('KEY_PERMISSIONS');
});

test('eight processes that raise it at once leave the highest', async () => {
  const jobs = Array.from({ length: 8 }, (_, worker) => [
    'raise',
    versions,
    // Each goes up in steps of its own: 1, 9, 17 … 2, 10, 18 …
    ...Array.from({ length: 40 }, (__, step) => String(step * 8 + worker + 1)),
  ]);
  expect(await runWorkers(jobs)).toEqual(Array(8).fill('raised'));
  expect(highestVersionSeen(versions, PROJECT)).toBe(320);
});
