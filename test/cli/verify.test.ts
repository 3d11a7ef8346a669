import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Envelope } from '../../src/security/dsse.ts';
import { craftLock, signingKeys } from '../support/craft.ts';
import { receipts } from '../support/evidence.ts';
import { createBareRig, createRig, lines, PROJECT, type Ran, type Rig } from '../support/rig.ts';
import { document, result, verifyShape } from '../support/shapes.ts';

const DAY = 24 * 60 * 60 * 1000;
const TASK = 'hello: { shell: touch started }';

describe('ax verify', () => {
  it('says what it checked, and starts nothing', async () => {
    const rig = await createRig();
    rig.write('tool.sh', '#!/bin/sh\ntouch started\n', 0o755);
    await rig.sign('hello: { run: [./tool.sh], dependencies: [{ executable: sh }] }');
    const { exitCode, stdout, stderr } = await rig.ax('verify');
    expect(exitCode).toBe(0);
    expect(stderr).toBe('');
    expect(lines(rig.normal(stdout))).toEqual([
      'ok      envelope: 1 signature(s)',
      'ok      signatures: by <kid>',
      'ok      payload: 1 task(s)',
      'ok      project: acme/web',
      'ok      validity: until <time>',
      'ok      version: version 1',
      'ok      dependency sh: sha256:<sha256>',
      'ok      dependency tool.sh: sha256:<sha256>',
      'ok      source: ax.yaml is what was signed',
      'ok      receipt key: <kid>',
    ]);
    expect(rig.has('started')).toBe(false);
  });

  it('reports every failure, not the first alone, and exits with the first one’s code', async () => {
    const rig = await createRig();
    rig.write('a.txt', 'a');
    rig.write('b.txt', 'b');
    rig.manifest(
      `hello: { shell: touch started, dependencies: [{ path: a.txt }, { path: b.txt }] }`,
      'expires: 1s',
    );
    craftLock(rig, { now: Date.now() - DAY, version: 2 });
    rig.write('a.txt', 'changed');
    rmSync(join(rig.project, 'b.txt'));
    for (const { kid } of await keysOf(rig, 'receipt')) rmSync(join(rig.home, 'keys', `${kid}.json`));
    await rig.ax('trust', 'add', PROJECT, '--key', signingKeys(rig)[0]?.kid ?? '', '--min-version', '3');

    const { exitCode, stdout, stderr } = await rig.ax('verify', '--json');

    expect(exitCode).toBe(77);
    expect(stderr).toBe('');
    const { ok, checks } = document(verifyShape, stdout);
    expect(ok).toBe(false);
    expect(checks.flatMap((check) => (check.ok ? [] : [[check.name, check.error.code]]))).toEqual([
      ['validity', 'MANIFEST_EXPIRED'],
      ['version', 'MANIFEST_ROLLED_BACK'],
      ['dependency a.txt', 'DEPENDENCY_CHANGED'],
      ['dependency b.txt', 'DEPENDENCY_CHANGED'],
      ['receipt key', 'KEY_UNKNOWN'],
    ]);
  });

  it('counts the failures for people', async () => {
    const rig = await createRig();
    rig.manifest(TASK, 'expires: 1s');
    craftLock(rig, { now: Date.now() - DAY });
    const { exitCode, stdout, stderr } = await rig.ax('verify');
    expect(exitCode).toBe(77);
    expect(rig.normal(stdout)).toContain(
      'failed  validity: ax.lock: expired at <time>\n        hint: ax sign\n',
    );
    expect(stderr).toMatch(/^ax: 1 of \d+ checks failed\n$/);
  });

  it('warns of drift, and holds: what runs is what was signed', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: [echo, signed] }');
    rig.manifest('hello: { run: [echo, edited] }');
    const drift =
      'ax.yaml changed since it was signed; what runs is what was signed. To sign the change: ax sign';

    const verified = await rig.ax('verify');
    expect(verified.exitCode).toBe(0);
    expect(verified.stdout).toContain(`ok      source: ${drift}\n`);

    const run = await rig.ax('run', 'hello', '--quiet');
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toBe('signed\n');
    expect(run.stderr).toBe(`ax: warning: ${drift}\n`);
  });

  it('takes a missing ax.yaml for no drift', async () => {
    const rig = await createRig();
    await rig.sign('hello: { run: [echo, signed] }');
    rmSync(join(rig.project, 'ax.yaml'));
    const { exitCode, stdout, stderr } = await rig.ax('run', 'hello', '--quiet');
    expect(exitCode).toBe(0);
    expect(stdout).toBe('signed\n');
    expect(stderr).toBe('');
  });
});

