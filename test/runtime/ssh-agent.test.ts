import { randomBytes } from 'node:crypto';
import { describe, expect, it, test } from 'vitest';
import { AxError } from '../../src/errors.ts';
import { agentSigner } from '../../src/runtime/ssh-agent.ts';
import { addSignatureOf, unsignedEnvelope } from '../../src/security/dsse-sign.ts';
import { verifiedKeys } from '../../src/security/dsse-verify.ts';
import {
  type Ed25519SigningKey,
  generateEd25519,
  parseSigningKey,
  signMessage,
} from '../../src/security/signing-keys.ts';
import { encodeSshPublicKey, parseSshPublicKey } from '../../src/security/ssh-public-key.ts';
import { createSshReader, sshString, sshUint32 } from '../../src/security/ssh-wire.ts';
import { testContext } from '../support/context.ts';
import {
  type Behaviour,
  HAS_SSH,
  makeKey,
  startAgent,
  startImpostor,
  temporaryFolder,
} from '../support/ssh.ts';

function newKey(): Ed25519SigningKey {
  const key = parseSigningKey(generateEd25519(randomBytes), 'key');
  if (key.algorithm !== 'Ed25519') throw new Error(key.algorithm);
  return key;
}

const KEY = newKey();
const ENVELOPE = unsignedEnvelope('text/plain', Buffer.from('content'));

const LIST = 11;
const identities = Buffer.concat([
  Buffer.of(12),
  sshUint32(1),
  sshString(encodeSshPublicKey(KEY.publicKey.raw)),
  sshString('me'),
]);

/** What an agent with the key answers to a request for a signature. */
function signatureFor(request: Buffer, key = KEY): Buffer {
  const reader = createSshReader(request.subarray(1), (problem) => new AxError('INTERNAL', problem));
  reader.string('key');
  const sig = signMessage(key, reader.string('message'));
  return Buffer.concat([Buffer.of(14), sshString(Buffer.concat([sshString('ssh-ed25519'), sshString(sig)]))]);
}

/** Lists the key as an agent would, and does something else when it is to sign. */
const whenSigning =
  (behaviour: Behaviour): Behaviour =>
  (message, socket) => {
    if (message[0] === LIST) socket.write(sshString(identities));
    else behaviour(message, socket);
  };

async function signAt({ SSH_AUTH_SOCK }: { SSH_AUTH_SOCK?: string }, monotonic = () => 0) {
  const context = testContext('agent', { env: { SSH_AUTH_SOCK }, monotonic });
  return addSignatureOf(ENVELOPE, agentSigner(context, KEY));
}

/** The refusal of an attempt to sign. */
async function refusalOf(attempt: Promise<unknown>): Promise<AxError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof AxError) return error;
  throw new Error('expected a refusal', { cause: error });
}

test('an agent that keeps to the draft makes a signature that verifies', async () => {
  const env = await startImpostor(
    whenSigning((message, socket) => socket.write(sshString(signatureFor(message)))),
  );
  const envelope = await signAt(env);
  expect(verifiedKeys(envelope, [KEY])).toEqual([KEY]);
  expect(env.asked).toEqual([LIST, 13]);
});

test('its answers may come a byte at a time', async () => {
  const env = await startImpostor((message, socket) => {
    const body = message[0] === LIST ? identities : signatureFor(message);
    for (const byte of sshString(body)) socket.write(Buffer.of(byte));
  });
  expect(verifiedKeys(await signAt(env), [KEY])).toEqual([KEY]);
});

