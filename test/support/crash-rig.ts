import { type ChildProcess, spawn } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openReceipt, verifyReceipt } from '../../src/runtime/receipt.ts';
import { parseReceiptKey } from '../../src/security/encryption-keys.ts';
import { parseSigningKey } from '../../src/security/signing-keys.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { type Keyring, loadKeyring } from '../../src/store/keyring.ts';
import { findReceipt, listReceipts } from '../../src/store/receipts.ts';

/** A project with a home of its own in a temporary folder, on which tests run the real bin/ax, and end it at will. */

export const AX = fileURLToPath(new URL('../../bin/ax', import.meta.url));
const STEPS = pathToFileURL(fileURLToPath(new URL('./signal-at-step.ts', import.meta.url))).href;
const UID = process.getuid?.() ?? -1;

/** How long a condition may take to come true before the test fails. No verdict depends on its being short. */
const DEADLINE_MS = 45_000;

export interface Ended {
  /** The exit status, or null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves once stdout and stderr, one after the other, hold a match; fails when the process ends without. */
  saw(pattern: RegExp): Promise<RegExpMatchArray>;
}

/** What befalls the process when it comes to a step that changes the disk; see signal-at-step.ts. */
export interface AtStep {
  readonly at: number;
  readonly signal: 'SIGKILL' | 'SIGSTOP' | 'ENOSPC';
  /** Counts only steps that begin with this. */
  readonly only?: string;
  /** Once the step is done rather than before it. */
  readonly after?: boolean;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly atStep?: AtStep;
}

export interface CrashRig {
  /** Holds all of the following. */
  readonly root: string;
  readonly project: string;
  readonly home: string;
  readonly store: string;
  readonly env: Readonly<Record<string, string>>;
  start(args: readonly string[], options?: StartOptions): Running;
  ax(args: readonly string[], options?: StartOptions): Promise<Ended>;
  /** How many steps a command takes that change the disk. */
  countSteps(args: readonly string[], options?: StartOptions & { only?: string }): Promise<number>;
  open(): Database;
  keyring(): Keyring;
  remove(): void;
}

export interface RigOptions {
  readonly policy?: object;
  readonly env?: Readonly<Record<string, string>>;
  /** Where the store is, when not beside the manifest. */
  readonly store?: string;
  /** Puts files into the project before it is signed. */
  readonly prepare?: (project: string) => void;
}