describe('a manifest is refused', () => {
  it('that another key signed, for a project that is known', async () => {
    const rig = await createRig();
    await signAsStranger(rig, TASK);
    const ran = await refused(rig, 'SIGNATURE_UNTRUSTED');
    expect(rig.normal(ran.stderr)).toContain(
      'ax.lock: signed for acme/web by <kid>, which is not one of its trusted keys\n',
    );
  });

  it('whose signature does not belong to its content', async () => {
    const rig = await createRig();
    await rig.sign(TASK);
    const envelope = JSON.parse(rig.read('ax.lock'));
    const payload = Buffer.from(envelope.payload, 'base64')
      .toString()
      .replace('"touch started"', '"touch  started"');
    rig.write('ax.lock', JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString('base64') }));
    await refused(rig, 'SIGNATURE_INVALID');
  });

  it('that is signed for something else than a manifest', async () => {
    const rig = await createRig();
    rig.manifest(TASK);
    craftLock(rig, { payloadType: 'application/vnd.in-toto+json' });
    await refused(rig, 'PAYLOAD_TYPE_UNEXPECTED');
  });

  it('whose payloadType was changed after it was signed', async () => {
    const rig = await createRig();
    rig.manifest(TASK);
    craftLock(rig, { payloadType: 'application/vnd.in-toto+json' });
    rig.write(
      'ax.lock',
      rig.read('ax.lock').replace('application/vnd.in-toto+json', 'application/vnd.ax.manifest.v1+json'),
    );
    await refused(rig, 'SIGNATURE_INVALID');
  });

  it('that is expired', async () => {
    const rig = await createRig();
    rig.manifest(TASK, 'expires: 1s');
    craftLock(rig, { now: Date.now() - DAY });
    const { stderr } = await refused(rig, 'MANIFEST_EXPIRED');
    expect(lines(rig.normal(stderr))).toEqual([
      'ax: error[MANIFEST_EXPIRED]: ax.lock: expired at <time>',
      'ax: hint: ax sign',
      'ax: hello refused, receipt <id>',
    ]);
  });

  it('that was issued in the future', async () => {
    const rig = await createRig();
    rig.manifest(TASK);
    craftLock(rig, { now: Date.now() + DAY });
    await refused(rig, 'MANIFEST_NOT_YET_VALID');
  });

  it('that is older than one that ran here', async () => {
    const rig = await createRig();
    await rig.sign(TASK);
    const first = rig.read('ax.lock');
    await rig.sign('hello: { run: [echo, second] }');
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
    rig.write('ax.lock', first);
    const { stderr } = await refused(rig, 'MANIFEST_ROLLED_BACK');
    expect(stderr).toContain('ax.lock: expected version 2 or later of acme/web, found 1\n');
  });

  it('that is older than trust demands, on a machine that has seen none', async () => {
    const rig = await createRig();
    rig.manifest(TASK);
    craftLock(rig, { version: 6 });
    const trusted = await rig.ax(
      'trust',
      'add',
      PROJECT,
      '--key',
      signingKeys(rig)[0]?.kid ?? '',
      '--min-version',
      '7',
    );
    expect(trusted.exitCode).toBe(0);
    await refused(rig, 'MANIFEST_ROLLED_BACK');
  });

  it('that names another project than its keys are trusted for', async () => {
    const rig = await createRig();
    rig.manifest(TASK);
    craftLock(rig, { change: (manifest) => ({ ...manifest, project: 'acme/bank' }) });
    const { stderr } = await refused(rig, 'PROJECT_MISMATCH');
    expect(lines(stderr).slice(0, 2)).toEqual([
      'ax: error[PROJECT_MISMATCH]: ax.lock: signed for acme/bank by keys that are trusted for acme/web',
      'ax: hint: if these keys may sign for acme/bank too: ax trust add acme/bank <key.jwk>',
    ]);
  });

  it('that holds what the schema does not, though it is signed', async () => {
    const rig = await createRig();
    rig.manifest(TASK);
    craftLock(rig, { change: (manifest) => ({ ...manifest, hooks: ['touch started'] }) });
    const { stderr } = await refused(rig, 'MANIFEST_INVALID', 65);
    expect(stderr).toContain('hooks');
  });

  it('that names no trusted key at all and brings none along', async () => {
    const rig = await createRig();
    const stranger = createBareRig();
    await stranger.ax('keys', 'generate', '--algorithm', 'hmac');
    rig.manifest(TASK);
    craftLock(rig, { keys: signingKeys(stranger) });
    const { stderr } = await refused(rig, 'SIGNATURE_UNTRUSTED');
    expect(stderr).toContain('ax.lock: not signed by any key that is trusted here\n');
  });

  it('with the whole story in its receipt', async () => {
    const rig = await createRig();
    rig.manifest(TASK, 'expires: 1s');
    craftLock(rig, { now: Date.now() - DAY });
    const { stdout } = await rig.ax('run', 'hello', '--json');
    const { runs, error } = result(stdout);
    expect(error).toMatchObject({ code: 'MANIFEST_EXPIRED', exitCode: 77 });
    expect(runs).toMatchObject([{ task: 'hello', outcome: 'refused', exitCode: 77 }]);
    const { predicate } = JSON.parse((await rig.ax('receipts', 'decrypt', runs[0]?.receiptId ?? '')).stdout);
    expect(predicate).toMatchObject({
      outcome: 'refused',
      exitCode: 77,
      error: { code: 'MANIFEST_EXPIRED' },
      // What an unverified file says of itself is not repeated.
      project: 'unverified',
      manifest: { verified: false },
      command: null,
      exit: null,
    });
  });
});

