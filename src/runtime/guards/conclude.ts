import type { Interpreter } from './interpreter.ts';
import type { Outcome } from './outcome.ts';
import { fail, type Verdict } from './verdict.ts';

/** A limit that was met overrules the answer: a guard could have caught what stopped it. */
export function conclude(interpreter: Interpreter, verdict: Verdict, broken: boolean): Outcome {
  const exceeded = interpreter.exceeded();
  return {
    verdict: exceeded === undefined ? verdict : fail(`the guard ${exceeded}`),
    spent: broken || exceeded !== undefined || interpreter.grown(),
  };
}
