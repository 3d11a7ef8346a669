import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeCancel } from '../../src/runtime/cancel-protocol.ts';
import {
  AX,
  type CrashRig,
  createRig,
  type Ended,
  expectDone,
  isRunning,
  type Running,
  until,
} from '../support/crash-rig.ts';

const LINUX = process.platform === 'linux';

/** Runs under this test's own node. */
const node = (script: string) => [process.execPath, '-e', script];

const IGNORES_SIGTERM = `
  process.on('SIGTERM', () => console.log('ignored'));
  setInterval(() => {}, 1000);
  require('node:fs').writeFileSync('pid', String(process.pid));
  console.log('up');`;

/** In a session of its own, so no signal to the task's process group reaches it, and with the task's pipes open. */
const LEAVES_GRANDCHILD = `
  const script = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')";
  const child = require('node:child_process').spawn(process.execPath, ['-e', script], { detached: true, stdio: 'inherit' });
  require('node:fs').writeFileSync('pid', String(child.pid));
  child.unref();`;

const ROLLBACK = ['touch', 'rolled-back'];

/** A pause drawn evenly from twenty days is over before the test in one of a hundred thousand. */
const NEVER = { backoff: '20d', maxBackoff: '20d' };

/** What a task says while its supervisor is flooded. */
const LINES = 2000;

function waitFor(file: string): string {
  return `while ! [ -e ${file} ]; do sleep 0.02; done`;
}

let rig: CrashRig;
let started: Running[] = [];

beforeAll(async () => {
  rig = await createRig({
    forever: { shell: 'echo up; exec sleep 600', rollback: ROLLBACK },
    quick: { run: ['true'] },
    mark: { run: ['touch', 'asked'] },
    graceful: {
      shell: "trap 'touch asked; exit 0' TERM; echo up; while :; do sleep 0.02; done",
      rollback: ROLLBACK,
    },
    stubborn: { run: node(IGNORES_SIGTERM), grace: '20d', rollback: ROLLBACK },
    'stubborn-for-a-while': { run: node(IGNORES_SIGTERM), grace: '300ms', rollback: ROLLBACK },
    deserted: { run: node(LEAVES_GRANDCHILD) },
    // Each goes on until it is told.
    fails: { shell: `echo up; ${waitFor('go')}; exit 1`, rollback: ['sh', '-c', waitFor('undo')] },
    'tried-twice': { shell: `echo up; ${waitFor('go')}; exit 1`, retries: { max: 1, ...NEVER } },
    talks: {
      shell: `echo up; ${waitFor('go')}; i=0; while [ $i -lt ${LINES} ]; do echo "line $i"; i=$((i+1)); done`,
    },
    'deserted-late': { run: node(`${LEAVES_GRANDCHILD}; setInterval(() => {}, 1000);`), grace: '10s' },
  });
});

beforeEach(() => {
  started = [];
  for (const name of ['asked', 'rolled-back', 'pid', 'go', 'undo'])
    rmSync(join(rig.project, name), { force: true });
  // The count of requests is the store's, and every test begins with none, and no token.
  withStore((sqlite) => sqlite.exec('DELETE FROM limit_uses; DELETE FROM audit; DELETE FROM cancel_tokens'));
});

afterEach(async () => {
  for (const running of started) {
    // The second is at once. Two of the same kind could become one on the way.
    running.kill('SIGINT');
    running.kill('SIGTERM');
    await running.ended;
  }
});

afterAll(() => rig.remove());

