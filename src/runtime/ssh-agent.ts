import { connect, type Socket } from 'node:net';
import type { Context } from '../context.ts';
import { AxError, isAxError } from '../errors.ts';
import type { Signer } from '../security/signer.ts';
import type { Ed25519VerificationKey } from '../security/signing-keys.ts';
import {
  agentUnavailable,
  createMessageReader,
  encodeIdentitiesRequest,
  encodeSignRequest,
  hasIdentity,
  parseSignature,
} from '../security/ssh-agent-protocol.ts';
import { sshFingerprint } from '../security/ssh-public-key.ts';
import { isErrno } from '../store/files.ts';

/** The socket of a running ssh-agent, which signs with a key that ax never sees. */

const LIST_MS = 5_000;
/** The agent may ask somebody first (`ssh-add -c`). */
const SIGN_MS = 60_000;
/** The clock decides, and a timer only has it looked at, this often. */
const LOOK_MS = 250;

/**
 * Signs through the agent that SSH_AUTH_SOCK leads to. The agent is asked for its keys first, so that one that it
 * does not have is told from a refusal. It sees what is to be signed; what it gives back is not verified here.
 *
 * @throws AGENT_UNAVAILABLE where there is no agent, it does not have the key, refuses, answers anything that is
 * not an answer, or does not answer within 5 seconds (60 for the signature)
 */
export function agentSigner(context: Context, key: Ed25519VerificationKey): Signer {
  return { key, sign: (message) => signThroughAgent(context, key, message) };
}

async function signThroughAgent(
  context: Context,
  { kid, publicKey: { raw } }: Ed25519VerificationKey,
  message: Uint8Array,
): Promise<Buffer> {
  const request = encodeSignRequest(raw, message);
  const path = socketPath(context, kid);
  const socket = connect({ path });
  const pieces: AsyncIterator<Buffer> = socket[Symbol.asyncIterator]();
  const ask = async (question: Buffer, withinMs: number): Promise<Buffer> => {
    const release = destroyAfter(context, socket, withinMs);
    try {
      socket.write(question);
      return await readMessage(pieces);
    } catch (error) {
      if (isAxError(error)) throw error;
      if (isErrno(error, 'ENOENT', 'ECONNREFUSED', 'ENOTSOCK'))
        throw noAgent(kid, `nobody at ${path}`, error);
      const reason = error instanceof Error ? error.message : String(error);
      throw agentUnavailable(`expected an answer, found ${reason}`, error);
    } finally {
      release();
    }
  };
  try {
    if (!hasIdentity(await ask(encodeIdentitiesRequest(), LIST_MS), raw)) {
      throw new AxError(
        'AGENT_UNAVAILABLE',
        `ssh-agent: expected the key ${kid} (${sshFingerprint(raw)}) in it, found others or none`,
        { hint: 'ssh-add <the file of its private key>; ssh-add -l lists what is there' },
      );
    }
    return parseSignature(await ask(request, SIGN_MS));
  } finally {
    socket.destroy();
  }
}

function socketPath({ env }: Context, kid: string): string {
  const path = env.SSH_AUTH_SOCK;
  if (path !== undefined && path !== '') return path;
  throw noAgent(kid, 'nothing in it');
}

function noAgent(kid: string, found: string, cause?: unknown): AxError {
  return new AxError(
    'AGENT_UNAVAILABLE',
    `the key ${kid} signs through ssh-agent: expected SSH_AUTH_SOCK to lead to one, found ${found}`,
    { hint: 'eval "$(ssh-agent)", then ssh-add <the file of its private key>', cause },
  );
}

async function readMessage(pieces: AsyncIterator<Buffer>): Promise<Buffer> {
  const reader = createMessageReader();
  for (;;) {
    const { done, value } = await pieces.next();
    if (done === true) throw agentUnavailable('expected a whole answer, found the end of the connection');
    const body = reader.push(value);
    if (body !== null) return body;
  }
}

/** Over all of an answer: an agent that sends a byte now and then would else keep ax for hours. */
function destroyAfter(context: Context, socket: Socket, ms: number): () => void {
  const deadline = context.monotonic() + ms;
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    const left = deadline - context.monotonic();
    if (left > 0) timer = setTimeout(look, Math.min(left, LOOK_MS));
    else socket.destroy(agentUnavailable(`expected an answer within ${ms / 1000} seconds, found none`));
  };
  look();
  return () => clearTimeout(timer);
}
