import { EvalFlags, type JSValueHandle, type QuickJS } from 'quickjs-wasi';
import type { Limited, ScriptJob } from '../isolate/job.ts';
import { boundReason, parseAnswer } from './answer.ts';
import { engine } from './assets.ts';
import { conclude } from './conclude.ts';
import { describeFailure, openInterpreter } from './interpreter.ts';
import type { OpenGuard } from './outcome.ts';
import { parseSnapshotText } from './snapshot-text.ts';
import { fail, type Verdict } from './verdict.ts';

/**
 * Evaluates a guard that a team wrote: an ES module that imports nothing and whose default export is a function,
 *
 *     export default function guard(snapshot) {
 *       return { verdict: 'pass', reason: 'no freeze today' };
 *     }
 *
 * called once with the snapshot, frozen at every depth. It returns `{verdict: 'pass' | 'fail', reason}` or
 * `{verdict: 'defer', reason, retryAfterMs}`: a plain object with these members, as data, and no other. It must not
 * be async. `new Date()` is the snapshot's `now`, in UTC, and `Math.random` does not exist.
 *
 * Whatever else happens (a throw, a limit met, another answer) is a Fail that says so.
 */
export const openScript: OpenGuard<Limited<ScriptJob>> = async (job) => {
  const { now } = parseSnapshotText(job.snapshotText);
  let rejection: string | undefined;
  const interpreter = await openInterpreter(engine(), {
    limits: job.limits,
    now,
    load: (name) => (name === GUARD_MODULE ? job.source : IMPORTS_NOTHING),
    onRejection: (_promise, reason) => {
      rejection ??= describeThrown(reason);
    },
  });
  return () => {
    try {
      const answer = callGuard(interpreter.vm, job.snapshotText, () => rejection);
      return conclude(interpreter, typeof answer === 'string' ? fail(`${answer}`) : answer, false);
    } catch (error) {
      return conclude(interpreter, fail(`${describeFailure(error)}`), true);
    }
  };
};

const GUARD_MODULE = 'guard';
const IMPORTS_NOTHING = 'throw new Error("a guard imports nothing")';
const ENTRY = `import guard from '${GUARD_MODULE}'; globalThis.guard = guard;`;
/** Runs before anything of the guard's, with the engine's own functions. */
const PRELUDE = `(text) => {
  delete Math.random;
  for (const name of ['eval', 'SharedArrayBuffer', 'queueMicrotask']) delete globalThis[name];
  const freeze = (value) => {
    if (typeof value === 'object' && value !== null) {
      for (const key of Object.keys(value)) freeze(value[key]);
      Object.freeze(value);
    }
    return value;
  };
  return freeze(JSON.parse(text));
}`;

/** The verdict, or what is wrong with the guard. */
function callGuard(vm: QuickJS, snapshotText: string, rejection: () => string | undefined): Verdict | string {
  const prelude = vm.evalCode(PRELUDE, 'ax');
  const snapshot = vm.callFunction(prelude, vm.undefined, vm.newString(snapshotText));
  const module = vm.evalCode(ENTRY, 'ax', EvalFlags.TYPE_MODULE);
  // Settled at once unless the guard awaits something, and nothing here would ever come.
  if (module.promiseState === PENDING) return 'expected a guard without await, found one that waits';
  if (module.promiseState !== FULFILLED) return rejection() ?? 'threw while it was loaded';
  const guard = dataOf(vm.global, 'guard');
  if (guard?.isFunction !== true)
    return `expected export default a function, found ${guard?.typeof ?? 'nothing'}`;
  return readAnswer(vm.callFunction(guard, vm.undefined, snapshot));
}

const PENDING = 0;
const FULFILLED = 1;

/** Reads an answer with the engine's own eyes: no getter, proxy or toJSON of the guard's is ever called. */
function readAnswer(answer: JSValueHandle): Verdict | string {
  if (!answer.isObject) return `expected an object, found ${answer.isNull ? 'null' : `a ${answer.typeof}`}`;
  if (answer.isProxy || answer.className !== 'Object') {
    return `expected a plain object, found ${answer.isProxy ? 'a Proxy' : (answer.className ?? 'another')}`;
  }
  const members: Record<string, unknown> = Object.create(null);
  for (const key of answer.getOwnPropertyKeys()) {
    const value = typeof key === 'string' ? dataOf(answer, key) : undefined;
    if (typeof key !== 'string' || value === undefined)
      return 'expected plain members, found a getter or symbol';
    // What is neither becomes undefined, which is of no type that a verdict has.
    members[key] = value.isNumber ? value.toNumber() : textOf(value);
  }
  if (typeof members.reason === 'string') members.reason = boundReason(members.reason);
  return parseAnswer(members);
}

/** Longer text than any that is read of a guard; the engine may not have the memory to hand it out, either. */
const MAX_TEXT = 64 * 1024;

function textOf(value: JSValueHandle): string | undefined {
  return value.isString && value.length <= MAX_TEXT ? value.toString() : undefined;
}

/** The value of an own property that is data. */
function dataOf(object: JSValueHandle, key: string): JSValueHandle | undefined {
  return object.getOwnPropertyDescriptor(key)?.value;
}

function describeThrown(reason: JSValueHandle): string {
  const message = reason.isError && !reason.isProxy ? dataOf(reason, 'message') : reason;
  const text = message === undefined ? undefined : textOf(message);
  return text === undefined ? 'threw while it was loaded' : `threw ${text}`;
}