describe('the limit', () => {
  test('of twelve requests in a row ten are counted, the others are told how long to wait', async () => {
    const { runId } = await startRun('forever');
    const answers: Ended[] = [];
    for (let request = 0; request < 12; request++) answers.push(await rig.ax(['cancel', runId]));
    expect(answers.map(({ status }) => status)).toEqual([...Array(10).fill(77), 75, 75]);
    for (const { stdout, stderr } of answers.slice(0, 10)) {
      expect(stdout).toBe('');
      expect(stderr).toMatch(
        /^ax: error\[CANCEL_CONFIRMATION_REQUIRED\]: run \S+ of forever is executing; confirm within 30 s\nax: hint: ax cancel \S+ --confirm \S+\n$/,
      );
    }
    for (const { stdout, stderr } of answers.slice(10)) {
      expect(stdout).toBe('');
      expect(stderr).toMatch(
        /^ax: error\[RATE_LIMITED\]: more than 10 cancel requests in 60 s\nax: hint: try again in [1-9][0-9]? s\n$/,
      );
    }
    const records = await cancelRecords();
    const { uid, username } = userInfo();
    expect(records.map(({ runId: id, actor }) => ({ id, actor }))).toEqual(
      Array(12).fill({ id: runId, actor: { uid, name: username } }),
    );
    expect(records.map(({ data }) => data.outcome)).toEqual([
      ...Array(10).fill('confirmation-required'),
      'rate-limited',
      'rate-limited',
    ]);
  });

  test('holds for a new run in a new process, also after a SIGKILL, and tells the seconds in JSON', async () => {
    const first = await startRun('forever');
    for (let request = 0; request < 10; request++) await rig.ax(['cancel', first.runId]);
    first.running.kill('SIGKILL');
    await first.running.ended;
    const second = await startRun('forever');
    const { status, stdout } = await rig.ax(['cancel', second.runId, '--json']);
    expect(status).toBe(75);
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({
      schema: 'ax.cancel/1',
      outcome: 'rate-limited',
      error: { code: 'RATE_LIMITED', exitCode: 75 },
    });
    expect(answer.retryAfterSeconds).toBeGreaterThanOrEqual(1);
    expect(answer.retryAfterSeconds).toBeLessThanOrEqual(60);
    expect(answer.error.hint).toBe(`try again in ${answer.retryAfterSeconds} s`);
  });

  test('of twelve requests at once ten are counted', async () => {
    const { runId } = await startRun('forever');
    const answers = await Promise.all(Array.from({ length: 12 }, () => rig.ax(['cancel', runId])));
    expect(answers.map(({ status }) => status).sort()).toEqual([75, 75, ...Array(10).fill(77)]);
    expect(await cancelRecords()).toHaveLength(12);
    await expectDone(rig, ['audit', 'verify']);
  });

  test('holds for a program that speaks to the socket itself, and it is the same count', async () => {
    const { runId } = await startRun('forever');
    const { channel, sessionKey } = secretsOf(runId);
    const answers: { outcome: string; retryAfterSeconds?: number }[] = [];
    for (let request = 0; request < 12; request++) {
      const message = encodeCancel({ runId, token: null, at: Date.now() }, sessionKey);
      answers.push(JSON.parse(await say(channel, `${message}\n`)));
    }
    const outcomes = [...Array(10).fill('confirmation-required'), 'rate-limited', 'rate-limited'];
    expect(answers.map(({ outcome }) => outcome)).toEqual(outcomes);
    expect(answers.at(-1)?.retryAfterSeconds).toBeGreaterThanOrEqual(1);
    expect(answers.at(-1)?.retryAfterSeconds).toBeLessThanOrEqual(60);
    expectRefusal(await rig.ax(['cancel', runId]), 75, 'RATE_LIMITED');
    expect(stateOf(runId)).toBe('EXECUTING');
    const { uid, username: name } = userInfo();
    expect((await cancelRecords()).map(({ actor, data }) => ({ actor, ...data }))).toEqual(
      [...outcomes, 'rate-limited'].map((outcome) => ({
        actor: { uid, name },
        task: 'forever',
        via: 'socket',
        confirmed: false,
        outcome,
      })),
    );
    expect(countUses()).toBe(10);
  });

  test('a confirmation that holds is not counted again, one that does not is', async () => {
    const { running, runId } = await startRun('forever');
    const token = await tokenFor(runId);
    expect(countUses()).toBe(1);
    for (const wrong of ['A'.repeat(43), 'of another form']) {
      expectRefusal(await rig.ax(['cancel', runId, '--confirm', wrong]), 77, 'CANCEL_TOKEN_INVALID');
    }
    expect(countUses()).toBe(3);
    for (let request = 0; request < 7; request++) await rig.ax(['cancel', runId]);
    for (const wrong of ['A'.repeat(43), 'of another form']) {
      expectRefusal(await rig.ax(['cancel', runId, '--confirm', wrong]), 75, 'RATE_LIMITED');
    }
    expect(stateOf(runId)).toBe('EXECUTING');
    await expectDone(rig, ['cancel', runId, '--confirm', token]);
    expect(countUses()).toBe(10);
    expect((await running.ended).status).toBe(130);
    expect((await cancelRecords()).map(({ data }) => data.outcome)).toEqual([
      'confirmation-required',
      ...Array(2).fill('token-invalid'),
      ...Array(7).fill('confirmation-required'),
      ...Array(2).fill('rate-limited'),
      'canceled',
    ]);
  });

  test('Ctrl-C is not limited', async () => {
    const { running, runId } = await startRun('forever');
    for (let request = 0; request < 11; request++) await rig.ax(['cancel', runId]);
    running.kill('SIGINT');
    expect((await running.ended).status).toBe(130);
  });
});

