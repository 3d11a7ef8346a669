import fs, { writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { DatabaseSync, StatementSync } from 'node:sqlite';

/**
 * Loaded before bin/ax with `--import`: counts what changes the disk, and when it comes to one chosen step sends the
 * process a signal, or lets the step fail for want of space. So a test can try each of them in turn, where a random
 * moment would seldom fall.
 *
 * AX_TEST_STEP     which step, from 1
 * AX_TEST_SIGNAL   SIGKILL, SIGSTOP or ENOSPC
 * AX_TEST_ONLY     count only steps that begin with this
 * AX_TEST_AFTER    1: once the step is done, rather than before it
 * AX_TEST_COUNT    a file that gets the number of steps at the end
 */

const { AX_TEST_STEP, AX_TEST_SIGNAL, AX_TEST_ONLY = '', AX_TEST_AFTER, AX_TEST_COUNT } = process.env;
const seen = new Set<string>();
let steps = 0;

function step<T>(name: string, body: () => T): T {
  if (!name.startsWith(AX_TEST_ONLY)) return body();
  const chosen = ++steps === Number(AX_TEST_STEP);
  const strike = (): void => {
    if (AX_TEST_SIGNAL === 'ENOSPC') throw noSpace();
    process.kill(process.pid, AX_TEST_SIGNAL);
  };
  if (chosen && AX_TEST_AFTER !== '1') strike();
  const result = body();
  if (chosen && AX_TEST_AFTER === '1') strike();
  return result;
}

/** What both node:fs and node:sqlite (SQLITE_FULL) could say. */
function noSpace(): Error {
  return Object.assign(new Error('no space left on device'), { code: 'ENOSPC', errcode: 13 });
}

type Call = (this: unknown, ...args: unknown[]) => unknown;

function wrap(
  target: object,
  method: string,
  nameOf: (self: unknown, args: unknown[]) => string | null,
): void {
  const calls = target as Record<string, Call>;
  const original = calls[method];
  if (original === undefined) throw new Error(`no ${method} to wrap`);
  calls[method] = function (...args) {
    const name = nameOf(this, args);
    return name === null ? original.apply(this, args) : step(name, () => original.apply(this, args));
  };
}

/** Reading a file is no step. */
function isReading(flags: unknown): boolean {
  if (typeof flags === 'number')
    return (flags & (fs.constants.O_WRONLY | fs.constants.O_RDWR | fs.constants.O_CREAT)) === 0;
  return flags === undefined || flags === 'r';
}

for (const method of ['writeFileSync', 'fsyncSync', 'renameSync', 'rmSync', 'mkdirSync']) {
  wrap(fs, method, () => method);
}
// What is said on stdout and stderr is no step.
wrap(fs, 'writeSync', (_, [fd]) => (fd === 1 || fd === 2 ? null : 'writeSync'));
wrap(fs, 'openSync', (_, [, flags]) => (isReading(flags) ? null : 'openSync'));
syncBuiltinESMExports();
wrap(DatabaseSync.prototype, 'exec', (_, [sql]) => String(sql));
// One statement may run for each of a thousand rows: its first time is a step, for all that follow are like it.
wrap(StatementSync.prototype, 'run', (self) => {
  const sql = (self as StatementSync).sourceSQL.trim();
  if (seen.has(sql)) return null;
  seen.add(sql);
  return sql;
});

if (AX_TEST_COUNT !== undefined) {
  process.once('exit', () => writeFileSync(AX_TEST_COUNT, String(steps)));
}
