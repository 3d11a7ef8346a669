import { existsSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
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
/** After each answer, before the next: at most a hundred in a second, however many ask. */
const PAUSE_MS = 10;
/** sun_path is 104 bytes on macOS and 108 on Linux, the closing NUL included. */
const MAX_PATH_BYTES = 103;

export interface Channel {
  readonly path: string;
  close(): void;
}

/**
 * Listens; `answer` gets each line and gives the line to send back. Lines are answered one at a time with a pause
 * between them, at most 32 wait, and no connection lives longer than its answer: a flood keeps others from being
 * heard and the run from nothing. When others than the owner could enter the folder, nobody is heard: then it
 * would not be known who speaks.
 *
 * @throws IO, KEY_PERMISSIONS
 */
export async function openChannel(context: Context, answer: (line: string) => string): Promise<Channel> {
  const directory = runtimeDirectory(context);
  const ensureOwn = () => ensurePrivateDirectory(directory, context.actor.uid);
  ensureOwn();
  removeAbandoned(directory, hostMark(context));
  const unique = Buffer.from(context.randomBytes(6)).toString('hex');
  const path = join(directory, `${hostMark(context)}-${context.pid}-${unique}.sock`);
  const inTurn = createQueue((line: string) => {
    ensureOwn();
    return answer(line);
  });
  const server = createServer((socket) => {
    // Nor does a client that says nothing keep ax from ending.
    socket.unref();
    readLine(socket)
      .then(inTurn.push)
      .then((reply) => {
        socket.write(`${reply}\n`);
        socket.destroySoon();
      })
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
      inTurn.close();
      try {
        rmSync(path, { force: true });
      } catch {
        // What stays behind is a name at which nobody answers; the run has ended all the same.
      }
    },
  };
}

/** Does one piece of work at a time, and refuses more than may wait; nothing any more once it is closed. */
function createQueue(work: (line: string) => string) {
  let turn: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let closed = false;
  return {
    async push(line: string): Promise<string> {
      if (waiting === MAX_CONNECTIONS) throw new Error('too many wait');
      waiting += 1;
      const answered = turn.then(() => {
        waiting -= 1;
        if (closed) throw new Error('closed');
        return work(line);
      });
      turn = answered.catch(() => {}).then(() => delay(PAUSE_MS, undefined, { ref: false }));
      return answered;
    },
    close() {
      closed = true;
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

/** The first line, if it comes whole within the time and size for one; nothing after it is read. */
function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    // Over all of it: a client that sends a byte now and then would else keep its place for hours.
    const deadline = setTimeout(() => end(() => reject(new Error('no line in time'))), TIMEOUT_MS).unref();
    const end = (settle: () => void): void => {
      clearTimeout(deadline);
      socket.off('data', take).pause();
      settle();
    };
    const take = (chunk: string): void => {
      text += chunk;
      const length = text.indexOf('\n');
      if (text.length > MAX_LINE_BYTES) end(() => reject(new Error('line too long')));
      else if (length >= 0) end(() => resolve(text.slice(0, length)));
    };
    socket.setEncoding('utf8');
    socket.on('data', take);
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('close', () => end(() => reject(new Error('closed before a whole line'))));
  });
}
