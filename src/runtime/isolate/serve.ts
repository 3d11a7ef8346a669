import { readSync, writeSync } from 'node:fs';
import { notEvaluated } from './guard-reply.ts';
import { withTimeLimit } from './time-limit.ts';

/**
 * The inner half of an isolated process; process.ts says what goes over its pipes. One job after the other, and
 * nothing between them: reading waits without a turn of the event loop, and ends when ax is gone.
 */

/**
 * Loads what a job needs, and gives what does it: the members of the answer. Both may throw, and the answer is a Fail
 * then; to anything but a guard that is none, and ax takes it for none.
 */
export type Open<J> = (job: J) => Run | Promise<Run>;
export type Run = () => object;

export interface Handlers {
  /** By the kind of a job. */
  readonly open: Readonly<Record<string, Open<never>>>;
  /** Jobs to do ahead of time, by name: the first of a kind takes several times as long as the next. */
  readonly samples: Readonly<Record<string, Job>>;
}

interface Job {
  readonly kind: string;
  readonly wallMs?: number;
  readonly limits?: { readonly wallMs: number };
  /** What its kind has. */
  readonly [member: string]: unknown;
}

/** So that ax, if it is there, is the one that ends what takes too long. */
const SPARE_MS = 1_000;
const LINE_FEED = 0x0a;

/** Serves until the other end of the pipe is closed. */
export async function serve(handlers: Handlers): Promise<void> {
  for (let line = readLine(); line !== undefined; line = readLine()) {
    const { id, job, prepare } = JSON.parse(line);
    if (job === undefined) await prepareFor(prepare, handlers);
    else await answer(id, job, handlers);
  }
}

/** What fails here fails again when a job needs it, and is told then. */
export async function prepareFor(names: readonly string[], { open, samples }: Handlers): Promise<void> {
  for (const name of names) {
    const sample = Object.hasOwn(samples, name) ? samples[name] : undefined;
    if (sample === undefined) continue;
    try {
      withTimeLimit(SPARE_MS, await opened(open, sample));
    } catch {}
  }
}

async function answer(id: number, job: Job, { open }: Handlers): Promise<void> {
  let content: object;
  let began = false;
  try {
    const run = await opened(open, job);
    writeLine({ id, began: true });
    began = true;
    // For when ax is gone: nothing else would end a loop that never looks at the pipe.
    content = withTimeLimit((job.wallMs ?? job.limits?.wallMs ?? 0) + SPARE_MS, run);
  } catch (error) {
    if (!began) writeLine({ id, began: true });
    content = { verdict: notEvaluated(error), spent: true };
  }
  writeLine({ id, ...content });
}

async function opened(open: Handlers['open'], job: Job): Promise<Run> {
  const handler = Object.hasOwn(open, job.kind) ? open[job.kind] : undefined;
  if (handler === undefined) throw new Error('no job is of this kind');
  // The kind decides both the function and the shape of the job that it gets.
  return handler(job as never);
}

let received: Buffer[] = [];

/** The next line, without its end; undefined at the end of the input. */
function readLine(): string | undefined {
  for (;;) {
    const last = received.at(-1);
    const end = last?.indexOf(LINE_FEED) ?? -1;
    if (last !== undefined && end >= 0) {
      const line = Buffer.concat([...received.slice(0, -1), last.subarray(0, end)]);
      received = [last.subarray(end + 1)];
      return line.toString();
    }
    const chunk = Buffer.allocUnsafe(65_536);
    const length = readSync(0, chunk);
    if (length === 0) return undefined;
    received.push(chunk.subarray(0, length));
  }
}

function writeLine(message: object): void {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}
