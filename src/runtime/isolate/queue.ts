import type { Heard, IsolateProcess, Question } from './process.ts';

/** Jobs for a process, one after the other; for a process that broke, the next job gets a new one. */
export interface Queue {
  /** Never rejects. @param spent of an answer: the process it came from is used up, and is ended before the next. */
  ask<T>(question: Question<T>, spent?: (answer: T) => boolean): Promise<Heard<T>>;
  /** Starts a process, if there is none, and tells it something that has no answer. */
  tell(message: object): void;
  /** Ends the process. What is not answered by then never will be. */
  close(): Promise<void>;
}

const MAX_WAITING = 1024;

/** Nothing is started before the first job, or `tell`. */
export function createQueue(start: () => IsolateProcess): Queue {
  let current: IsolateProcess | undefined;
  let tail: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let closed = false;

  const usable = (): IsolateProcess | undefined => {
    try {
      if (current === undefined || !current.usable()) current = start();
      return current;
    } catch {
      return undefined;
    }
  };
  const askOne = async <T>(question: Question<T>, spent: (answer: T) => boolean): Promise<Heard<T>> => {
    if (closed) return { broken: 'was not asked: it is closed' };
    const asked = usable();
    if (asked === undefined) return { broken: 'was not asked: no process could be started for it' };
    const heard = await asked.ask(question);
    // Waiting for its end gives the memory back before the next job begins.
    if ('broken' in heard || spent(heard.answer)) await asked.end();
    return heard;
  };
  /** A process that ended between two jobs is no fault of the second: once, another one is asked. */
  const askNow = async <T>(question: Question<T>, spent: (answer: T) => boolean): Promise<Heard<T>> => {
    const heard = await askOne(question, spent);
    return 'unheard' in heard ? askOne(question, spent) : heard;
  };

  return {
    ask(question, spent = () => false) {
      if (waiting >= MAX_WAITING)
        return Promise.resolve({ broken: 'was not asked: too many jobs are waiting' });
      waiting += 1;
      const heard = tail
        .then(() => askNow(question, spent))
        .finally(() => {
          waiting -= 1;
        });
      tail = heard;
      return heard;
    },
    tell(message) {
      if (!closed) usable()?.tell(message);
    },
    async close() {
      closed = true;
      await current?.end();
      await tail;
    },
  };
}