describe('the confirmation', () => {
  test('first a token, then the end: 130, rolled back, with a receipt', async () => {
    const { running, runId } = await startRun('graceful');
    const token = await tokenFor(runId);
    const { status, stdout } = await rig.ax(['cancel', runId.slice(0, 24).toLowerCase(), '--confirm', token]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: `canceled  ${runId}\n` });
    const ended = await running.ended;
    expect(ended.status).toBe(130);
    expectCanceled(ended);
    const statement = await statementOf(runId);
    expect(statement.predicate).toMatchObject({
      outcome: 'canceled',
      exitCode: 130,
      rollback: { argv: ROLLBACK, exit: { kind: 'exited', code: 0 } },
    });
    const { name, uid } = { name: userInfo().username, uid: userInfo().uid };
    expect(transitionsOf(statement)).toContain('CancelRequest EXECUTING CANCELED');
    expect((await cancelRecords()).map(({ data, actor }) => ({ ...data, actor }))).toEqual([
      {
        task: 'graceful',
        via: 'socket',
        confirmed: false,
        outcome: 'confirmation-required',
        actor: { uid, name },
      },
      { task: 'graceful', via: 'socket', confirmed: true, outcome: 'canceled', actor: { uid, name } },
    ]);
  });

  test('a token is good once', async () => {
    const { runId } = await startRun('stubborn');
    const token = await tokenFor(runId);
    await expectDone(rig, ['cancel', runId, '--confirm', token]);
    // The child will not go, so the run is still there to be asked.
    expectRefusal(await rig.ax(['cancel', runId, '--confirm', token]), 77, 'CANCEL_TOKEN_INVALID');
  });

  test('a token is good for its run alone', async () => {
    const one = await startRun('forever');
    const other = await startRun('forever');
    const token = await tokenFor(one.runId);
    expectRefusal(await rig.ax(['cancel', other.runId, '--confirm', token]), 77, 'CANCEL_TOKEN_INVALID');
    expect(stateOf(other.runId)).toBe('EXECUTING');
    // Being shown to the wrong run does not use it up.
    await expectDone(rig, ['cancel', one.runId, '--confirm', token]);
    expect((await one.running.ended).status).toBe(130);
  });

  test('a token is good for its requester alone', async () => {
    const { runId } = await startRun('forever');
    const token = await tokenFor(runId);
    withStore((sqlite) => sqlite.prepare('UPDATE cancel_tokens SET requester = requester + 1').run());
    expectRefusal(await rig.ax(['cancel', runId, '--confirm', token]), 77, 'CANCEL_TOKEN_INVALID');
    expect(stateOf(runId)).toBe('EXECUTING');
  });

  test('a token that ran out is refused', async () => {
    const { runId } = await startRun('forever');
    const token = await tokenFor(runId);
    withStore((sqlite) => sqlite.prepare('UPDATE cancel_tokens SET expires_at = ?').run(Date.now() - 1));
    expectRefusal(await rig.ax(['cancel', runId, '--confirm', token]), 77, 'CANCEL_TOKEN_INVALID');
    expect(stateOf(runId)).toBe('EXECUTING');
  });

  test.each([
    ['too short', 'wrong'],
    ['of the right form', 'A'.repeat(43)],
    ['too long', 'A'.repeat(200)],
    ['blank', ' '],
  ])('a token that was never given is refused: %s', async (_, token) => {
    const { runId } = await startRun('forever');
    await tokenFor(runId);
    expectRefusal(await rig.ax(['cancel', runId, '--confirm', token]), 77, 'CANCEL_TOKEN_INVALID');
    expect(stateOf(runId)).toBe('EXECUTING');
  });

  test('the store keeps the hash of a token, not the token', async () => {
    const { runId } = await startRun('forever');
    const token = await tokenFor(runId);
    const stored = withStore((sqlite) => JSON.stringify(sqlite.prepare('SELECT * FROM cancel_tokens').all()));
    expect(stored).not.toContain(token);
  });
});

