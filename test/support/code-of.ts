import { AxError, type ErrorCode } from '../../src/errors.ts';

/** The code that a call is refused with, or undefined when it returns. Any other error is a failure of the test. */
export function codeOf(call: () => unknown): ErrorCode | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof AxError) return error.code;
    throw error;
  }
}
