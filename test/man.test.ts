import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import packageJson from '../package.json' with { type: 'json' };
import { commandPath, leafCommands, manPages } from '../scripts/man-pages.ts';
import { createContext } from '../src/context.ts';
import { commandExamples } from '../src/program/tree.ts';
import { buildProgram } from '../src/program.ts';
import { VERSION } from '../src/version.ts';
import { shellWords } from './support/shell-words.ts';

const folder = fileURLToPath(new URL('../man', import.meta.url));
const committed = readdirSync(folder).sort();
const mandoc = spawnSync('mandoc', ['-T', 'lint', join(folder, 'ax.1')]).error === undefined;

function program(passThrough: readonly string[] = []) {
  return buildProgram(createContext(), { version: VERSION, passThrough, onExit: () => {} });
}

const leaves = leafCommands(program());
const examples = leaves.flatMap((command) =>
  commandExamples(command).map((line) => ({ line, path: commandPath(command) })),
);

describe('the pages in man/', () => {
  it('are what `npm run man` makes of the command tree', () => {
    const made = Object.fromEntries(manPages(program(), VERSION).map(({ file, text }) => [file, text]));
    const found = Object.fromEntries(
      committed.map((file) => [file, readFileSync(join(folder, file), 'utf8')]),
    );
    expect(found, 'run: npm run man').toEqual(made);
  });

  it('are the ones that package.json names for npm to install', () => {
    expect(packageJson.man).toEqual(committed.map((file) => `man/${file}`));
  });

  it('are the same on any day', () => {
    for (const { text } of manPages(program(), VERSION)) expect(text).toMatch(/^\.TH [^ ]+ 1 "" "ax /);
  });

  it.skipIf(!mandoc)('have no error that mandoc can find', () => {
    execFileSync('mandoc', ['-T', 'lint', '-W', 'error', ...committed.map((file) => join(folder, file))]);
  });
});

describe('every command', () => {
  it.each(leaves.map((command) => [commandPath(command), command] as const))(
    '%s has help, and so has every argument and option of it',
    (_, command) => {
      expect(command.summary()).not.toBe('');
      expect(command.description()).not.toBe('');
      expect(commandExamples(command)).not.toEqual([]);
      for (const argument of command.registeredArguments) {
        expect(argument.description, argument.name()).not.toBe('');
      }
      for (const option of command.options) expect(option.description, option.flags).not.toBe('');
    },
  );
});

describe('every example', () => {
  it.each(examples)('$line', async ({ line, path }) => {
    const words = shellWords(line);
    expect(words.slice(0, path.split(' ').length).join(' ')).toBe(path);
    // As main.ts takes it apart.
    const argv = words.slice(1);
    const takesArgs = ['run', 'retry', 'approve'].includes(argv[0] ?? '');
    const separator = takesArgs ? argv.indexOf('--') : -1;
    const tree = program(separator < 0 ? [] : argv.slice(separator + 1));
    let called: string | undefined;
    for (const command of [tree, ...tree.commands, ...tree.commands.flatMap((sub) => sub.commands)]) {
      command.exitOverride().configureOutput({ writeErr: () => {} });
    }
    for (const command of leafCommands(tree)) {
      command.action(() => {
        called = commandPath(command);
      });
    }
    await tree.parseAsync(separator < 0 ? argv : argv.slice(0, separator), { from: 'user' });
    expect(called).toBe(path);
  });
});