describe('a threshold of two', () => {
  /** Trust that wants two of two keys: the rig's and a colleague's. */
  async function twoSigners(): Promise<{ rig: Rig; colleague: Rig }> {
    const rig = await createRig();
    const colleague = createBareRig();
    await colleague.ax('keys', 'generate');
    rig.write('colleague.jwk', (await colleague.ax('keys', 'export')).stdout);
    const added = await rig.ax('trust', 'add', PROJECT, 'colleague.jwk', '--threshold', '2');
    expect(added.exitCode).toBe(0);
    return { rig, colleague };
  }

  const coSign = (rig: Rig, colleague: Rig) =>
    rig.axWith({ env: { AX_HOME: colleague.home } }, 'sign', '--add', '--yes');

  it('is not reached by one key, and the hint says how it would be', async () => {
    const { rig } = await twoSigners();
    rig.manifest(TASK);
    const signed = await rig.ax('sign');
    expect(signed.exitCode).toBe(0);
    expect(signed.stderr).toContain(
      'ax: warning: not runnable here yet: ax.lock: expected signatures of 2 distinct keys',
    );
    const { stderr } = await refused(rig, 'SIGNATURE_UNTRUSTED');
    expect(lines(stderr).slice(0, 2)).toEqual([
      'ax: error[SIGNATURE_UNTRUSTED]: ax.lock: expected signatures of 2 distinct keys for acme/web, found 1',
      'ax: hint: have another trusted key sign it: ax sign --add',
    ]);
  });

  it('is reached by co-signing, which leaves the payload as it is', async () => {
    const { rig, colleague } = await twoSigners();
    await rig.sign('hello: { run: [echo, hello] }');
    const before = envelopeOf(rig);
    const added = await coSign(rig, colleague);
    expect(added.exitCode).toBe(0);
    expect(lines(rig.normal(added.stderr)).slice(0, 2)).toEqual([
      'version 1 of acme/web, valid until <time>',
      '  hello: echo hello',
    ]);
    expect(envelopeOf(rig)).toMatchObject({ payloadType: before.payloadType, payload: before.payload });
    expect(envelopeOf(rig).signatures).toHaveLength(2);
    const { exitCode, stdout } = await rig.ax('run', 'hello', '--quiet');
    expect(exitCode).toBe(0);
    expect(stdout).toBe('hello\n');
  });

  it('does not let a co-signature in without a yes', async () => {
    const { rig, colleague } = await twoSigners();
    await rig.sign(TASK);
    const lock = rig.read('ax.lock');
    const { exitCode, stderr } = await rig.axWith({ env: { AX_HOME: colleague.home } }, 'sign', '--add');
    expect(exitCode).toBe(77);
    expect(lines(stderr).slice(-2)).toEqual([
      'ax: error[CONFIRMATION_REQUIRED]: nothing was signed: it takes a yes',
      'ax: hint: ax sign --add --yes',
    ]);
    expect(rig.read('ax.lock')).toBe(lock);
  });

  it('is not reached by the same key twice, under two names', async () => {
    const { rig, colleague } = await twoSigners();
    await rig.sign(TASK);
    expect((await rig.ax('sign', '--add', '--yes')).exitCode).toBe(0);
    expect(envelopeOf(rig).signatures).toHaveLength(1);
    const [signature] = envelopeOf(rig).signatures;
    const renamed = { ...signature, keyid: signingKeys(colleague)[0]?.kid };
    rig.write('ax.lock', JSON.stringify({ ...envelopeOf(rig), signatures: [signature, renamed, signature] }));
    await refused(rig, 'SIGNATURE_UNTRUSTED');
  });

  it('is not reached by a key that is not trusted for the project', async () => {
    const { rig } = await twoSigners();
    await rig.sign(TASK);
    const stranger = createBareRig();
    await stranger.ax('keys', 'generate');
    expect((await coSign(rig, stranger)).exitCode).toBe(0);
    await refused(rig, 'SIGNATURE_UNTRUSTED');
  });

  it('refuses a co-signature for something that is not a manifest', async () => {
    const { rig } = await twoSigners();
    rig.manifest(TASK);
    craftLock(rig, { change: () => ({ schema: 'ax.manifest/1', project: 'acme/web' }) });
    const lock = rig.read('ax.lock');
    const { exitCode, stderr } = await rig.ax('sign', '--add', '--yes');
    expect(exitCode).toBe(65);
    expect(lines(stderr)[0]).toMatch(/^ax: error\[MANIFEST_INVALID\]: ax\.lock payload: /);
    expect(rig.read('ax.lock')).toBe(lock);
  });
});

