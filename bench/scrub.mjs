// What scrubbing costs a byte: clean text, and the slowest of some thousand inputs that could be slow: every keyword of
// every rule with and without what may follow it, and what looks like each kind of personal data, over and over. One
// markdown table on stdout.
//
// AX_BENCH_MIB (default 8) says how much of each input is scrubbed in the end, AX_BENCH_ROUNDS (default 7) how often.
import { TELLING } from '../src/security/scrub/generic.ts';
import { placeRules } from '../src/security/scrub/headers.ts';
import { serviceRules } from '../src/security/scrub/services.ts';
import { createScrubber } from '../src/security/scrub/stream.ts';
import { tokenRules } from '../src/security/scrub/tokens.ts';

const size = count('AX_BENCH_MIB', 8) * 2 ** 20;
const rounds = count('AX_BENCH_ROUNDS', 7);
/** For finding the slowest, and how many of those are measured again. */
const SAMPLE = 2 ** 17;
const CANDIDATES = 40;

const CLEAN = `2026-11-24T15:00:12.123Z info  server  GET /assets/app.3f2a.js 200 12ms
 ✓ src/components/list.test.tsx (14 tests) 231ms
[12:01:44] Compiling 42 modules with esbuild, please wait while the graph is resolved
warning: unused variable: \`index\` at src/lib.rs:120:9
added 312 packages, and audited 313 packages in 4s
`;

const keywords = [...tokenRules(), ...serviceRules(), ...placeRules()].flatMap((rule) => rule.keywords);
const FOLLOWED_BY = [
  ...['', ' ', '\n', '=', ': ', '="', ' => "', '-', '_', '/', '://', ':a@'],
  ...['kA1q9Zxb7Wm3 ', 'kA1q9Zxb7Wm3'.repeat(5), '=kA1q9Zxb7\n', `=${'kA1q9Zxb7Wm3'.repeat(3)}\n`],
  ...['=a1b2c3d4e5f60718293a4b5c6d7e8f90 ', `=${'a'.repeat(32)} `, '=$aaaaaaaaa '],
];
const SLOW = new Set([
  // As they are written, and as their issuers write them.
  ...[...keywords, ...TELLING, ...keywords.map((keyword) => keyword.toUpperCase())].flatMap((keyword) =>
    FOLLOWED_BY.map((end) => keyword + end),
  ),
  ...['a', 'A', '1', '@', ' ', '\n', '\t', '-', '.', ':', '/', '=', '"', '+', '(', 'é', 'ÿ'],
  ...['eyJ', 'eyJ.', 'eyJa.eyJ', 'kA1q9Zxb7Wm3', '0123456789abcdef', `${'ab12'.repeat(300)}\n`],
  ...['-----BEGIN PRIVATE KEY-----', '-----BEGIN PRIVATE KEY-----\n', '-----BEGIN PRIVATE KEY-----\nAAAA\n'],
  ...[
    'Authorization: ',
    'Authorization: Bearer ',
    'authorization: basic ',
    'cookie: a=$',
    'Cookie: a=bcdefgh\n',
  ],
  ...[
    'curl -u "',
    ' -u ',
    ' -u "a',
    'curl -u a:b -u ',
    'curl --user a:bb',
    'https://a:b@',
    '://:@',
    '://a:b',
  ],
  ...['pwd=a1b2c3d4\n', 'password: a1b2c3d4 ', 'token="kA1q9Zxb7Wm3Lp0v" ', 'token=kA1q ', 'secret: "'],
  ...['kind: Secret\n', 'data:\n', 'apiVersion: v1\ndata:\n', 'kind: Secret\ndata:\n  a: b\n', 'metadata:\n'],
  ...['"kind":"Secret","data":{"a":"b"},', '"data":{', '"kind":"Secret","data":{', '\\"data\\":{\\"a\\":\\"'],
  ...['a@', 'a@a.', '@a.b', 'a.b@c.de ', '"a"@', '"a"@b.cd', '.@a.b'],
  ...['(1', '(1)', '+1', '1-', '12-', '1.', '1 ', '12345678 ', '123456789\n', '5551234567\n', '0171234567\n'],
  ...[
    '+12345678',
    '(555) 123-4567 ',
    'call 5551234567 ',
    'number 123456789 ',
    '123-45-6789 ',
    '078-05-1120 ',
  ],
  ...[
    '1234 ',
    '4111 ',
    '4111 1111 1111 1112 ',
    '4111111111111112\n',
    'DE12 ',
    'LU12 ',
    'LU28001940064475000\n',
  ],
  ...['1.1.1.1 ', '1.2.3.4:', '1:1', '::', '::1 ', 'a:', 'fe80:: ', '12:34:56 ', CLEAN.replaceAll('\n', ' ')],
]);
const secrets = [{ name: 'TOKEN', value: 'correct horse/battery"staple' }];
const POLICIES = {
  live: { secrets: [], credentials: true, personal: false },
  'live, one declared': { secrets, credentials: true, personal: false },
  'all that is kept': { secrets, credentials: true, personal: true },
  'all that is kept, and IP addresses': { secrets, credentials: true, personal: true, addresses: true },
};

console.log(`| Policy | clean text | slowest of ${SLOW.size} inputs | beside clean text |`);
console.log('|---|---:|---:|---:|');
for (const [name, policy] of Object.entries(POLICIES)) {
  const slow = leastCosts(policy, [...SLOW], SAMPLE, 2)
    .sort((a, b) => b.cost - a.cost)
    .slice(0, CANDIDATES);
  const units = slow.map(({ unit }) => unit);
  const [{ cost: clean }, ...costs] = leastCosts(policy, [CLEAN, ...units], size, rounds);
  const worst = costs.reduce((a, b) => (b.cost > a.cost ? b : a));
  const [fast, least] = [clean, worst.cost].map((cost) => `${Math.round(1000 / cost)} MB/s`);
  const shown = worst.unit.replaceAll('\n', '⏎');
  console.log(`| ${name} | ${fast} | \`${shown}\` ${least} | ${(worst.cost / clean).toFixed(1)} |`);
}

/**
 * In time of the processor for a byte, the least of some rounds: what else the machine does only adds. Each round
 * measures all inputs, so that what slows the machine for a while slows none of them in all of its rounds.
 */
function leastCosts(policy, units, bytes, rounds) {
  const costs = units.map((unit) => ({ unit, cost: Number.POSITIVE_INFINITY }));
  for (let round = 0; round < rounds; round++) {
    for (const each of costs) each.cost = Math.min(each.cost, nanosecondsPerByte(policy, each.unit, bytes));
  }
  return costs;
}

function nanosecondsPerByte(policy, unit, bytes) {
  const input = Buffer.alloc(bytes, unit);
  const scrubber = createScrubber(policy);
  const began = process.cpuUsage();
  for (let at = 0; at < bytes; at += 65_536) scrubber.push(input.subarray(at, at + 65_536));
  scrubber.end();
  const { user, system } = process.cpuUsage(began);
  return ((user + system) * 1000) / bytes;
}

function count(name, otherwise) {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`${name}: expected a whole number of at least 1`);
  return value;
}
