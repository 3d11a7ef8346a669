// What scrubbing costs a byte: clean text, and inputs made to be slow, beside clean text. One markdown table on stdout.
//
// AX_BENCH_MIB (default 16) says how much of each input is scrubbed, AX_BENCH_ROUNDS (default 5) how often.
import { createScrubber } from '../src/security/scrub/stream.ts';

const size = count('AX_BENCH_MIB', 16) * 2 ** 20;
const rounds = count('AX_BENCH_ROUNDS', 5);

const CLEAN = `2026-11-24T15:00:12.123Z info  server  GET /assets/app.3f2a.js 200 12ms
 ✓ src/components/list.test.tsx (14 tests) 231ms
[12:01:44] Compiling 42 modules with esbuild, please wait while the graph is resolved
warning: unused variable: \`index\` at src/lib.rs:120:9
added 312 packages, and audited 313 packages in 4s
`;
const SLOW = [
  'key',
  'key=',
  'token=kA1q ',
  'secret: "',
  '://a:b',
  'ey.ey',
  'glpat-',
  'glrt-t1_',
  '-----BEGIN ',
  'authorization: basic ',
  'curl -u "',
  'kraken=',
  'a@a.',
  '1234567 ',
  '1:1',
  'DE12 ',
];
const POLICIES = {
  live: { secrets: [], credentials: true, personal: false },
  'live, one declared': {
    secrets: [{ name: 'TOKEN', value: 'correct horse/battery"staple' }],
    credentials: true,
    personal: false,
  },
  'all that is kept': {
    secrets: [{ name: 'TOKEN', value: 'correct horse/battery"staple' }],
    credentials: true,
    personal: true,
  },
};

console.log('| Policy | clean text | slowest input | beside clean text |');
console.log('|---|---:|---:|---:|');
for (const [name, policy] of Object.entries(POLICIES)) {
  const clean = nanosecondsPerByte(policy, CLEAN);
  const slow = SLOW.map((unit) => ({ unit, cost: nanosecondsPerByte(policy, unit) }));
  const worst = slow.reduce((a, b) => (b.cost > a.cost ? b : a));
  const [fast, least] = [clean, worst.cost].map((cost) => `${Math.round(1000 / cost)} MB/s`);
  console.log(`| ${name} | ${fast} | \`${worst.unit}\` ${least} | ${(worst.cost / clean).toFixed(1)} |`);
}

/** The least of all rounds: what else the machine does only adds. */
function nanosecondsPerByte(policy, unit) {
  const input = Buffer.alloc(size, unit);
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const scrubber = createScrubber(policy);
    const began = process.hrtime.bigint();
    for (let at = 0; at < size; at += 65_536) scrubber.push(input.subarray(at, at + 65_536));
    scrubber.end();
    least = Math.min(least, Number(process.hrtime.bigint() - began) / size);
  }
  return least;
}

function count(name, otherwise) {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`${name}: expected a whole number of at least 1`);
  return value;
}