describe('what the run is doing is looked at anew when the confirmation comes', () => {
  test('it pauses before another attempt: there is none', async () => {
    const { running, runId } = await startRun('tried-twice');
    const token = await tokenFor(runId);
    writeFileSync(join(rig.project, 'go'), '');
    await until('the pause', () => stateOf(runId) === 'FAILED');
    await expectDone(rig, ['cancel', runId, '--confirm', token]);
    const { status, stdout } = await running.ended;
    expect(status).toBe(1);
    expect(stdout.match(/"text":"up\\n"/g)).toHaveLength(1);
    expect(endsOf(runId)).toEqual(['RuleViolation EXECUTING FAILED']);
    expect((await cancelRecords()).at(-1)?.data).toMatchObject({ confirmed: true, outcome: 'canceled' });
  });

  test('it has failed and is being rolled back: that goes on', async () => {
    const { running, runId } = await startRun('fails');
    const token = await tokenFor(runId);
    writeFileSync(join(rig.project, 'go'), '');
    await until('the failure', () => stateOf(runId) === 'FAILED');
    expectRefusal(await rig.ax(['cancel', runId, '--confirm', token]), 66, 'RUN_NOT_RUNNING');
    writeFileSync(join(rig.project, 'undo'), '');
    expect((await running.ended).status).toBe(1);
    const { predicate } = await statementOf(runId);
    expect(predicate).toMatchObject({ outcome: 'failed', rollback: { exit: { kind: 'exited', code: 0 } } });
    expect(endsOf(runId)).toEqual(['RuleViolation EXECUTING FAILED']);
    expect((await cancelRecords()).at(-1)?.data).toMatchObject({ confirmed: true, outcome: 'not-running' });
  });

  test('it has ended: there is nothing to cancel', async () => {
    const { running, runId } = await startRun('talks');
    const token = await tokenFor(runId);
    writeFileSync(join(rig.project, 'go'), '');
    expect((await running.ended).status).toBe(0);
    expectRefusal(await rig.ax(['cancel', runId, '--confirm', token]), 66, 'RUN_NOT_RUNNING');
    expect(endsOf(runId)).toEqual(['TelemetryFlushed EXECUTING COMPLETED']);
    expect((await cancelRecords()).at(-1)?.data).toMatchObject({ via: 'ax cancel', outcome: 'not-running' });
  });

  test('it was retried by hand: what was confirmed was the end of the attempt before', async () => {
    const first = await startRun('fails');
    const token = await tokenFor(first.runId);
    for (const file of ['go', 'undo']) writeFileSync(join(rig.project, file), '');
    await first.running.ended;
    rmSync(join(rig.project, 'go'));
    const second = await startRun('fails', ['retry', first.runId]);
    expect(second.runId).toBe(first.runId);
    expectRefusal(await rig.ax(['cancel', first.runId, '--confirm', token]), 77, 'CANCEL_TOKEN_INVALID');
    expect(stateOf(first.runId)).toBe('EXECUTING');
  });
});

describe('nothing to cancel', () => {
  test('a finished run', async () => {
    const { stdout } = await expectDone(rig, ['run', 'quick', '--json']);
    const { runId } = JSON.parse(stdout.split('\n')[0] ?? '');
    const { status, stdout: answer } = await rig.ax(['cancel', runId, '--json']);
    expect(status).toBe(66);
    expect(JSON.parse(answer)).toMatchObject({ outcome: 'not-running', error: { code: 'RUN_NOT_RUNNING' } });
    expect((await cancelRecords()).map(({ data }) => data)).toEqual([
      { task: 'quick', via: 'ax cancel', confirmed: false, outcome: 'not-running' },
    ]);
    expect(countUses()).toBe(1);
  });

  test('a run whose supervisor was killed', async () => {
    const { running, runId } = await startRun('forever');
    running.kill('SIGKILL');
    await running.ended;
    const { status, stderr } = await rig.ax(['cancel', runId]);
    expect(status).toBe(66);
    expect(stderr).toContain('ax: error[RUN_NOT_RUNNING]: ');
  });

  test.each(['01JDZ8ZZZZZZZZZZZZZZZZZZZZ', 'nonsense', "' OR 1=1 --", '../../ax'])(
    'an unknown run: %j',
    async (id) => {
      expectRefusal(await rig.ax(['cancel', id]), 66, 'RUN_UNKNOWN');
    },
  );
});

