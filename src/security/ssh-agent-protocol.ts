/**
 * The messages of an SSH agent (draft-miller-ssh-agent): what ax asks, and what may come back. An agent is a
 * program that somebody else wrote and that SSH_AUTH_SOCK leads to; nothing it says is believed beyond its form.
 *
 * What it is asked to sign is a PAE, which begins with `DSSEv1 `. What SSH itself has an agent sign begins with a
 * session id as a `string` (RFC 4252, section 7), so with its length in four bytes, whose first is 0: as such a
 * length, `DSSE` is more than a thousand million. Signatures of `ssh-keygen -Y` are over bytes that begin with
 * `SSHSIG`. So none of the three is ever good for one of the others.
 */
import { AxError } from '../errors.ts';
import { encodeSshPublicKey, SSH_ED25519 } from './ssh-public-key.ts';
import { createSshReader, type SshReader, sshString, sshUint32 } from './ssh-wire.ts';

/** As OpenSSH has it, for messages in both directions. */
export const MAX_AGENT_MESSAGE_BYTES = 256 * 1024;

/** Section 5.1 of the draft. */
const FAILURE = 5;
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;

const NO_FLAGS = 0;
const SIGNATURE_BYTES = 64;

/** The request for the public keys that the agent has. */
export function encodeIdentitiesRequest(): Buffer {
  return sshString(Buffer.of(REQUEST_IDENTITIES));
}

/**
 * The request for a signature over a message.
 *
 * @param raw the 32 bytes of the public key
 * @throws AGENT_UNAVAILABLE when the message is longer than an agent takes
 */
export function encodeSignRequest(raw: Uint8Array, message: Uint8Array): Buffer {
  const body = Buffer.concat([
    Buffer.of(SIGN_REQUEST),
    sshString(encodeSshPublicKey(raw)),
    sshString(message),
    sshUint32(NO_FLAGS),
  ]);
  if (body.length <= MAX_AGENT_MESSAGE_BYTES) return sshString(body);
  const room = MAX_AGENT_MESSAGE_BYTES - (body.length - message.length);
  throw new AxError(
    'AGENT_UNAVAILABLE',
    `ssh-agent: expected at most ${room} bytes to sign, found ${message.length}`,
    {
      hint: 'the agent of OpenSSH takes no more; sign it with a key of the keyring: ax keys list, ax sign --key <kid>',
    },
  );
}

/** Puts one message together from pieces of any size; `push` gives its body once all of it is there. */
export interface MessageReader {
  /**
   * @returns null while there is more to come
   * @throws AGENT_UNAVAILABLE for an empty message, one of more than 256 KiB, and bytes after its end
   */
  readonly push: (piece: Uint8Array) => Buffer | null;
}

export function createMessageReader(): MessageReader {
  const pieces: Uint8Array[] = [];
  let size = 0;
  let expected: number | undefined;
  return {
    push(piece) {
      pieces.push(piece);
      size += piece.length;
      if (size < 4) return null;
      expected ??= 4 + bodyLength(Buffer.concat(pieces));
      if (size > expected) throw unexpected(`one answer of ${expected} bytes`, `at least ${size}`);
      return size === expected ? Buffer.concat(pieces).subarray(4) : null;
    },
  };
}

function bodyLength(bytes: Buffer): number {
  const length = bytes.readUInt32BE();
  if (length >= 1 && length <= MAX_AGENT_MESSAGE_BYTES) return length;
  throw unexpected(`an answer of 1 to ${MAX_AGENT_MESSAGE_BYTES} bytes`, `${length}`);
}

/**
 * Whether the answer to `encodeIdentitiesRequest` has a public key in it.
 *
 * @throws AGENT_UNAVAILABLE for another message, or one with bytes missing or left over
 */
export function hasIdentity(body: Buffer, raw: Uint8Array): boolean {
  const reader = openAnswer(body, { expected: IDENTITIES_ANSWER, refused: 'does not list its keys' });
  const wanted = encodeSshPublicKey(raw);
  let found = false;
  // Each takes eight bytes at least, so what was announced ends with the message, whatever it says.
  for (let left = reader.uint32('number of keys'); left > 0; left--) {
    const blob = reader.string('key');
    reader.string('comment');
    found ||= blob.equals(wanted);
  }
  reader.end('list of keys');
  return found;
}

/**
 * The signature in the answer to `encodeSignRequest`: 64 bytes, which are still to be verified.
 *
 * @throws AGENT_UNAVAILABLE when the agent refuses, for another message, one with bytes missing or left over, and
 * a signature of another algorithm or length
 */
export function parseSignature(body: Buffer): Buffer {
  const reader = openAnswer(body, { expected: SIGN_RESPONSE, refused: 'refuses to sign with the key' });
  const blob = readerOf(reader.string('signature'));
  reader.end('signature');
  const algorithm = blob.string('algorithm of the signature').toString('latin1');
  if (algorithm !== SSH_ED25519) throw unexpected(`a signature by ${SSH_ED25519}`, 'another algorithm');
  const signature = blob.string('signature');
  blob.end('signature');
  if (signature.length === SIGNATURE_BYTES) return signature;
  throw unexpected(`a signature of ${SIGNATURE_BYTES} bytes`, `${signature.length}`);
}

function openAnswer(body: Buffer, { expected, refused }: { expected: number; refused: string }): SshReader {
  const reader = readerOf(body);
  const [type = FAILURE] = reader.bytes(1, 'type');
  if (type === expected) return reader;
  if (type === FAILURE) {
    throw new AxError('AGENT_UNAVAILABLE', `ssh-agent ${refused}`, {
      hint: 'it may be locked (ssh-add -X), or have asked somebody who said no (ssh-add -c); try again',
    });
  }
  throw unexpected(`a message of type ${expected}`, `${type}`);
}

function readerOf(bytes: Buffer): SshReader {
  return createSshReader(bytes, (problem) => agentUnavailable(problem));
}

function unexpected(expected: string, found: string): AxError {
  return agentUnavailable(`expected ${expected}, found ${found}`);
}

/** A refusal of what came from the agent, or did not come. */
export function agentUnavailable(problem: string, cause?: unknown): AxError {
  return new AxError('AGENT_UNAVAILABLE', `ssh-agent: ${problem}`, {
    hint: 'see whether an agent answers at SSH_AUTH_SOCK: ssh-add -l',
    cause,
  });
}
