import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { execa } from 'execa';
import { afterAll, onTestFinished } from 'vitest';

/** The real binary, run as a user would run it. `node scripts/build.mjs` makes what it loads. */
export const AX = fileURLToPath(new URL('../../bin/ax', import.meta.url));

const CLOCK = pathToFileURL(fileURLToPath(new URL('./clock.ts', import.meta.url))).href;

/** The project that the keys of a rig are trusted for. */
export const PROJECT = 'acme/web';

export interface Ran {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface How {
  /** Added to the rig's environment; undefined takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Below the project's folder. */
  readonly cwd?: string;
  /** How much later than now it is for ax, in milliseconds. */
  readonly later?: number;
}

/** A folder for a project and one for what ax keeps, both of one test alone and gone after it. */
export interface Rig {
  /** All of it; nothing of a test is outside. */
  readonly base: string;
  readonly project: string;
  /** AX_HOME: keys, trust, versions. */
  readonly home: string;
  readonly env: Readonly<Record<string, string>>;
  ax(...args: string[]): Promise<Ran>;
  axWith(how: How, ...args: string[]): Promise<Ran>;
  /** Starts ax and gives the process, for tests that talk to a run while it goes on. */
  start(...args: string[]): ReturnType<typeof spawn>;
  /** Writes ax.yaml for the trusted project; `tasks` is YAML, at any indentation. */
  manifest(tasks: string, head?: string): void;
  /** Writes ax.yaml and signs it. */
  sign(tasks: string, head?: string): Promise<void>;
  write(path: string, content: string | Uint8Array, mode?: number): void;
  read(path: string): string;
  has(path: string): boolean;
  /** What is left when ids, times, digests and paths are taken out of a text. */
  normal(text: string): string;
}

/** An empty project folder; the home has keys, and trusts them for `acme/web`. */
export async function createRig(): Promise<Rig> {
  const rig = createBareRig();
  cpSync(await templateHome(), rig.home, { recursive: true });
  // cpSync keeps the modes of files and not those of folders.
  for (const folder of [rig.home, join(rig.home, 'keys')]) chmodSync(folder, 0o700);
  return rig;
}

/** An empty project folder and no home at all. */
export function createBareRig(): Rig {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'ax-cli-')));
  const [project, home, user, temporary] = ['project', 'home', 'user', 'tmp'].map((name) => join(base, name));
  if (!project || !home || !user || !temporary) throw new Error('four paths');
  for (const folder of [project, user, temporary]) mkdirSync(folder);
  const env = {
    PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
    HOME: user,
    AX_HOME: home,
    TMPDIR: temporary,
    NO_COLOR: '1',
    // V8's compile cache: shared between the tests of a file, or each would begin by compiling ax.
    XDG_CACHE_HOME: join(shared(), 'cache'),
  };
  const started: ReturnType<typeof spawn>[] = [];
  onTestFinished(async () => {
    for (const process of started) process.kill('SIGKILL');
    await Promise.allSettled(started);
    rmSync(base, { recursive: true, force: true });
  });
  const rig: Rig = {
    base,
    project,
    home,
    env,
    ax: (...args) => rig.axWith({}, ...args),
    async axWith(how, ...args) {
      const { exitCode, stdout, stderr } = await spawn(rig, how, args);
      return { exitCode, stdout, stderr };
    },
    start(...args) {
      const process = spawn(rig, {}, args);
      started.push(process);
      return process;
    },
    manifest(tasks, head = '') {
      const extra = head === '' ? '' : `${head.trim()}\n`;
      rig.write('ax.yaml', `version: 1\nproject: ${PROJECT}\n${extra}tasks:\n${indent(tasks)}\n`);
    },
    async sign(tasks, head) {
      rig.manifest(tasks, head);
      const { exitCode, stderr } = await rig.ax('sign', '--yes');
      if (exitCode !== 0) throw new Error(`ax sign: ${exitCode}: ${stderr}`);
    },
    write(path, content, mode) {
      const file = join(project, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      if (mode !== undefined) chmodSync(file, mode);
    },
    read: (path) => readFileSync(join(project, path), 'utf8'),
    has: (path) => existsSync(join(project, path)),
    normal: (text) => normalise(text.replaceAll(project, '<project>').replaceAll(home, '<home>')),
  };
  return rig;
}

function spawn(rig: Rig, { env = {}, cwd = '.', later }: How, args: readonly string[]) {
  const clock = later === undefined ? [] : ['--import', CLOCK];
  return execa(process.execPath, [...clock, AX, ...args], {
    cwd: join(rig.project, cwd),
    env: { ...rig.env, ...env, ...(later === undefined ? {} : { AX_TEST_LATER: String(later) }) },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    stripFinalNewline: false,
  });
}

function indent(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const least = Math.min(...lines.map((line) => line.length - line.trimStart().length));
  return lines.map((line) => `  ${line.slice(least)}`).join('\n');
}

function normalise(text: string): string {
  return text
    .replace(/\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/g, '<time>')
    .replace(/\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b/g, '<date>')
    .replace(/\b[0-9a-f]{64}\b/g, '<sha256>')
    .replace(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, '<id>')
    .replace(/(?<![\w-])[\w-]{43}(?![\w-])/g, '<kid>')
    .replace(/\bin [0-9.]+(?:ms|s)\b/g, 'in <duration>');
}

let sharedFolder: string | undefined;

afterAll(() => {
  if (sharedFolder !== undefined) rmSync(sharedFolder, { recursive: true, force: true });
});

/** What all tests of one file share; gone after the last of them. */
function shared(): string {
  sharedFolder ??= mkdtempSync(join(tmpdir(), 'ax-cli-shared-'));
  return sharedFolder;
}

let template: Promise<string> | undefined;

/** The home that `ax init` makes for `acme/web`. */
function templateHome(): Promise<string> {
  template ??= (async () => {
    const rig = createBareRig();
    rig.manifest('hello: { run: [echo, hello] }');
    const { exitCode, stderr } = await rig.ax('init');
    if (exitCode !== 0) throw new Error(`ax init: ${exitCode}: ${stderr}`);
    const folder = join(shared(), 'home');
    cpSync(rig.home, folder, { recursive: true });
    return folder;
  })();
  return template;
}

/** The names of the files below a folder, sorted; empty when it is not there. */
export function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** Every file of the project and the home, with its content. */
export function snapshot(rig: Rig): Record<string, string> {
  const names = ['project', 'home'].flatMap((folder) =>
    filesBelow(join(rig.base, folder)).map((name) => join(folder, name)),
  );
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(rig.base, name), 'latin1')]));
}

/** The lines of a text that ends with a line feed. */
export function lines(text: string): string[] {
  return text.split('\n').slice(0, -1);
}