describe('HMAC', () => {
  async function sharedSecret(): Promise<Rig> {
    const rig = createBareRig();
    for (const args of [
      ['--algorithm', 'hmac'],
      ['--role', 'receipt'],
    ]) {
      expect((await rig.ax('keys', 'generate', ...args)).exitCode).toBe(0);
    }
    return rig;
  }

  it('signs and verifies where one signature is enough, and the secret stays out of ax.lock', async () => {
    const rig = await sharedSecret();
    await rig.sign('hello: { run: [echo, hello] }');
    const [key] = signingKeys(rig);
    if (key?.algorithm !== 'HS256') throw new Error('expected a shared secret');
    expect(rig.read('ax.lock')).not.toContain(key.secret.export({ format: 'jwk' }).k);
    expect(envelopeOf(rig).signatures).toMatchObject([{ keyid: key.kid }]);
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  });

  it('does not verify under another secret', async () => {
    const rig = await sharedSecret();
    await rig.sign(TASK);
    craftLock(rig, { keys: signingKeys(await otherSecret()), version: 2 });
    await refused(rig, 'SIGNATURE_UNTRUSTED');
  });

  it('never counts towards a threshold above one', async () => {
    const rig = await sharedSecret();
    await rig.sign(TASK);
    const colleague = createBareRig();
    await colleague.ax('keys', 'generate');
    rig.write('colleague.jwk', (await colleague.ax('keys', 'export')).stdout);
    const { exitCode, stderr } = await rig.ax('trust', 'add', PROJECT, 'colleague.jwk', '--threshold', '2');
    expect(exitCode).toBe(78);
    expect(stderr).toContain('expected public keys for a threshold above 1, found an HMAC key\n');
    const trusted = JSON.parse((await rig.ax('trust', 'list', '--json')).stdout).projects;
    expect(trusted).toMatchObject([{ project: PROJECT, threshold: 1, keys: [{ algorithm: 'HS256' }] }]);
  });

  it('has no public part to export, nor trust in it', async () => {
    const rig = await sharedSecret();
    await rig.sign(TASK);
    const key = await rig.ax('keys', 'export');
    expect([key.exitCode, key.stdout]).toEqual([66, '']);
    const trust = await rig.ax('trust', 'export');
    expect([trust.exitCode, trust.stdout]).toEqual([77, '']);
  });

  async function otherSecret(): Promise<Rig> {
    const rig = createBareRig();
    await rig.ax('keys', 'generate', '--algorithm', 'hmac');
    return rig;
  }
});

/** `run` and `verify` refuse for the same reason; the task is not started, and the refusal has its receipt. */
async function refused(rig: Rig, code: string, status = 77): Promise<Ran> {
  const verified = await rig.ax('verify', '--json');
  const failures = document(verifyShape, verified.stdout).checks.flatMap((check) =>
    check.ok ? [] : [check.error],
  );
  expect(failures.map((error) => error.code)).toEqual([code]);
  expect(verified.exitCode).toBe(status);

  const before = await receipts(rig);
  const ran = await rig.ax('run', 'hello');
  expect(ran.exitCode).toBe(status);
  expect(ran.stdout).toBe('');
  expect(lines(ran.stderr)[0]).toContain(`ax: error[${code}]: `);
  expect(lines(ran.stderr)[1]).toMatch(/^ax: hint: ./);
  expect(rig.has('started')).toBe(false);
  expect(await receipts(rig)).toMatchObject([{ task: 'hello', outcome: 'refused' }, ...before]);
  return ran;
}

async function keysOf(rig: Rig, role: string): Promise<{ kid: string }[]> {
  const { keys } = JSON.parse((await rig.ax('keys', 'list', '--json')).stdout);
  return keys.filter((key: { role: string }) => key.role === role);
}

function envelopeOf(rig: Rig): Envelope {
  return JSON.parse(rig.read('ax.lock'));
}

async function signAsStranger(rig: Rig, tasks: string): Promise<void> {
  const stranger = createBareRig();
  await stranger.ax('keys', 'generate');
  rig.manifest(tasks);
  craftLock(rig, { keys: signingKeys(stranger) });
}