describe('signals', () => {
  test('Ctrl-C once: the task is asked to end, rolled back, and the receipt says who', async () => {
    const { running, runId } = await startRun('graceful');
    running.kill('SIGINT');
    const ended = await running.ended;
    expect(ended.status).toBe(130);
    expectCanceled(ended);
    expect(existsSync(join(rig.project, 'asked'))).toBe(true);
    expect(existsSync(join(rig.project, 'rolled-back'))).toBe(true);
    const statement = await statementOf(runId);
    expect(statement.predicate).toMatchObject({ outcome: 'canceled', exitCode: 130 });
    expect((await cancelRecords()).map(({ data }) => data)).toEqual([
      { task: 'graceful', via: 'SIGINT', confirmed: true, outcome: 'canceled' },
    ]);
  });

  test('Ctrl-C twice: what ignores SIGTERM is killed at once, without rollback, and the receipt is written', async () => {
    const { running, runId } = await startRun('stubborn');
    running.kill('SIGINT');
    await running.saw(/ignored/);
    running.kill('SIGINT');
    // Its grace is twenty days.
    const ended = await running.ended;
    expect(ended.status).toBe(130);
    expectCanceled(ended);
    await untilTaskIsGone();
    expect(existsSync(join(rig.project, 'rolled-back'))).toBe(false);
    const { predicate } = await statementOf(runId);
    expect(predicate).toMatchObject({
      outcome: 'canceled',
      exit: { kind: 'signaled', signal: 'SIGKILL' },
      rollback: null,
    });
  });

  test('what ignores SIGTERM is killed after its grace', async () => {
    const { running, runId } = await startRun('stubborn-for-a-while');
    running.kill('SIGINT');
    expect((await running.ended).status).toBe(130);
    await untilTaskIsGone();
    expect(existsSync(join(rig.project, 'rolled-back'))).toBe(true);
    const { predicate } = await statementOf(runId);
    expect(predicate).toMatchObject({ exit: { kind: 'signaled', signal: 'SIGKILL' } });
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s: the same, with its own status %i', async (signal, status) => {
    const { running, runId } = await startRun('graceful');
    running.kill(signal);
    const ended = await running.ended;
    expect(ended.status).toBe(status);
    expectCanceled(ended);
    expect((await statementOf(runId)).predicate).toMatchObject({ outcome: 'canceled', exitCode: status });
  });

  test('what was to come after is not started', async () => {
    const running = rig.start(['run', 'forever', 'mark', '--json']);
    started.push(running);
    await running.saw(/"text":"up/);
    running.kill('SIGINT');
    const result = JSON.parse((await running.ended).stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(result).toMatchObject({ outcome: 'canceled', exitCode: 130 });
    expect(existsSync(join(rig.project, 'asked'))).toBe(false);
  });
});

// Elsewhere there is no /proc to find them in.
describe.skipIf(!LINUX)('a grandchild that left the process group and holds the pipe', () => {
  test('does not keep ax waiting, and is gone afterwards', async () => {
    const running = rig.start(['run', 'deserted']);
    started.push(running);
    expect((await running.ended).status).toBe(0);
    await untilTaskIsGone();
  });

  test('is gone after a cancel too, though it ignores SIGTERM', async () => {
    const { running } = await startRun('deserted-late');
    running.kill('SIGINT');
    expect((await running.ended).status).toBe(130);
    await untilTaskIsGone();
  });
});

describe('a message on the socket that ax cancel did not send', () => {
  test('is not answered, and cancels nothing', async () => {
    const { running, runId } = await startRun('forever');
    const { channel, sessionKey } = secretsOf(runId);
    const request = { runId, token: null, at: Date.now() };
    const genuine = JSON.parse(encodeCancel(request, sessionKey));
    const token = await tokenFor(runId);
    const tokens = countTokens();
    const forged = {
      'no mac': { ...genuine, mac: undefined },
      'an empty mac': { ...genuine, mac: '' },
      'half a mac': { ...genuine, mac: genuine.mac.slice(0, 21) },
      'a mac under another key': JSON.parse(encodeCancel(request, Buffer.alloc(32))),
      'a requester of its own choice': { ...genuine, requester: { uid: 0, name: 'root' } },
      'a token under the same mac': { ...genuine, token },
      'a time under the same mac': { ...genuine, at: genuine.at + 1 },
      'more members': { ...genuine, confirmed: true },
      'from 31 s ago': JSON.parse(encodeCancel({ ...request, token, at: Date.now() - 31_000 }, sessionKey)),
      'from an hour ahead': JSON.parse(
        encodeCancel({ ...request, token, at: Date.now() + 3_600_000 }, sessionKey),
      ),
      'an unknown run': { ...genuine, runId: '01JDZ8ZZZZZZZZZZZZZZZZZZZZ' },
    };
    for (const [what, message] of Object.entries(forged)) {
      expect(await say(channel, `${JSON.stringify(message)}\n`), what).toMatch(
        /^(\{"outcome":"not-running"\})?\n?$/,
      );
    }
    // Those that are requests for this run are counted and on record, with the one that got the token.
    expect(countUses()).toBe(8);
    expect((await cancelRecords()).map(({ data }) => data.outcome)).toEqual([
      'confirmation-required',
      ...Array(7).fill('not-authentic'),
    ]);
    for (const line of ['\n', '{}\n', 'null\n', '{"runId":\n', 'x'.repeat(20_000), '\u0000\u00ff\n']) {
      expect(await say(channel, line), line.slice(0, 20)).toMatch(/^\n?$/);
    }
    // What is not a request at all leaves nothing behind.
    expect(countUses()).toBe(8);
    expect(await cancelRecords()).toHaveLength(8);
    expect(stateOf(runId)).toBe('EXECUTING');
    expect(countTokens()).toBe(tokens);
    // None of it used up the token, nor did it deafen the supervisor.
    await expectDone(rig, ['cancel', runId, '--confirm', token]);
    expect((await running.ended).status).toBe(130);
  });

  test('is not heard when others could have sent it', async () => {
    const { runId } = await startRun('forever');
    const folder = dirname(secretsOf(runId).channel);
    chmodSync(folder, 0o755);
    try {
      expectRefusal(await rig.ax(['cancel', runId]), 69, 'SUPERVISOR_UNREACHABLE');
    } finally {
      chmodSync(folder, 0o700);
    }
    expect({ state: stateOf(runId), tokens: countTokens(), uses: countUses() }).toEqual({
      state: 'EXECUTING',
      tokens: 0,
      uses: 0,
    });
    expect((await cancelRecords()).map(({ data }) => data)).toEqual([
      { task: 'forever', via: 'ax cancel', confirmed: false, outcome: 'unanswered' },
    ]);
    await tokenFor(runId);
  });

  test('in a flood keeps the run from nothing: all of its events and output come, and one end', async () => {
    const { running, runId } = await startRun('talks');
    const { channel, sessionKey } = secretsOf(runId);
    const honest = () => encodeCancel({ runId, token: null, at: Date.now() }, sessionKey);
    const forged = () => encodeCancel({ runId, token: null, at: Date.now() }, Buffer.alloc(32));
    const said = [honest, forged, () => '{}', () => 'x'.repeat(9000)];
    let over = false;
    const answers: string[] = [];
    const flood = Array.from({ length: 24 }, async (_, client) => {
      while (!over) answers.push(await say(channel, `${said[client % said.length]?.()}\n`));
    });
    await until('a flood', () => answers.filter((answer) => answer.includes('rate-limited')).length > 20);
    writeFileSync(join(rig.project, 'go'), '');
    const { status, stdout } = await running.ended;
    over = true;
    await Promise.all(flood);
    expect(status).toBe(0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const output = lines.flatMap((line) => (line.type === 'output' ? [line.text] : [])).join('');
    expect(output).toBe(`up\n${Array.from({ length: LINES }, (__, index) => `line ${index}\n`).join('')}`);
    expect(
      lines.filter(({ type }) => type === 'event').map(({ fromState, toState }) => `${fromState} ${toState}`),
    ).toEqual(['BOOTSTRAPPING IDLE', 'IDLE PREPARING', 'PREPARING EXECUTING', 'EXECUTING COMPLETED']);
    expect(lines.filter(({ type }) => type === 'result')).toHaveLength(1);
    expect(endsOf(runId)).toEqual(['TelemetryFlushed EXECUTING COMPLETED']);
    // Ten were counted, forged ones among them; the others are on record and got nothing but a refusal.
    expect(countUses()).toBe(10);
    const records = (await cancelRecords()).map(({ data }) => data.outcome);
    const answered = (outcome: string) => answers.filter((answer) => answer.includes(`"${outcome}"`)).length;
    for (const outcome of ['confirmation-required', 'rate-limited', 'not-running']) {
      expect(records.filter((recorded) => recorded === outcome)).toHaveLength(answered(outcome));
    }
    expect(countTokens()).toBe(answered('confirmation-required'));
    expect(records.filter((outcome) => outcome === 'not-authentic').length).toBeGreaterThan(0);
    await expectDone(rig, ['audit', 'verify']);
  });

  test('a client that says nothing holds nobody up', async () => {
    const { running, runId } = await startRun('forever');
    const { channel } = secretsOf(runId);
    const silent = Array.from({ length: 8 }, () => connect(channel));
    for (const socket of silent) socket.on('error', () => {});
    await Promise.all(silent.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    const token = await tokenFor(runId);
    await expectDone(rig, ['cancel', runId, '--confirm', token]);
    expect((await running.ended).status).toBe(130);
    for (const socket of silent) socket.destroy();
  });
});

describe.skipIf(!haveTmux())('on a terminal', () => {
  test('no is no: the run goes on', async () => {
    const { runId } = await startRun('forever');
    const terminal = openTerminal(['cancel', runId]);
    await terminal.shows(/is executing\. Cancel it\? \[y\/N\]/);
    terminal.type('n', 'Enter');
    await terminal.shows(/status 77/);
    expect(stateOf(runId)).toBe('EXECUTING');
    terminal.close();
  });

  test('yes is a second confirmation', async () => {
    const { running, runId } = await startRun('forever');
    const terminal = openTerminal(['cancel', runId]);
    await terminal.shows(/Cancel it\? \[y\/N\]/);
    terminal.type('y', 'Enter');
    await terminal.shows(/canceled {2}\S+\s+status 0/);
    terminal.close();
    expect((await running.ended).status).toBe(130);
    expect((await cancelRecords()).map(({ data }) => data)).toEqual([
      { task: 'forever', via: 'socket', confirmed: false, outcome: 'confirmation-required' },
      { task: 'forever', via: 'socket', confirmed: true, outcome: 'canceled' },
    ]);
  });

  test('Ctrl-C in the terminal of the run is one request to end', async () => {
    const terminal = openTerminal(['run', 'graceful']);
    await terminal.shows(/up/);
    terminal.type('C-c');
    await terminal.shows(/graceful canceled in [\s\S]*status 130/);
    terminal.close();
    expect(existsSync(join(rig.project, 'asked'))).toBe(true);
    expect(existsSync(join(rig.project, 'rolled-back'))).toBe(true);
  });
});

/** Starts a task in the background; resolves when it has said that it is up. */
async function startRun(
  task: string,
  command: readonly string[] = ['run', task],
): Promise<{ running: Running; runId: string }> {
  const running = rig.start([...command, '--json']);
  started.push(running);
  await running.saw(/"text":"up\\n"/);
  const [, runId = ''] = await running.saw(/"runId":"([0-9A-Z]{26})"/);
  return { running, runId };
}

/** Asks once, and gives the token that confirms the second time. */
async function tokenFor(runId: string): Promise<string> {
  const { status, stdout } = await rig.ax(['cancel', runId, '--json']);
  const answer = JSON.parse(stdout);
  expect({ status, outcome: answer.outcome }).toEqual({ status: 77, outcome: 'confirmation-required' });
  expect(answer.error.hint).toBe(`ax cancel ${runId} --confirm ${answer.token}`);
  return answer.token;
}

function expectCanceled({ stdout }: Ended): void {
  expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
    type: 'result',
    outcome: 'canceled',
    runs: [{ outcome: 'canceled', receiptId: expect.stringMatching(/^[0-9A-Z]{26}$/) }],
  });
}

function expectRefusal(ended: Ended, status: number, code: string): void {
  expect({ status: ended.status, stdout: ended.stdout }).toEqual({ status, stdout: '' });
  expect(ended.stderr).toMatch(new RegExp(`^ax: error\\[${code}\\]: .*\\nax: hint: .*\\n$`));
}

async function statementOf(runId: string) {
  const { stdout } = await expectDone(rig, ['receipts', 'decrypt', runId]);
  return JSON.parse(stdout) as { predicate: { transitions: Record<string, string>[] } };
}

function transitionsOf({ predicate }: { predicate: { transitions: Record<string, string>[] } }): string[] {
  return predicate.transitions.map(({ event, from, to }) => `${event} ${from} ${to}`);
}

interface CancelRecord {
  readonly runId: string;
  readonly actor: { uid: number; name: string };
  readonly data: { readonly outcome: string };
}

async function cancelRecords(): Promise<CancelRecord[]> {
  const { stdout } = await expectDone(rig, ['audit', 'list', '--type', 'cancel.request', '--json']);
  return (JSON.parse(stdout) as { records: CancelRecord[] }).records;
}

function withStore<T>(body: (sqlite: DatabaseSync) => T): T {
  const sqlite = new DatabaseSync(join(rig.store, 'ax.db'), { timeout: 10_000 });
  try {
    return body(sqlite);
  } finally {
    sqlite.close();
  }
}

function stateOf(runId: string): unknown {
  return withStore((sqlite) => sqlite.prepare('SELECT state FROM runs WHERE id = ?').get(runId)?.state);
}

/** The transitions that ended a run, as they were committed. */
function endsOf(runId: string): string[] {
  const sql = `SELECT type, from_state, to_state FROM events
    WHERE run_id = ? AND to_state IN ('COMPLETED', 'FAILED', 'CANCELED') AND from_state <> to_state ORDER BY seq`;
  return withStore((sqlite) =>
    sqlite
      .prepare(sql)
      .all(runId)
      .map((row) => `${row.type} ${row.from_state} ${row.to_state}`),
  );
}

function countTokens(): number {
  return withStore((sqlite) => Number(sqlite.prepare('SELECT count(*) AS n FROM cancel_tokens').get()?.n));
}

/** Requests that the limit has counted. */
function countUses(): number {
  const sql = "SELECT count(*) AS n FROM limit_uses WHERE bucket LIKE 'cancel:%'";
  return withStore((sqlite) => Number(sqlite.prepare(sql).get()?.n));
}

/** What only someone who can read the store knows. */
function secretsOf(runId: string): { channel: string; sessionKey: Uint8Array } {
  const row = withStore((sqlite) =>
    sqlite.prepare('SELECT channel, session_key FROM runs WHERE id = ?').get(runId),
  );
  return { channel: String(row?.channel), sessionKey: row?.session_key as Uint8Array };
}

/** Sends text to the socket; gives what comes back until it is closed. */
function say(channel: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(channel, () => socket.write(text));
    socket.setEncoding('utf8');
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    // Closed in the middle of our sending is an answer too.
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

async function untilTaskIsGone(): Promise<void> {
  const pid = Number(readFileSync(join(rig.project, 'pid'), 'utf8'));
  await until(`the end of process ${pid}`, () => !isRunning(pid));
}

function haveTmux(): boolean {
  try {
    execFileSync('tmux', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

let terminals = 0;

/** Runs ax on a terminal of its own; after it, its status is shown. */
function openTerminal(args: readonly string[]) {
  const script = join(rig.root, 'terminal.sh');
  const socket = join(rig.root, `tmux-${++terminals}`);
  const exports = Object.entries(rig.env).map(([name, value]) => `export ${name}='${value}'`);
  const command = [process.execPath, AX, ...args].map((word) => `'${word}'`).join(' ');
  writeFileSync(
    script,
    [...exports, `cd '${rig.project}'`, 'trap : INT', command, 'echo "status $?"', 'exec cat'].join('\n'),
  );
  const tmux = (...words: string[]) => execFileSync('tmux', ['-S', socket, ...words], { encoding: 'utf8' });
  tmux('-f', '/dev/null', 'new-session', '-d', '-x', '160', '-y', '50', `sh '${script}'`);
  const screen = () => tmux('capture-pane', '-p');
  return {
    type: (...keys: string[]) => tmux('send-keys', ...keys),
    shows: (pattern: RegExp) => until(`${pattern} on the terminal`, () => pattern.test(screen())),
    close: () => tmux('kill-server'),
  };
}