describe('refused is', () => {
  const refusals: [string, Behaviour, RegExp][] = [
    ['a failure', (_, socket) => socket.write(sshString(Buffer.of(5))), /refuses to sign/],
    [
      'an answer to something else',
      (_, socket) => socket.write(sshString(identities)),
      /of type 14, found 12/,
    ],
    [
      'garbage',
      (_, socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
      /an answer of 1 to 262144 bytes/,
    ],
    ['a huge message', (_, socket) => socket.write(sshUint32(262_145)), /found 262145/],
    ['an empty message', (_, socket) => socket.write(sshUint32(0)), /found 0/],
    ['no answer', (_, socket) => socket.end(), /found the end of the connection/],
    [
      'half an answer',
      (m, socket) => socket.end(sshString(signatureFor(m)).subarray(0, 40)),
      /the end of the connection/,
    ],
    [
      'two answers',
      (m, socket) => socket.write(Buffer.concat([sshString(signatureFor(m)), Buffer.of(0)])),
      /one answer/,
    ],
    ['a hang-up', (_, socket) => socket.destroy(), /expected an? /],
  ];
  it.each(refusals)('%s', async (_, behaviour, message) => {
    const error = await refusalOf(signAt(await startImpostor(whenSigning(behaviour))));
    expect(error).toMatchObject({ code: 'AGENT_UNAVAILABLE', exitCode: 69, hint: expect.any(String) });
    expect(error.message).toMatch(message);
  });

  it('a signature by another key, and one over something else', async () => {
    const other = await startImpostor(
      whenSigning((message, socket) => socket.write(sshString(signatureFor(message, newKey())))),
    );
    expect(await refusalOf(signAt(other))).toMatchObject({ code: 'SIGNATURE_INVALID', exitCode: 77 });
    const elsewhere = await startImpostor(
      whenSigning((message, socket) => {
        message[message.length - 5] = (message.at(-5) ?? 0) ^ 1;
        socket.write(sshString(signatureFor(message)));
      }),
    );
    expect(await refusalOf(signAt(elsewhere))).toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  it('an agent without the key, which is then not asked to sign', async () => {
    const env = await startImpostor((_, socket) => socket.write(sshString(Buffer.of(12, 0, 0, 0, 0))));
    const error = await refusalOf(signAt(env));
    expect(error).toMatchObject({ code: 'AGENT_UNAVAILABLE', hint: expect.stringContaining('ssh-add') });
    expect(error.message).toContain(KEY.kid);
    expect(env.asked).toEqual([LIST]);
  });

  it('no agent: no variable, an empty one, no socket there, and no name for one', async () => {
    const nowhere = `${temporaryFolder()}/agent`;
    const envs: { SSH_AUTH_SOCK?: string }[] = [{}, { SSH_AUTH_SOCK: '' }, { SSH_AUTH_SOCK: nowhere }];
    for (const env of envs) {
      expect(await refusalOf(signAt(env))).toMatchObject({
        code: 'AGENT_UNAVAILABLE',
        hint: 'eval "$(ssh-agent)", then ssh-add <the file of its private key>',
      });
    }
    for (const path of [`/tmp/${'x'.repeat(200)}`, '/tmp', '/dev/null', '22']) {
      expect(await refusalOf(signAt({ SSH_AUTH_SOCK: path })), path).toMatchObject({
        code: 'AGENT_UNAVAILABLE',
      });
    }
  });
});

test('an agent that says nothing has 5 seconds for its list and 60 for the signature, by the monotonic clock', async () => {
  let at = 0;
  const silent = await startImpostor(() => {
    at += 5_000;
  });
  expect(await refusalOf(signAt(silent, () => at))).toMatchObject({
    code: 'AGENT_UNAVAILABLE',
    message: 'ssh-agent: expected an answer within 5 seconds, found none',
  });
  expect(silent.asked).toEqual([LIST]);
  const stalled = await startImpostor(
    whenSigning(() => {
      at += 60_000;
    }),
  );
  expect(await refusalOf(signAt(stalled, () => at))).toMatchObject({
    code: 'AGENT_UNAVAILABLE',
    message: 'ssh-agent: expected an answer within 60 seconds, found none',
  });
  expect(stalled.asked).toEqual([LIST, 13]);
});

test('what is too long for any agent is refused without asking it', async () => {
  const env = await startImpostor(() => {});
  const large = unsignedEnvelope('text/plain', Buffer.alloc(300_000));
  const signer = agentSigner(testContext('agent', { env: { SSH_AUTH_SOCK: env.SSH_AUTH_SOCK } }), KEY);
  expect(await refusalOf(addSignatureOf(large, signer))).toMatchObject({ code: 'AGENT_UNAVAILABLE' });
  expect(env.asked).toEqual([]);
});

describe.skipIf(!HAS_SSH)('a real ssh-agent', () => {
  it('signs with a key that it has, up to its own limit, and not with one that it has no more', async () => {
    const agent = startAgent();
    const { file, publicText } = makeKey();
    agent.add(file);
    const key = parseSshPublicKey(publicText, 'pub');
    const signer = agentSigner(
      testContext('agent', { env: agent.env, monotonic: () => performance.now() }),
      key,
    );
    const envelope = await addSignatureOf(ENVELOPE, signer);
    expect(verifiedKeys(envelope, [key])).toEqual([key]);

    const large = unsignedEnvelope('text/plain', Buffer.alloc(262_000));
    expect(verifiedKeys(await addSignatureOf(large, signer), [key])).toEqual([key]);

    agent.add('-D');
    expect((await refusalOf(addSignatureOf(ENVELOPE, signer))).message).toContain(
      `expected the key ${key.kid}`,
    );
  });
});
