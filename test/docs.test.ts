import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { createContext } from '../src/context.ts';
import { type ErrorCode, exitCodeOf } from '../src/errors.ts';
import { manifestSchema, sourceSchema } from '../src/manifest/schema.ts';
import { buildProgram } from '../src/program.ts';
import { VERSION } from '../src/version.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = globSync('{*.md,docs/*.md,bench/*.md}', { cwd: root }).sort();
const formats = read('docs/formats.md');
const guards = read('docs/guards.md');

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

describe('the documentation', () => {
  it('is there', () => {
    expect(pages).toEqual(
      expect.arrayContaining([
        'CHANGELOG.md',
        'CONTRIBUTING.md',
        'README.md',
        'SECURITY.md',
        'bench/README.md',
        'docs/architecture.md',
        'docs/design-notes.md',
        'docs/exit-codes.md',
        'docs/formats.md',
        'docs/guards.md',
        'docs/threat-model.md',
      ]),
    );
  });

  it.each(pages)('%s: every relative link leads to a file, and to a heading of it', (page) => {
    for (const [, link = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      expect(existsSync(join(root, target)), link).toBe(true);
      if (anchor !== undefined) expect(anchors(target), link).toContain(anchor);
    }
  });

  it.each(pages)('%s: every file that it names is there', (page) => {
    const paths = [
      ...read(page).matchAll(/`((?:src|test|docs|scripts|bench|bin|man)\/[\w./-]*|[\w.-]+\.md)`/g),
    ].map(([, path = '']) => path);
    for (const path of paths) expect(existsSync(join(root, path)), path).toBe(true);
  });

  it.each(pages)('%s: every ax command that it names exists', (page) => {
    for (const words of commandsIn(read(page))) expect(isCommand(words), `ax ${words.join(' ')}`).toBe(true);
  });
});

describe('docs/formats.md', () => {
  it('has, with docs/guards.md, every key of ax.yaml and of the signed payload', () => {
    const schemas = [sourceSchema, manifestSchema].map((s) => z.toJSONSchema(s, { unrepresentable: 'any' }));
    for (const key of new Set(schemas.flatMap(propertyNames))) {
      expect(formats + guards, key).toMatch(new RegExp(`\`[^\`\n]*\\b${key}\\b[^\`\n]*\``));
    }
  });

  it('has every schema that --json prints', () => {
    const names = sources().flatMap((text) => text.match(/(?<=')ax\.[a-z.]+\/[0-9]+(?=')/g) ?? []);
    expect(names).toContain('ax.run/1');
    for (const name of new Set(names)) expect(formats).toContain(`\`${name}\``);
  });

  it('has every type of audit record', () => {
    const [, union = ''] = /export type AuditType =([^;]*);/.exec(read('src/store/audit.ts')) ?? [];
    const types = [...union.matchAll(/'([^']+)'/g)].map(([, type]) => type);
    expect(types).toContain('run.finished');
    for (const type of types) expect(formats).toContain(`| \`${type}\` |`);
  });

  it('has every table of the store', () => {
    const tables = [...read('src/store/migrations.ts').matchAll(/CREATE TABLE (\w+)/g)].map(
      ([, name]) => name,
    );
    expect(tables).toContain('runs');
    for (const table of tables) expect(formats).toContain(`| \`${table}\` |`);
  });
});

it('docs/exit-codes.md has every error code, with its status, and no other', () => {
  const [, table = ''] = /const EXIT = \{(.*?)\n\}/s.exec(read('src/errors.ts')) ?? [];
  const codes = [...table.matchAll(/^ {2}([A-Z_]+):/gm)].map(([, code]) => code as ErrorCode);
  expect(codes.length).toBeGreaterThan(40);
  const rows = [...read('docs/exit-codes.md').matchAll(/^\| `([A-Z_]+)` \| ([0-9]+) \|/gm)];
  expect(Object.fromEntries(rows.map(([, code, status]) => [code, Number(status)]))).toEqual(
    Object.fromEntries(codes.map((code) => [code, exitCodeOf(code)])),
  );
});

it('docs/threat-model.md goes through all of T1 to T14', () => {
  const threats = [...read('docs/threat-model.md').matchAll(/^## T([0-9]+) .*?(?=^## |$(?![\s\S]))/gms)];
  expect(threats.map(([, number]) => Number(number))).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
  for (const [section] of threats) {
    // That the files are there is asked of every page.
    expect(section).toMatch(/- Code: `src\/[\s\S]*- Shown by: `test\/[\s\S]*- Open: /);
    for (const [, file = '', story = ''] of section.matchAll(/`(test\/[\w./-]+)`\s+\("([^"]+)"\)/g)) {
      expect(read(file), file).toContain(story);
    }
  }
});

it('the demo of the README ends well and leaves nothing behind', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/demo.mjs')], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(stdout).toMatch(/"_type": "https:\/\/in-toto\.io\/Statement\/v1"/);
  expect(stdout).toMatch(/error\[DEPENDENCY_CHANGED\][\s\S]*error\[SIGNATURE_INVALID\]/);
  expect(stdout).not.toContain('correct-horse-battery');
  expect(status).toBe(0);
});

/** The text outside code. */
function prose(page: string): string {
  return read(page)
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, '');
}

/** The anchors that a Markdown renderer gives to headings. */
function anchors(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** What follows `ax` in code: whole spans, and lines of blocks. */
function commandsIn(text: string): string[][] {
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
  const lines = [...text.matchAll(/^```(?:sh|console)\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
    block.split('\n'),
  );
  return [...spans, ...lines]
    .flatMap((code) => code.split(' && '))
    .flatMap((code) => {
      const words = /^(?:\$ )?ax ((?:[a-z]+ ?)+)/.exec(code)?.[1];
      return words === undefined ? [] : [words.trim().split(' ')];
    });
}

/** The first word must name a command, and below a group the second one too. */
function isCommand([first, second]: readonly string[]): boolean {
  const program = buildProgram(createContext(), { version: VERSION, passThrough: [], onExit: () => {} });
  const command = program.commands.find((each) => each.name() === first);
  if (command === undefined || command.commands.length === 0) return command !== undefined;
  return second === undefined || command.commands.some((each) => each.name() === second);
}

function propertyNames(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return [...own, ...Object.values(schema).flatMap(propertyNames)];
}

function sources(): string[] {
  return globSync('src/**/*.ts', { cwd: root }).map(read);
}
