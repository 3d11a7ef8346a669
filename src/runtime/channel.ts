import { existsSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { isAbsolute, join } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { sha256Hex } from '../security/digest.ts';
import { ensurePrivateDirectory, isErrno, throwIo } from '../store/files.ts';

/**
 * The socket on which a supervisor hears from other processes: one line of JSON in, one line out. It stands in
 * a folder that only its owner can enter; what is said on it is authenticated besides.
 */

const MAX_LINE_BYTES = 8 * 1024;
const TIMEOUT_MS = 5_000;
const MAX_CONNECTIONS = 32;
/** sun_path is 104 bytes on macOS and 108 on Linux, the closing NUL included. */
const MAX_PATH_BYTES = 103;

export interface Channel {
  readonly path: string;
  close(): void;
}

/** Listens; `answer` gets each line and gives the line to send back. @throws IO, KEY_PERMISSIONS */
export async function openChannel(
  context: Context,
  answer: (line: string) => Promise<string>,
): Promise<Channel> {
  const directory = runtimeDirectory(context);
  ensurePrivateDirectory(directory, context.actor.uid);
  removeAbandoned(directory, hostMark(context));
  const unique = Buffer.from(context.randomBytes(6)).toString('hex');
  const path = join(directory, `${hostMark(context)}-${context.pid}-${unique}.sock`);
  const server = createServer((socket) => {
    // Nor does a client that says nothing keep ax from ending.
    socket.unref();
    readLine(socket)
      .then(answer)
      .then((reply) => socket.end(`${reply}\n`))
      .catch(() => socket.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  }).catch((error: unknown) => throwIo(`listen on ${path}`, error));
  // The channel alone does not keep ax running.
  server.unref();
  return {
    path,
    close() {
      server.close();
      try {
        rmSync(path, { force: true });
      } catch {
        // What stays behind is a name at which nobody answers; the run has ended all the same.
      }
    },
  };
}

/** Process numbers mean something on one host only, and containers may share the folder. */
function hostMark({ host }: Context): string {
  return sha256Hex(host).slice(0, 8);
}

/** A supervisor that was killed could not take its socket away. */
function removeAbandoned(directory: string, mark: string): void {
  for (const name of readdirSync(directory)) {
    const pid = name.startsWith(`${mark}-`)
      ? /^[0-9a-f]+-([0-9]+)-[0-9a-f]+\.sock$/.exec(name)?.[1]
      : undefined;
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(directory, name), { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
}

/** Sends a line and gives the answer; null when nobody listens there any more. @throws SUPERVISOR_UNREACHABLE */
export async function askChannel(path: string, line: string): Promise<string | null> {
  if (!existsSync(path)) return null;
  const socket = connect(path);
  try {
    socket.write(`${line}\n`);
    return await readLine(socket);
  } catch (error) {
    if (isErrno(error, 'ECONNREFUSED', 'ENOENT')) return null;
    throw new AxError('SUPERVISOR_UNREACHABLE', `the run's supervisor does not answer on ${path}`, {
      hint: 'try again; if it stays so, see: ax runs',
      cause: error,
    });
  } finally {
    socket.destroy();
  }
}

function runtimeDirectory(context: Context): string {
  const { XDG_RUNTIME_DIR: runtime, TMPDIR: temporary } = context.env;
  const own = `ax-${context.actor.uid}`;
  const candidates = [
    ...(runtime !== undefined && isAbsolute(runtime) && existsSync(runtime) ? [join(runtime, 'ax')] : []),
    ...(temporary !== undefined && isAbsolute(temporary) ? [join(temporary, own)] : []),
    join('/tmp', own),
  ];
  // A mark of 8, a process number of up to 10, 12 random digits, and what is between them.
  const fits = (directory: string) => Buffer.byteLength(directory) + 40 <= MAX_PATH_BYTES;
  return candidates.find(fits) ?? join('/tmp', own);
}

function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(TIMEOUT_MS, () => reject(new Error('no answer in time')));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed before a whole line')));
    socket.on('data', (chunk: string) => {
      text += chunk;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > MAX_LINE_BYTES) reject(new Error('line too long'));
    });
  });
}
