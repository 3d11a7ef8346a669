import { createIsolate, type Isolate } from '../runtime/isolate/isolate.ts';

/** Makes an isolate for one command, and ends it whatever happens. */
export async function withIsolate<T>(body: (isolate: Isolate) => Promise<T>): Promise<T> {
  const isolate = createIsolate();
  try {
    return await body(isolate);
  } finally {
    await isolate.close();
  }
}
