import { type MessagePort, workerData } from 'node:worker_threads';
import { boundReason } from './answer.ts';
import { loadHandler, tryHandler } from './handlers.ts';
import type { Evaluate, GuardJob, Limited, Outcome } from './job.ts';
import { fail } from './verdict.ts';

/**
 * The thread in which guards are evaluated, one at a time. Text comes in and text goes out; replies.ts says which.
 */
const { port } = workerData as { readonly port: MessagePort };

/** One thing after the other: what an evaluation may use is measured for the thread. */
let turn: Promise<void> = Promise.resolve();

port.on('message', (text: string) => {
  const { id, job, prepare } = JSON.parse(text);
  turn = turn.then(() => (job === undefined ? prepareFor(prepare) : answer(id, job)));
});

/** What fails here fails again when a guard needs it, and is told then. */
async function prepareFor(kinds: readonly string[]): Promise<void> {
  for (const kind of kinds) await Promise.allSettled([tryHandler(kind)]);
}

async function answer(id: number, job: Limited<GuardJob>): Promise<void> {
  const evaluate: Evaluate<GuardJob> = await loadHandler(job.kind).catch((error) => () => {
    throw error;
  });
  // From here on it is the guard's own time.
  post({ id, began: true });
  const outcome = await evaluateOrFail(evaluate, job);
  const { verdict } = outcome;
  post({ id, verdict: { ...verdict, reason: boundReason(verdict.reason) } });
  post({ id, spent: outcome.spent });
}

async function evaluateOrFail(evaluate: Evaluate<GuardJob>, job: Limited<GuardJob>): Promise<Outcome> {
  try {
    return await evaluate(job);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { verdict: fail(`the guard could not be evaluated: ${message}`), spent: true };
  }
}

function post(message: object): void {
  port.postMessage(JSON.stringify(message));
}
