import { createPublicKey, verify } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generalDecrypt, importJWK } from 'jose';
import { expect, test } from 'vitest';
import { createRig, type Rig } from '../support/rig.ts';

/** A receipt is read here by other people's code alone: jose opens the seal, node:crypto verifies the signature. */

interface KeyFile {
  role: string;
  jwk: { kid: string; kty: string; crv?: string; x?: string; d?: string };
}

function keysOf(rig: Rig, role: string): KeyFile['jwk'][] {
  const folder = join(rig.home, 'keys');
  return readdirSync(folder)
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as KeyFile)
    .filter((key) => key.role === role)
    .map((key) => key.jwk);
}

/** DSSE v1, "PAE": written out once more, so that it is not our own word for it. */
function preAuthEncoding(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${body.length} `), body]);
}

test('jose opens a receipt, and node:crypto verifies what is in it', async () => {
  const rig = await createRig();
  await rig.sign('hello: {run: [echo, "from the task"]}');
  expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
  const listed = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout);
  const shown = await rig.ax('receipts', 'show', listed.receipts[0].id, '--json');
  const { jwe } = JSON.parse(shown.stdout);

  const [receiptKey] = keysOf(rig, 'receipt');
  const opened = await generalDecrypt(jwe, await importJWK({ ...receiptKey, alg: 'A256KW' }));
  expect(opened.protectedHeader).toMatchObject({ enc: 'A256GCM', typ: 'ax-receipt+jwe' });
  expect(opened.protectedHeader).toHaveProperty('receiptId', listed.receipts[0].id);

  const envelope = JSON.parse(Buffer.from(opened.plaintext).toString('utf8'));
  const body = Buffer.from(envelope.payload, 'base64');
  const [hostKey] = keysOf(rig, 'host');
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: hostKey?.x ?? '' },
    format: 'jwk',
  });
  const message = preAuthEncoding(envelope.payloadType, body);
  const signature = Buffer.from(envelope.signatures[0].sig, 'base64');
  expect(verify(null, message, publicKey, signature)).toBe(true);
  message[message.length - 1] = (message.at(-1) ?? 0) ^ 1;
  expect(verify(null, message, publicKey, signature)).toBe(false);

  const statement = JSON.parse(body.toString('utf8'));
  expect(statement).toMatchObject({
    _type: 'https://in-toto.io/Statement/v1',
    predicateType: 'urn:ax:receipt:v1',
    predicate: { task: 'hello', outcome: 'completed', output: { stdout: { head: 'from the task\n' } } },
  });
});

test('after a rotation the new key opens it, and the old one does not', async () => {
  const rig = await createRig();
  await rig.sign('hello: {run: ["true"]}');
  await rig.ax('run', 'hello');
  const [oldKey] = keysOf(rig, 'receipt');
  expect((await rig.ax('keys', 'rotate')).exitCode).toBe(0);
  const newKey = keysOf(rig, 'receipt').find((key) => key.kid !== oldKey?.kid);

  const id = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout).receipts[0].id;
  const { jwe } = JSON.parse((await rig.ax('receipts', 'show', id, '--json')).stdout);
  await expect(generalDecrypt(jwe, await importJWK({ ...oldKey, alg: 'A256KW' }))).rejects.toThrow();
  await expect(generalDecrypt(jwe, await importJWK({ ...newKey, alg: 'A256KW' }))).resolves.toBeDefined();
});

test('in-toto’s own shape: a receipt of a task with outputs names them as subjects', async () => {
  const rig = await createRig();
  await rig.sign('make: {shell: "mkdir -p dist && printf abc > dist/a.txt", outputs: ["dist/**"]}');
  expect((await rig.ax('run', 'make')).exitCode).toBe(0);
  const id = JSON.parse((await rig.ax('receipts', 'list', '--json')).stdout).receipts[0].id;
  const statement = JSON.parse((await rig.ax('receipts', 'decrypt', id)).stdout);
  expect(statement.subject).toEqual([
    {
      name: 'dist/a.txt',
      digest: { sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' },
    },
  ]);
});
