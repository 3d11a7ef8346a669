// What `ax run` costs around a task that does nothing: whole processes, from spawn to exit, as their caller sees
// them. One markdown table on stdout. Everything it writes is in a temporary folder, which it removes.
//
// AX_BENCH_ROUNDS (default 50) and AX_BENCH_WARMUP (default 5) say how often each command runs.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const AX = fileURLToPath(new URL('../bin/ax', import.meta.url));
const rounds = count('AX_BENCH_ROUNDS', 50);
const warmup = count('AX_BENCH_WARMUP', 5);
const scratch = mkdtempSync(join(tmpdir(), 'ax-bench-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

const project = join(scratch, 'project');
const temporary = join(scratch, 't');
const metadata = join(scratch, 'in-toto');
for (const folder of [project, temporary, metadata]) mkdirSync(folder);

// A home of its own: ax's keys and compile cache, npm's logs, all of it goes there.
const env = {
  PATH: process.env.PATH ?? '/usr/bin:/bin',
  HOME: scratch,
  TMPDIR: temporary,
  AX_HOME: join(scratch, 'ax'),
  npm_config_update_notifier: 'false',
};

writeFileSync(
  join(project, 'ax.yaml'),
  `version: 1
project: bench
tasks:
  nothing:
    run: ["true"]
  guarded:
    run: ["true"]
    guards:
      - changeWindow: { days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "24:00", timezone: Europe/Berlin }
      - rateLimit: { max: 1000, per: 1s }
      - actor: { allow: ["uid:${process.getuid()}"] }
`,
);
writeFileSync(join(project, 'package.json'), '{"private": true, "scripts": {"nothing": "true"}}\n');
writeFileSync(join(project, 'Makefile'), 'nothing:\n\t@true\n.PHONY: nothing\n');
for (const args of [['init'], ['sign']]) {
  const made = run([process.execPath, AX, ...args]);
  if (made.status !== 0) throw new Error(`bench: ax ${args[0]}: ${made.stderr}`);
}
run(['in-toto-keygen', '-t', 'ed25519', join(metadata, 'key')]);

const candidates = [
  { name: '`true`', argv: ['true'] },
  { name: '`node -e 0`', argv: [process.execPath, '-e', '0'] },
  { name: '`make nothing`', argv: ['make', '-s', 'nothing'] },
  { name: '`npm run nothing`', argv: ['npm', 'run', '--silent', 'nothing'] },
  {
    name: '`in-toto-run -- true`',
    argv: [
      'in-toto-run',
      '-n',
      'nothing',
      '-k',
      join(metadata, 'key'),
      '-t',
      'ed25519',
      '-d',
      metadata,
      '--',
      'true',
    ],
  },
  { name: '`ax run nothing`', argv: [process.execPath, AX, 'run', 'nothing'] },
  { name: '`ax run guarded`', argv: [process.execPath, AX, 'run', 'guarded'] },
];
const commands = candidates.filter(({ argv }) => run(argv).status === 0);
const missing = candidates.filter((candidate) => !commands.includes(candidate));

const times = new Map(commands.map(({ name }) => [name, []]));
for (let round = -warmup; round < rounds; round += 1) {
  // Round by round and each time from another one on: what else the machine does falls on all of them.
  for (let turn = 0; turn < commands.length; turn += 1) {
    const { name, argv } = commands[(turn + round + warmup) % commands.length];
    const start = process.hrtime.bigint();
    const { status } = run(argv, 'ignore');
    const ms = Number(process.hrtime.bigint() - start) / 1e6;
    if (status !== 0) throw new Error(`bench: ${name} ended with ${status}`);
    if (round >= 0) times.get(name).push(ms);
  }
}

const base = quantile(times.get('`node -e 0`'), 0.5);
console.log('| Command | least | median | p95 | median beside `node -e 0` |');
console.log('|---|---:|---:|---:|---:|');
for (const [name, all] of times) {
  const median = quantile(all, 0.5);
  console.log(
    `| ${name} | ${ms(quantile(all, 0))} | ${ms(median)} | ${ms(quantile(all, 0.95))} | ${(median / base).toFixed(2)} |`,
  );
}
// Round by round, so that a slow moment of the machine falls on both.
const added = times.get('`ax run guarded`').map((time, round) => time - times.get('`ax run nothing`')[round]);
console.log(`\nThree built-in guards add ${ms(quantile(added, 0.5))} (median over the rounds).`);
console.error(
  `${rounds} rounds after ${warmup} to warm up; Node ${process.versions.node}, ${process.platform}`,
);
for (const { name } of missing) console.error(`left out, not installed here: ${name}`);

function run([file, ...args], stdio = 'pipe') {
  return spawnSync(file, args, { cwd: project, env, stdio, encoding: 'utf8' });
}

function quantile(values, q) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return below + (above - below) * (at - Math.floor(at));
}

function ms(value) {
  return `${value.toFixed(1)} ms`;
}

function count(name, fallback) {
  const text = process.env[name];
  if (text === undefined) return fallback;
  if (!/^[1-9][0-9]{0,4}$/.test(text))
    throw new Error(`${name}: expected a whole number from 1, found "${text}"`);
  return Number(text);
}
