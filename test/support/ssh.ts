import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** OpenSSH's own programs, and agents that are none; everything is in a folder that is gone after the test. */

const PROGRAMS = ['ssh-keygen', 'ssh-agent', 'ssh-add'];

/** Tests that need OpenSSH say that they were skipped where it is not installed. */
export const HAS_SSH = PROGRAMS.every((name) => spawnSync(name, ['-?']).error === undefined);

export function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'ax-ssh-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface KeyPair {
  /** The private key's file; the public one's has `.pub` after it. */
  readonly file: string;
  readonly privateText: string;
  readonly publicText: string;
}

export function makeKey(
  file = join(temporaryFolder(), 'id_test'),
  { type = ['ed25519'], passphrase = '', comment = 'a comment' } = {},
): KeyPair {
  execFileSync('ssh-keygen', ['-q', '-t', ...type, '-N', passphrase, '-C', comment, '-f', file]);
  return { file, privateText: readFileSync(file, 'utf8'), publicText: readFileSync(`${file}.pub`, 'utf8') };
}

/** A running ssh-agent. */
export interface Agent {
  readonly env: { readonly SSH_AUTH_SOCK: string };
  /** `ssh-add` with these arguments, on this agent. */
  add(...args: string[]): void;
}

export function startAgent(): Agent {
  const SSH_AUTH_SOCK = join(temporaryFolder(), 'agent');
  const started = execFileSync('ssh-agent', ['-s', '-a', SSH_AUTH_SOCK], { encoding: 'utf8' });
  const pid = Number(/SSH_AGENT_PID=([0-9]+)/.exec(started)?.[1]);
  onTestFinished(() => void process.kill(pid));
  const env = { SSH_AUTH_SOCK };
  return {
    env,
    add: (...args) => void execFileSync('ssh-add', ['-q', ...args], { env: { ...process.env, ...env } }),
  };
}

/** Does what it likes with each message that comes in; the first byte of a message is its type. */
export type Behaviour = (message: Buffer, socket: Socket) => void;

/** Listens where an agent would. */
export async function startImpostor(behaviour: Behaviour): Promise<Agent['env'] & { asked: number[] }> {
  const SSH_AUTH_SOCK = join(temporaryFolder(), 'agent');
  const asked: number[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    let received = Buffer.alloc(0);
    socket.on('data', (piece) => {
      received = Buffer.concat([received, piece]);
      while (received.length >= 4 && received.length >= 4 + received.readUInt32BE()) {
        const message = received.subarray(4, 4 + received.readUInt32BE());
        received = received.subarray(4 + message.length);
        asked.push(message[0] ?? 0);
        behaviour(message, socket);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(SSH_AUTH_SOCK, resolve));
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { SSH_AUTH_SOCK, asked };
}
