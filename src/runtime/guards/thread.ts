import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { Reply } from './replies.ts';
import { parseReply } from './replies.ts';
import { fail, type Verdict } from './verdict.ts';

export interface Answered {
  readonly verdict: Verdict;
  /** The thread broke a rule or was used up: it may not be asked again. */
  readonly spent: boolean;
}

/** One worker thread, asked one thing at a time. */
export interface GuardThread {
  /** Sends a text and waits for the whole answer; resolves within the time to load plus `wallMs`, never rejects. */
  ask(id: number, text: string, wallMs: number): Promise<Answered>;
  /** Sends a text that has no answer. */
  tell(text: string): void;
  /** True once it may not be asked any more. */
  broken(): boolean;
  /** Ends it, whatever it is doing; what it was asked is a Fail. */
  stop(): Promise<void>;
}

/** Starting a thread and reading an interpreter takes milliseconds, but the machine may be busy. */
const LOAD_MS = 10_000;
/** Ending a thread takes milliseconds; one that cannot be ended is left behind. */
const STOP_MS = 1_000;

/**
 * A thread is no sandbox: it is there so that an evaluation can be ended and cannot hold up the rest. It gets an
 * empty environment, no arguments, and none of the process's own streams; its heap is bounded.
 */
function startWorker(file: URL, port: MessageChannel['port2']): Worker {
  return new Worker(file, {
    name: 'ax-guards',
    argv: [],
    env: {},
    execArgv: [],
    stdin: false,
    // Pipes that nobody reads: nothing there writes, and what did would soon have to wait.
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16, stackSizeMb: 4 },
    workerData: { port },
    transferList: [port],
  });
}

interface Question {
  readonly id: number;
  readonly wallMs: number;
  readonly resolve: (answered: Answered) => void;
  timer: NodeJS.Timeout;
  began: boolean;
  verdict: Verdict | undefined;
}

export function startGuardThread(file: URL): GuardThread {
  const { port1: port, port2 } = new MessageChannel();
  const worker = startWorker(file, port2);
  let open: Question | undefined;
  let broken = false;

  /** Whatever is open is answered with a Fail, and the thread is not asked again. */
  const breakWith = (reason: string): void => {
    broken = true;
    settle(fail(`the guard ${reason}`), true);
  };
  const settle = (verdict: Verdict, spent: boolean): void => {
    if (open === undefined) return;
    clearTimeout(open.timer);
    const { resolve } = open;
    open = undefined;
    port.unref();
    resolve({ verdict, spent });
  };
  const take = (message: unknown): void => {
    if (broken) return;
    const reply = parseReply(message, open?.id);
    if (typeof reply === 'string') breakWith(reply);
    else if (open !== undefined) advance(open, reply);
  };
  const advance = (question: Question, reply: Reply): void => {
    if (reply.kind === 'began' && !question.began) {
      question.began = true;
      restartTimer(question, question.wallMs);
    } else if (reply.kind === 'verdict' && question.began && question.verdict === undefined) {
      question.verdict = reply.verdict;
    } else if (reply.kind === 'ended' && question.verdict !== undefined) {
      settle(question.verdict, reply.spent);
    } else {
      breakWith(question.verdict === undefined ? 'answered out of turn' : 'answered twice');
    }
  };
  const restartTimer = (question: Question, ms: number): void => {
    clearTimeout(question.timer);
    const { began } = question;
    question.timer = setTimeout(() => {
      // This thread may have been too busy to look, and the answer be here.
      while (open === question) {
        const next = receiveMessageOnPort(port);
        if (next === undefined) break;
        take(next.message);
      }
      if (open !== question || question.began !== began) return;
      breakWith(began ? `exceeded its time (${ms} ms)` : 'could not be loaded in time');
    }, ms);
  };

  port.on('message', take);
  port.on('messageerror', () => breakWith('sent something that cannot be read'));
  worker.on('error', (error: NodeJS.ErrnoException) => {
    breakWith(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'exceeded its memory' : 'broke its thread');
  });
  worker.on('exit', () => breakWith('ended its thread'));
  worker.unref();
  port.unref();

  return {
    ask: (id, text, wallMs) =>
      new Promise((resolve) => {
        if (broken || open !== undefined) {
          resolve({ verdict: fail('the guard was asked out of turn'), spent: true });
          return;
        }
        open = { id, wallMs, resolve, timer: setTimeout(() => {}, 0), began: false, verdict: undefined };
        restartTimer(open, LOAD_MS);
        // While an answer is awaited, it alone keeps ax running.
        port.ref();
        port.postMessage(text);
      }),
    tell: (text) => port.postMessage(text),
    broken: () => broken,
    async stop() {
      breakWith('was stopped');
      const late = new Promise((resolve) => setTimeout(resolve, STOP_MS).unref());
      await Promise.race([worker.terminate(), late]);
      port.close();
    },
  };
}
