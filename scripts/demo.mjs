// The main job, for real: a project in a temporary folder, with a keyring of its own, from `ax init` to a refusal.
// Prints every command before its output, ends with an error if one of them does not end as it should, and leaves
// nothing behind.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const AX = fileURLToPath(new URL('../bin/ax', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'ax-demo-'));
const project = join(scratch, 'shop');
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

// Nothing of the user's own ax: another home, and no variable that would change where things go.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AX_')));
env.AX_HOME = join(scratch, 'home');

const MANIFEST = `version: 1
project: demo/shop
tasks:
  build:
    title: Build the shop
    run: [./build.sh, "{{target}}"]
    params:
      target: { pattern: "[a-z]+", default: web }
    outputs: [dist/**]
    secrets: [TOKEN]
    timeout: 1m
`;

const BUILD = `#!/bin/sh
mkdir -p dist
echo "<h1>$1</h1>" > dist/index.html
echo "built $1 with token $TOKEN"
`;

function say(text) {
  console.log(`\n# ${text}`);
}

/** Runs ax, and shows what a user would see. */
function ax(args, { status = 0, ...options } = {}) {
  console.log(`$ ax ${args.join(' ')}`);
  const run = spawnSync(process.execPath, [AX, ...args], {
    cwd: project,
    env: { ...env, ...options.env },
    // What ax says goes where the commands are printed, in the order in which it is said.
    stdio: ['ignore', 1, 1],
  });
  check(run.status, status, args);
  if (status !== 0) console.log(`(exit status ${status})`);
}

/** Runs ax for what it prints. */
function read(args) {
  const run = spawnSync(process.execPath, [AX, ...args], { cwd: project, env, encoding: 'utf8' });
  check(run.status, 0, args, run.stderr);
  return run.stdout;
}

function check(found, expected, args, stderr = '') {
  if (found === expected) return;
  console.error(`demo: expected ax ${args.join(' ')} to end with ${expected}, found ${found}\n${stderr}`);
  process.exit(1);
}

mkdirSync(project);
writeFileSync(join(project, 'ax.yaml'), MANIFEST);
writeFileSync(join(project, 'build.sh'), BUILD);
chmodSync(join(project, 'build.sh'), 0o755);

say('ax.yaml says what may run');
process.stdout.write(MANIFEST);

say('keys, and trust in them for this project');
ax(['init']);
say('sign: the task and the digest of build.sh go into ax.lock');
ax(['sign']);
say('run: verify, check the digest, run; TOKEN is masked, here and in the receipt');
const token = { TOKEN: 'correct-horse-battery' };
ax(['run', 'build', '--input', 'target=shop'], { env: token });

say('the receipt is listed without a key, and decrypted with one');
ax(['receipts', 'list']);
const [{ id }] = JSON.parse(read(['receipts', 'list', '--json'])).receipts;
ax(['receipts', 'decrypt', id]);
ax(['receipts', 'verify', id]);

say('a new receipt key: receipts are re-wrapped for it, and say what they said');
const before = read(['receipts', 'decrypt', id]);
ax(['keys', 'rotate']);
const after = read(['receipts', 'decrypt', id]);
if (after !== before) throw new Error('demo: the statement is another one after the rotation');
console.log(`$ ax receipts decrypt ${id}\n(the same ${after.length} characters as before)`);

say('somebody changes the script that was signed');
appendFileSync(join(project, 'build.sh'), 'echo "and something else"\n');
console.log(`$ echo 'echo "and something else"' >> build.sh`);
ax(['run', 'build'], { env: token, status: 76 });
writeFileSync(join(project, 'build.sh'), BUILD);

say('somebody changes the signed manifest');
const lock = join(project, 'ax.lock');
const envelope = JSON.parse(readFileSync(lock, 'utf8'));
const payload = Buffer.from(envelope.payload, 'base64').toString().replace('./build.sh', './other.sh');
writeFileSync(lock, JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString('base64') }));
console.log('(in the payload of ax.lock, ./build.sh becomes ./other.sh)');
ax(['run', 'build'], { env: token, status: 77 });

say('refusals are evidence too, and the log of it all is one chain');
ax(['receipts', 'list']);
ax(['audit', 'verify']);
console.log('\ndone; the temporary folder is removed');
