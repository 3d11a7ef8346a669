import type { QuickJS } from 'quickjs-wasi';
import { isAxError } from '../../errors.ts';
import { parseJson } from '../../security/json.ts';
import type { CelJob, Limited } from '../isolate/job.ts';
import { parseAnswer } from './answer.ts';
import { celImage, engine } from './assets.ts';
import { conclude } from './conclude.ts';
import { describeFailure, openInterpreter } from './interpreter.ts';
import type { OpenGuard } from './outcome.ts';
import { parseSnapshotText } from './snapshot-text.ts';
import { fail, type Verdict } from './verdict.ts';
import { createZoneClock, ZONE_CLOCK } from './zone-clock.ts';

/** In UTF-8. The library's parser takes time that grows with the square of the length. */
const MAX_EXPRESSION_BYTES = 2048;

/**
 * Evaluates an expression in the Common Expression Language. Each member of the snapshot is a variable (whole numbers
 * are int, others double), `now` is a timestamp. True is a Pass, false a Fail; any other value, an error, an unknown
 * name or a limit met is a Fail that says so.
 *
 * The library runs in the interpreter too. Outside it, a list that an expression doubles often enough would
 * end the whole process; there, it meets a memory of fixed size.
 */
export const openCel: OpenGuard<Limited<CelJob>> = async (job) => {
  const bytes = Buffer.byteLength(job.expression);
  if (bytes > MAX_EXPRESSION_BYTES) {
    const verdict = fail(`expected at most ${MAX_EXPRESSION_BYTES} bytes, found ${bytes}`);
    return () => ({ verdict, spent: false });
  }
  const { now } = parseSnapshotText(job.snapshotText);
  const interpreter = await openInterpreter(engine(), { limits: job.limits, now, image: celImage() });
  const { vm } = interpreter;
  return () => {
    try {
      vm.registerHostCallback(ZONE_CLOCK, createZoneClock(vm));
      return conclude(interpreter, readAnswer(ask(vm, job)), false);
    } catch (error) {
      return conclude(interpreter, fail(`${describeFailure(error)}`), true);
    }
  };
};

/** The name under which the library waits in the image (guest/cel.ts). */
export const CEL_ENTRY = 'evaluateCel';

function ask(vm: QuickJS, { expression, snapshotText }: CelJob): string {
  const entry = vm.global.getProp(CEL_ENTRY);
  return vm
    .callFunction(entry, vm.undefined, vm.newString(expression), vm.newString(snapshotText))
    .toString();
}

function readAnswer(text: string): Verdict {
  try {
    const answer = parseAnswer(parseJson(text, 'cel'));
    return typeof answer === 'string' ? fail(`${answer}`) : answer;
  } catch (error) {
    if (isAxError(error)) return fail('gave no answer');
    throw error;
  }
}