/** Makes the project, its keys and its signed lock. Tasks are what stands under `tasks:` in ax.yaml. */
export async function createRig(tasks: object, options: RigOptions = {}): Promise<CrashRig> {
  const root = mkdtempSync(join(tmpdir(), 'ax-'));
  const project = join(root, 'project');
  const home = join(root, 'home');
  const temporary = join(root, 'tmp');
  const user = join(root, 'user');
  for (const folder of [project, temporary, user]) mkdirSync(folder, { mode: 0o700 });
  const store = options.store ?? join(project, '.ax');
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    HOME: user,
    TMPDIR: temporary,
    AX_HOME: home,
    AX_STORE: store,
    ...options.env,
  };

  function start(args: readonly string[], { env: more, cwd, atStep }: StartOptions = {}): Running {
    const step =
      atStep === undefined
        ? {}
        : {
            AX_TEST_STEP: String(atStep.at),
            AX_TEST_SIGNAL: atStep.signal,
            AX_TEST_ONLY: atStep.only ?? '',
            AX_TEST_AFTER: atStep.after === true ? '1' : '',
          };
    const preload = atStep === undefined && more?.AX_TEST_COUNT === undefined ? [] : ['--import', STEPS];
    const child = spawn(process.execPath, [...preload, AX, ...args], {
      cwd: cwd ?? project,
      env: { ...env, ...more, ...step },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return follow(child, args);
  }

  const rig: CrashRig = {
    root,
    project,
    home,
    store,
    env,
    start,
    ax: (args, given) => start(args, given).ended,
    async countSteps(args, given = {}) {
      const file = join(temporary, 'steps');
      const { only, ...rest } = given;
      const counting = { ...rest.env, AX_TEST_COUNT: file, AX_TEST_ONLY: only ?? '' };
      await expectDone(rig, args, { ...rest, env: counting });
      return Number(readFileSync(file, 'utf8'));
    },
    open: () => openDatabase(store, UID),
    keyring: () => loadKeyring(join(home, 'keys'), UID),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };

  // JSON is YAML.
  const manifest = {
    version: 1,
    project: 'crash/rig',
    tasks,
    ...(options.policy && { policy: options.policy }),
  };
  writeFileSync(join(project, 'ax.yaml'), JSON.stringify(manifest, null, 2));
  options.prepare?.(project);
  await expectDone(rig, ['init']);
  await expectDone(rig, ['sign']);
  return rig;
}

/** Runs a command that is to succeed. */
export async function expectDone(
  rig: CrashRig,
  args: readonly string[],
  options: StartOptions = {},
): Promise<Ended> {
  const ended = await rig.ax(args, options);
  if (ended.status === 0) return ended;
  throw new Error(`ax ${args.join(' ')}: ${ended.status ?? ended.signal}\n${ended.stdout}\n${ended.stderr}`);
}

function follow(child: ChildProcess, args: readonly string[]): Running {
  const text = { stdout: '', stderr: '' };
  let over = false;
  const looking = new Set<() => void>();
  const look = (): void => {
    for (const check of looking) check();
  };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
      look();
    });
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      over = true;
      look();
      resolve({ status, signal, ...text });
    });
  });
  return {
    pid: child.pid ?? -1,
    ended,
    kill: (signal) => void child.kill(signal),
    saw: (pattern) =>
      new Promise((resolve, reject) => {
        const settle = (act: () => void): void => {
          clearTimeout(timer);
          looking.delete(check);
          act();
        };
        const fail = (why: string): void =>
          settle(() =>
            reject(new Error(`ax ${args.join(' ')}: ${why} ${pattern}\n${text.stdout}\n${text.stderr}`)),
          );
        const check = (): void => {
          const found = `${text.stdout}${text.stderr}`.match(pattern);
          if (found !== null) settle(() => resolve(found));
          else if (over) fail('ended without');
        };
        const timer = setTimeout(() => fail('did not print in time'), DEADLINE_MS);
        looking.add(check);
        check();
      }),
  };
}

/** Polls until there is a value; fails after a deadline. */
export async function until<T>(what: string, probe: () => T | undefined | false): Promise<T> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const value = probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** True while there is such a process, and it is not merely waiting to be reaped. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '');
  } catch {
    return false;
  }
}

/** True while a process stands still after SIGSTOP. Linux only. */
export function isStopped(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
}

/** Opens and verifies every receipt of a store. @returns their ids */
export function verifyReceipts(rig: CrashRig, ids?: readonly string[]): string[] {
  const keyring = rig.keyring();
  const of = (role: string) => keyring.filter((entry) => entry.role === role);
  const identities = of('receipt').map(({ jwk, kid }) => parseReceiptKey(jwk, kid));
  const hosts = of('host').map(({ jwk, kid }) => parseSigningKey(jwk, kid));
  const database = rig.open();
  try {
    const wanted = ids ?? listReceipts(database, { limit: -1 }).map(({ id }) => id);
    for (const id of wanted) {
      const receipt = findReceipt(database, id);
      verifyReceipt(receipt, openReceipt(receipt, identities), hosts);
    }
    return [...wanted];
  } finally {
    database.close();
  }
}

/** Every file under a folder whose bytes hold one of the needles. */
export function filesHolding(folder: string, needles: readonly string[]): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => {
      const bytes = bytesOf(path);
      return needles.some((needle) => bytes.includes(needle));
    });
}

/** Nothing for what is no file, or was removed meanwhile. */
function bytesOf(path: string): Buffer {
  try {
    return lstatSync(path).isFile() ? readFileSync(path) : Buffer.alloc(0);
  } catch {
    return Buffer.alloc(0);
  }
}

/** With `AX_CRASH_ROUNDS` set to as many, every step is tried; a short run takes every third one, and the last. */
const ROUNDS = Number(process.env.AX_CRASH_ROUNDS ?? 0);

/** Which of so many steps to kill a command at, from 1. */
export function stepsToTry(steps: number): number[] {
  const all = Array.from({ length: steps }, (_, index) => index + 1);
  return ROUNDS >= steps ? all : all.filter((at) => at % 3 === 1 || at === steps);
}

/** Numbers from 0 up to 1 that are the same in every run (mulberry32). */
export function seededNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
