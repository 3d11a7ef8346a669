import { isAxError } from '../../errors.ts';
import { decodeUtf8, parseJson } from '../../security/json.ts';
import { isObject } from '../../security/json-shape.ts';
import type { Spawned } from './spawn.ts';

/** The members of a reply besides its id. */
export type ReplyContent = { readonly [name: string]: unknown };

export interface Question<T> {
  /** As it goes over the pipe. */
  readonly job: object;
  /** Milliseconds, from when the process says that it begins. */
  readonly wallMs: number;
  readonly maxReplyBytes: number;
  /** Reads the answer, or says in words what is wrong with it. */
  readonly read: (content: ReplyContent) => { readonly answer: T } | string;
}

/** An answer, or what the process did instead. After that it is dead, and may not be asked again. */
export type Heard<T> =
  | { readonly answer: T }
  | {
      readonly broken: string;
      /** The process had ended before it began with the job: another one may be asked the same. */
      readonly unheard?: true;
    };

/** One process, asked one thing at a time. */
export interface IsolateProcess {
  /** Resolves within the time to load plus `wallMs`; never rejects. */
  ask<T>(question: Question<T>): Promise<Heard<T>>;
  /** Sends something that has no answer. */
  tell(message: object): void;
  /** False once it may not be asked any more. */
  usable(): boolean;
  /** Kills it, whatever it is doing; resolves when it is gone. What it was asked is answered with `broken`. */
  end(): Promise<void>;
}

/** A process that was killed is gone within milliseconds; one that the kernel cannot end is not waited for. */
const END_MS = 1_000;
const LINE_FEED = 0x0a;
const ENDED = 'ended its process';

interface Open {
  readonly id: number;
  readonly question: Question<unknown>;
  readonly resolve: (heard: Heard<unknown>) => void;
  timer: NodeJS.Timeout | undefined;
  began: boolean;
}

/**
 * Talks to an isolated process, in lines of JSON:
 *
 *     {"id": 1, "job": {…}}         asks; the next one only after the answer
 *     {"prepare": ["cel"]}          tells
 *
 *     {"id": 1, "began": true}      its code is loaded, the time of the job begins
 *     {"id": 1, …}                  the answer, whose members are for `read`
 *
 * What comes back is held to that as if it came from another machine. A process that says anything else, too much,
 * or out of turn, that takes too long, or ends, is killed.
 *
 * @param loadMs how long it may take from a question until it begins.
 */
export function talkTo({ process: child, input, output }: Spawned, loadMs: number): IsolateProcess {
  let open: Open | undefined;
  let usable = child.exitCode === null && child.signalCode === null;
  let lastId = 0;
  let received: Buffer[] = [];
  let receivedBytes = 0;
  const gone = new Promise<void>((resolve) => {
    if (!usable) resolve();
    else child.once('exit', () => resolve());
  });

  const settle = (heard: Heard<unknown>): void => {
    if (open === undefined) return;
    clearTimeout(open.timer);
    const { resolve } = open;
    open = undefined;
    resolve(heard);
  };
  const breakWith = (reason: string): void => {
    stopUsing();
    settle({ broken: reason });
  };
  const stopUsing = (): void => {
    usable = false;
    child.kill('SIGKILL');
    input.destroy();
    output.destroy();
  };
  const limitTime = (question: Open, ms: number, reason: string): void => {
    clearTimeout(question.timer);
    const { began } = question;
    // What came in time counts, also when ax was too busy to look: reading comes before the next immediate.
    const expire = (): void => {
      if (open === question && question.began === began) breakWith(reason);
    };
    question.timer = setTimeout(() => setImmediate(expire), ms);
  };

  const begin = (question: Open): void => {
    question.began = true;
    const { wallMs } = question.question;
    limitTime(question, wallMs, `exceeded its time (${wallMs} ms)`);
  };
  /** The answer, if this line is one; undefined when the job begins. */
  const takeLine = (line: Buffer, { id, question, began }: Open): Heard<unknown> | undefined => {
    const content = parseLine(line, id);
    if (typeof content === 'string') return { broken: content };
    if (began) {
      const read = question.read(content);
      return typeof read === 'string' ? { broken: read } : read;
    }
    if (content.began !== true || Object.keys(content).length !== 1)
      return { broken: 'answered out of turn' };
    return undefined;
  };
  const take = (chunk: Buffer): void => {
    if (!usable) return;
    if (open === undefined) {
      breakWith('answered when nothing was asked');
      return;
    }
    const limit = open.question.maxReplyBytes;
    let heard: Heard<unknown> | undefined;
    let rest = chunk;
    for (let end = rest.indexOf(LINE_FEED); end >= 0 && heard === undefined; end = rest.indexOf(LINE_FEED)) {
      const line = Buffer.concat([...received, rest.subarray(0, end)]);
      received = [];
      receivedBytes = 0;
      rest = rest.subarray(end + 1);
      heard = line.length > limit ? { broken: tooLong(limit) } : takeLine(line, open);
      if (heard === undefined) begin(open);
    }
    if (heard === undefined) {
      received.push(rest);
      receivedBytes += rest.length;
      if (receivedBytes > limit) breakWith(tooLong(limit));
    } else if ('broken' in heard) breakWith(heard.broken);
    else if (rest.length > 0) breakWith('answered twice');
    else settle(heard);
  };

  output.on('data', take);
  // After the output, so that what was said before the end is heard first.
  child.once('close', () => {
    stopUsing();
    settle({ broken: ENDED, ...(open?.began === false && { unheard: true }) });
  });

  return {
    ask<T>(question: Question<T>) {
      return new Promise<Heard<T>>((resolve) => {
        if (!usable || open !== undefined) {
          resolve({ broken: usable ? 'was asked out of turn' : ENDED });
          return;
        }
        lastId += 1;
        open = {
          id: lastId,
          question,
          // Only `question.read` makes an answer, and it is of this type.
          resolve: resolve as (heard: Heard<unknown>) => void,
          timer: undefined,
          began: false,
        };
        limitTime(open, loadMs, 'could not be loaded in time');
        input.write(`${JSON.stringify({ id: lastId, job: question.job })}\n`);
      });
    },
    tell(message) {
      if (usable) input.write(`${JSON.stringify(message)}\n`);
    },
    usable: () => usable,
    async end() {
      breakWith('was stopped');
      let late: NodeJS.Timeout | undefined;
      const enough = new Promise<void>((resolve) => {
        late = setTimeout(resolve, END_MS);
      });
      await Promise.race([gone, enough]);
      clearTimeout(late);
    },
  };
}

function tooLong(limit: number): string {
  return `sent more than ${limit} bytes`;
}

/** The members of a reply to a question, without its id; or what is wrong with it. */
function parseLine(line: Buffer, openId: number): ReplyContent | string {
  const value = parseText(line);
  if (!isObject(value)) return 'sent something that is not a JSON object';
  const { id, ...content } = value;
  return id === openId ? content : 'answered for another job';
}

function parseText(line: Buffer): unknown {
  try {
    return parseJson(decodeUtf8(line, 'isolate'), 'isolate');
  } catch (error) {
    if (isAxError(error)) return undefined;
    throw error;
  }
}
