// What a store with many receipts costs: whole processes, from spawn to exit. One markdown table on stdout.
// Everything it writes is in a temporary folder (half a gigabyte for 100,000 receipts), which it removes.
//
// AX_BENCH_RECEIPTS (default 100000) says how many.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openDatabase } from '../src/store/database.ts';
import { loadKeyring } from '../src/store/keyring.ts';
import { addReceipts, keysOf } from '../test/support/many-receipts.ts';

const AX = fileURLToPath(new URL('../bin/ax', import.meta.url));
const total = Number(process.env.AX_BENCH_RECEIPTS ?? 100_000);
if (!Number.isSafeInteger(total) || total < 1)
  throw new Error('AX_BENCH_RECEIPTS: expected a whole number from 1');
const scratch = mkdtempSync(join(tmpdir(), 'ax-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

const project = join(scratch, 'project');
const home = join(scratch, 'ax');
mkdirSync(project);
const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: scratch, TMPDIR: scratch, AX_HOME: home };
writeFileSync(
  join(project, 'ax.yaml'),
  'version: 1\nproject: acme/web\ntasks:\n  nothing:\n    run: ["true"]\n',
);
for (const args of [['init'], ['sign', '--yes'], ['run', 'nothing']]) measure(args);

const DAY_MS = 24 * 60 * 60 * 1000;
const tasks = ['build', 'test', 'lint', 'deploy'];
const outcomes = ['completed', 'completed', 'completed', 'completed', 'failed'];
const actors = ['ana', 'bo', 'cy'].map((name, index) => ({ uid: 1000 + index, name }));
const began = performance.now();
const uid = process.getuid();
const database = openDatabase(join(project, '.ax'), uid);
addReceipts(database, keysOf(loadKeyring(join(home, 'keys'), uid)), {
  count: total,
  from: Date.now() - 60 * DAY_MS,
  every: Math.floor((60 * DAY_MS) / total),
  each: (index) => ({
    task: tasks[index % tasks.length],
    outcome: outcomes[index % outcomes.length],
    actor: actors[index % actors.length],
  }),
});
database.close();
console.error(`${total} receipts made in ${((performance.now() - began) / 1000).toFixed(1)} s`);

console.log(`| ${total} receipts | time | receipts a second | memory |`);
console.log('|---|---:|---:|---:|');
row('`ax receipts list`', ['receipts', 'list'], 10);
row('`ax receipts verify --all`', ['receipts', 'verify', '--all'], 1, total);
row('`ax keys rotate`', ['keys', 'rotate'], 3, total);
prune();

/** Once, for it can be done once: half of them, which are older than half of the time. */
function prune() {
  const args = ['receipts', 'prune', '--older-than', '30d', '--yes'];
  print('`ax receipts prune`, of half of them', [measure(args)], Math.floor(total / 2));
}

/** The median of some rounds, and the most memory of any. */
function row(name, args, rounds, count) {
  measure(args);
  print(
    name,
    Array.from({ length: rounds }, () => measure(args)),
    count,
  );
}

function print(name, all, count) {
  const ms = all.map((one) => one.ms).toSorted((a, b) => a - b)[Math.floor(all.length / 2)];
  const megabytes = Math.max(...all.map((one) => one.kilobytes)) / 1000;
  const time = ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
  const rate = count === undefined ? '' : Math.round(count / (ms / 1000)).toLocaleString('en');
  console.log(`| ${name} | ${time} | ${rate} | ${megabytes.toFixed(0)} MB |`);
}

function measure(args) {
  // The process itself says how much memory it had, as the last it does.
  const atExit =
    'data:text/javascript,process.on("exit",()=>process._rawDebug("maxrss "+process.resourceUsage().maxRSS))';
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync(process.execPath, ['--import', atExit, AX, ...args], {
    cwd: project,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const ms = Number(process.hrtime.bigint() - start) / 1e6;
  if (status !== 0) throw new Error(`bench: ax ${args.join(' ')} ended with ${status}: ${stderr}`);
  return { ms, kilobytes: Number(/maxrss (\d+)/.exec(stderr)?.[1]) };
}
