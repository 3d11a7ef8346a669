import { Script } from 'node:vm';

declare global {
  /** The function that is limited, while it is. */
  var limited: (() => unknown) | undefined;
}

const call = new Script('limited()');

/**
 * Calls a function and gives what it returns, unless that takes longer: then V8 stops it wherever it is, in a regular
 * expression or in WebAssembly too. A timer could not: it would wait for its turn.
 *
 * @param ms whole milliseconds, at least 1, on the wall.
 * @throws what the function throws; ERR_SCRIPT_EXECUTION_TIMEOUT when its time is over.
 */
export function withTimeLimit<T>(ms: number, body: () => T): T {
  globalThis.limited = body;
  try {
    return call.runInThisContext({ timeout: ms }) as T;
  } finally {
    globalThis.limited = undefined;
  }
}
