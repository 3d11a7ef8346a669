import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Decrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { generalDecrypt, importJWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { receipts } from '../support/evidence.ts';
import { AX, createBareRig, createRig, lines, type Rig, snapshot } from '../support/rig.ts';
import { document, receiptsExport } from '../support/shapes.ts';
import { slsaStatement } from '../support/slsa.ts';

const haveAge = spawnSync('age', ['--version']).error === undefined;

interface Envelope {
  payloadType: string;
  payload: string;
  signatures: { keyid: string; sig: string }[];
}

/** A store with a run that completed, one that failed and one that was refused, the oldest first. */
async function ranThree(): Promise<{ rig: Rig; ids: [string, string, string] }> {
  const rig = await createRig();
  rig.write('lib/a', 'a');
  await rig.sign(`
    build: { shell: "mkdir dist; echo built | tee dist/app.js", outputs: [dist/**], dependencies: [{ path: lib/a }] }
    fails: { shell: exit 3 }
    guarded: { run: [touch, started], guards: [{ approvals: { threshold: 1 } }] }
  `);
  for (const task of ['build', 'fails', 'guarded']) await rig.ax('run', task);
  const [guarded, fails, build] = await receipts(rig);
  return { rig, ids: [build?.id ?? '', fails?.id ?? '', guarded?.id ?? ''] };
}

async function exported<T>(rig: Rig, ...args: string[]): Promise<T[]> {
  const { exitCode, stdout, stderr } = await rig.ax('receipts', 'export', ...args);
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
  return lines(stdout).map((line) => JSON.parse(line) as T);
}

function jwkOf(rig: Rig, role: string) {
  const folder = join(rig.home, 'keys');
  const files = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
  return files.find((file) => file.role === role)?.jwk;
}

/** DSSE by node:crypto alone; gives the payload. */
function verified(rig: Rig, { payloadType, payload, signatures }: Envelope): Buffer {
  const { x } = jwkOf(rig, 'host');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const body = Buffer.from(payload, 'base64');
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${body.length} `;
  const sig = Buffer.from(signatures[0]?.sig ?? '', 'base64');
  expect(verify(null, Buffer.concat([Buffer.from(head), body]), key, sig)).toBe(true);
  return body;
}

async function reads(rig: Rig): Promise<unknown[]> {
  const { stdout } = await rig.ax('audit', 'list', '--type', 'receipt.read', '--json');
  return JSON.parse(stdout).records.map(({ data }: { data: unknown }) => data);
}

describe('ax receipts export', () => {
  it('gives envelopes, statements, records and sealed receipts, a line each, and records each read', async () => {
    const { rig, ids } = await ranThree();
    const envelopes = await exported<Envelope>(rig, '--all', '--format', 'dsse');
    const statements = await exported<{ predicate: { receiptId: string } }>(rig, '--all', '-f', 'in-toto');
    expect(envelopes.map((one) => JSON.parse(verified(rig, one).toString()))).toEqual(statements);
    expect(statements.map(({ predicate }) => predicate.receiptId)).toEqual(ids);

    const records = await exported<Record<string, unknown>>(rig, '--all', '-f', 'ndjson');
    const kid = jwkOf(rig, 'host').kid;
    expect(records).toMatchObject(
      ids.map((id, index) => ({
        schema: 'ax.receipt/1',
        id,
        signedBy: kid,
        outcome: ['completed', 'failed', 'deferred'][index],
        statement: statements[index],
      })),
    );

    const sealed = await exported<Parameters<typeof generalDecrypt>[0]>(rig, '--all', '-f', 'jwe');
    const key = await importJWK({ ...jwkOf(rig, 'receipt'), alg: 'A256KW' });
    const opened = await Promise.all(sealed.map((jwe) => generalDecrypt(jwe, key)));
    expect(opened.map(({ plaintext }) => JSON.parse(Buffer.from(plaintext).toString()))).toEqual(envelopes);

    expect(await reads(rig)).toEqual(
      ['dsse', 'in-toto', 'ndjson', 'jwe'].flatMap((format) =>
        ids.map((receiptId) => ({ receiptId, how: `export-${format}` })),
      ),
    );
  });

  it('takes ids in the order given, each once, or those since a time', async () => {
    const { rig, ids } = await ranThree();
    const [build, fails, guarded] = ids;
    const idsOf = async (...args: string[]) =>
      (await exported<{ id: string }>(rig, ...args, '-f', 'ndjson')).map(({ id }) => id);
    expect(await idsOf(guarded, build.toLowerCase(), guarded)).toEqual([guarded, build]);
    expect(await idsOf('--since', '1h')).toEqual(ids);
    expect(await idsOf('--since', '2999-01-01')).toEqual([]);
    const { startedAt } = (await receipts(rig)).find(({ id }) => id === fails) ?? { startedAt: '' };
    expect(await idsOf('--since', startedAt)).toEqual([fails, guarded]);
  });

  it('makes SLSA provenance of what was executed: by the schema’s rules, signed by the host', async () => {
    const { rig, ids } = await ranThree();
    const { exitCode, stdout, stderr } = await rig.ax('receipts', 'export', '--all', '--format', 'slsa');
    expect(exitCode).toBe(0);
    expect(stderr).toBe('passed over 1 receipt(s) of runs in which nothing was executed\n');
    const [built, failed] = lines(stdout).map((line) =>
      slsaStatement.parse(JSON.parse(verified(rig, JSON.parse(line)).toString())),
    );
    const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');
    expect(built?.subject).toEqual([{ name: 'dist/app.js', digest: { sha256: sha256('built\n') } }]);
    expect(built?.predicate).toMatchObject({
      buildDefinition: {
        externalParameters: { project: 'acme/web', task: 'build' },
        resolvedDependencies: [
          { name: 'ax.lock', digest: { sha256: sha256(rig.read('ax.lock')) } },
          { name: 'lib/a', digest: { sha256: sha256('a') } },
        ],
      },
      runDetails: { builder: { id: `urn:ax:host:${jwkOf(rig, 'host').kid}` } },
    });

    const [envelope] = await exported<Envelope>(rig, ids[1], '-f', 'dsse');
    const statement = Buffer.from(envelope?.payload ?? '', 'base64');
    expect(failed?.subject).toMatchObject([
      { name: `receipt/${ids[1]}`, digest: { sha256: sha256(statement) } },
    ]);
    expect(failed?.predicate.runDetails.metadata).toMatchObject({ ax_outcome: 'failed' });
  });

  it('refuses provenance of a run in which nothing was executed, when asked for that one', async () => {
    const { rig, ids } = await ranThree();
    const { exitCode, stdout, stderr } = await rig.ax('receipts', 'export', ids[2], '-f', 'slsa');
    expect({ exitCode, stdout }).toEqual({ exitCode: 65, stdout: '' });
    expect(stderr).toContain('error[EXPORT_IMPOSSIBLE]');
    expect(stderr).toContain(`hint: ax receipts export ${ids[2]} --format dsse`);
  });

  it('encrypts to any of several age recipients, and the binary comes through standard output whole', async () => {
    const { rig } = await ranThree();
    const identities = await Promise.all([generateX25519Identity(), generateX25519Identity()]);
    const recipients = await Promise.all(identities.map((one) => identityToRecipient(one)));
    const args = recipients.flatMap((one) => ['--recipient', one]);
    const file = execFileSync(process.execPath, [AX, 'receipts', 'export', '--all', '-f', 'age', ...args], {
      cwd: rig.project,
      env: rig.env,
    });
    const envelopes = (await rig.ax('receipts', 'export', '--all', '-f', 'dsse')).stdout;
    for (const identity of identities) {
      const decrypter = new Decrypter();
      decrypter.addIdentity(identity);
      expect(await decrypter.decrypt(file, 'text')).toBe(envelopes);
    }
  });

  it.skipIf(!haveAge)('makes a file that age opens', async () => {
    const { rig } = await ranThree();
    const identity = await generateX25519Identity();
    rig.write('key.txt', `${identity}\n`, 0o600);
    const recipient = await identityToRecipient(identity);
    const made = await rig.ax('receipts', 'export', '--all', '-f', 'age', '-r', recipient, '-o', 'all.age');
    expect(made.exitCode).toBe(0);
    const plaintext = execFileSync('age', ['-d', '-i', 'key.txt', 'all.age'], { cwd: rig.project });
    expect(plaintext.toString()).toBe((await rig.ax('receipts', 'export', '--all', '-f', 'dsse')).stdout);
  });

  it('makes a file that is its owner’s alone, tells of it, and replaces one only with --force', async () => {
    const { rig } = await ranThree();
    const args = ['receipts', 'export', '--all', '-f', 'dsse', '-o', 'out.jsonl', '--json'];
    const { exitCode, stdout } = await rig.ax(...args);
    expect(exitCode).toBe(0);
    const file = join(rig.project, 'out.jsonl');
    const { size, mode } = statSync(file);
    expect(document(receiptsExport, stdout)).toEqual({
      schema: 'ax.receipts.export/1',
      format: 'dsse',
      file,
      bytes: size,
      receipts: 3,
      passedOver: 0,
    });
    expect(mode & 0o777).toBe(0o600);

    rig.write('out.jsonl', 'mine');
    const again = await rig.ax(...args);
    expect(again.exitCode).toBe(74);
    expect(JSON.parse(again.stdout).error).toMatchObject({
      code: 'IO',
      hint: 'choose another name, or replace it with --force',
    });
    expect(rig.read('out.jsonl')).toBe('mine');
    expect((await rig.ax(...args, '--force')).exitCode).toBe(0);
    expect(rig.read('out.jsonl').split('\n')).toHaveLength(4);
  });

  it('makes no file when one of the receipts was tampered with, and leaves the others alone', async () => {
    const { rig, ids } = await ranThree();
    tamper(rig, ids[1]);
    const { exitCode, stdout, stderr } = await rig.ax(
      ...['receipts', 'export', '--all', '-f', 'dsse', '-o', 'out.jsonl'],
    );
    expect({ exitCode, stdout }).toEqual({ exitCode: 76, stdout: '' });
    expect(stderr).toContain(`error[RECEIPT_TAMPERED]: receipt ${ids[1]}: the store says task`);
    expect(readdirSync(rig.project).filter((name) => name.includes('out.jsonl'))).toEqual([]);
    expect(await reads(rig)).toEqual([]);
    expect(await exported(rig, ids[0], '-f', 'dsse')).toHaveLength(1);
  });

  it('gives an auditor who has the receipt key alone the envelope, and no provenance', async () => {
    const { rig, ids } = await ranThree();
    const key = Buffer.from(jwkOf(rig, 'receipt').k, 'base64url').toString('base64');
    const env = { AX_HOME: join(rig.base, 'auditor'), AX_RECEIPT_KEY: key };
    const records = await rig.axWith({ env }, 'receipts', 'export', ids[0], '-f', 'ndjson');
    expect(JSON.parse(records.stdout)).toMatchObject({ id: ids[0], signedBy: null });
    const { exitCode, stdout, stderr } = await rig.axWith(
      { env },
      'receipts',
      'export',
      ids[0],
      '-f',
      'slsa',
    );
    expect({ exitCode, stdout }).toEqual({ exitCode: 77, stdout: '' });
    expect(stderr).toContain('error[SIGNATURE_UNTRUSTED]');
  });

  it('needs no key for receipts as they are sealed', async () => {
    const { rig, ids } = await ranThree();
    const env = { AX_HOME: join(rig.base, 'nobody') };
    const sealed = await rig.axWith({ env }, 'receipts', 'export', ids[0], '-f', 'jwe');
    expect(Object.keys(JSON.parse(sealed.stdout))).toEqual([
      'protected',
      'iv',
      'ciphertext',
      'tag',
      'recipients',
    ]);
    const { exitCode, stderr } = await rig.axWith({ env }, 'receipts', 'export', ids[0], '-f', 'dsse');
    expect(exitCode).toBe(66);
    expect(stderr).toContain('error[KEY_UNKNOWN]');
  });

  it('has a declared secret in no format, wherever a task has put it', async () => {
    const rig = await createRig();
    const secret = 'canary-4f1c9a7be2';
    await rig.sign(`
      leaks:
        run: [sh, -c, 'echo "out $TOKEN"; echo "err $TOKEN" >&2; exit 1', '{{word}}']
        params: { word: {} }
        secrets: [TOKEN]
        rollback: [sh, -c, 'echo "back $TOKEN"']
        metadata: { owner: ${secret} }
    `);
    const env = { TOKEN: secret };
    expect((await rig.axWith({ env }, 'run', 'leaks', '--input', `word=${secret}`)).exitCode).toBe(1);
    const identity = await generateX25519Identity();
    const recipient = await identityToRecipient(identity);
    for (const format of ['in-toto', 'ndjson', 'html', 'dsse', 'slsa', 'age', 'jwe']) {
      const more = format === 'age' ? ['-r', recipient] : [];
      const made = await rig.ax('receipts', 'export', '--all', '-f', format, ...more, '-o', `out.${format}`);
      expect(made.exitCode).toBe(0);
      expect(rig.read(`out.${format}`)).not.toContain(secret);
    }
    for (const format of ['dsse', 'slsa']) {
      const { payload } = JSON.parse(rig.read(`out.${format}`)) as Envelope;
      expect(Buffer.from(payload, 'base64').toString()).not.toContain(secret);
      expect(Buffer.from(payload, 'base64').toString()).toContain('[secret:TOKEN]');
    }
    expect(rig.read('out.html')).toContain('out [secret:TOKEN]');
  });

  it.each<[string, number, string, string[]]>([
    ['no receipts', 64, 'USAGE', ['-f', 'dsse']],
    ['two ways to choose', 64, 'USAGE', ['--all', '--since', '7d', '-f', 'dsse']],
    ['no format', 64, 'USAGE', ['--all']],
    ['a format that is none', 64, 'USAGE', ['--all', '-f', 'xml']],
    ['a time that is none', 64, 'USAGE', ['--since', 'yesterday', '-f', 'dsse']],
    ['a time without a zone', 64, 'USAGE', ['--since', '2026-01-31T12:00', '-f', 'dsse']],
    ['age without a recipient', 64, 'USAGE', ['--all', '-f', 'age']],
    ['a recipient without age', 64, 'USAGE', ['--all', '-f', 'dsse', '-r', 'age1x']],
    ['a recipient that is none', 78, 'KEY_MALFORMED', ['--all', '-f', 'age', '-r', 'age1x']],
    ['--force without a file', 64, 'USAGE', ['--all', '-f', 'dsse', '--force']],
    ['an id that is none', 66, 'RECEIPT_UNKNOWN', ['../x', '-f', 'dsse']],
  ])('refuses %s, and leaves everything as it was', async (_, status, code, args) => {
    const rig = createBareRig();
    rig.manifest('hello: { run: [echo, hello] }');
    expect((await rig.ax('init')).exitCode).toBe(0);
    const before = snapshot(rig);
    const { exitCode, stdout } = await rig.ax('receipts', 'export', ...args, '--json');
    expect(exitCode).toBe(status);
    expect(JSON.parse(stdout).error).toMatchObject({ code, exitCode: status });
    expect(JSON.parse(stdout).error.hint).toBeTypeOf('string');
    expect(snapshot(rig)).toEqual(before);
  });

  it('does not repeat a secret identity that was given for a recipient', async () => {
    const rig = await createRig();
    const identity = await generateX25519Identity();
    const { exitCode, stdout, stderr } = await rig.ax(
      ...['receipts', 'export', '--all', '-f', 'age', '-r', identity],
    );
    expect(exitCode).toBe(78);
    expect(stdout + stderr).not.toContain(identity);
    expect(existsSync(join(rig.project, '.ax'))).toBe(false);
  });
});

/** What someone who can write the store would do to hide which task it was. */
function tamper(rig: Rig, id: string): void {
  const sqlite = new DatabaseSync(join(rig.project, '.ax/ax.db'));
  sqlite.prepare('UPDATE receipts SET task = ? WHERE id = ?').run('other', id);
  sqlite.close();
}
