import './globals.ts';
import { celEnv, celType, isCelError, parse, plan } from '@bufbuild/cel';
import { excess } from './size.ts';
import { variablesOf } from './variables.ts';

/**
 * The inner half of a cel guard (cel.ts is the outer one): the build loads it into an interpreter, with the library,
 * and saves that as an image. Text goes in and text comes out.
 */

/** Leaves room for what the host puts before it. */
const MAX_MESSAGE = 400;
const environment = celEnv();

/** The answer to an expression, as the JSON text of a verdict. Never throws. */
function evaluateCel(expression: string, snapshotText: string): string {
  const reason = reasonAgainst(expression, snapshotText);
  return JSON.stringify(
    reason === undefined
      ? { verdict: 'pass', reason: 'expression is true' }
      : { verdict: 'fail', reason: `${reason.slice(0, MAX_MESSAGE).toWellFormed()}` },
  );
}

/** Why an expression does not hold; undefined when it is true, and true alone. */
function reasonAgainst(expression: string, snapshotText: string): string | undefined {
  try {
    const parsed = parse(expression);
    const tooLarge = excess(parsed.expr);
    if (tooLarge !== undefined) return `expected a smaller expression, found ${tooLarge}`;
    const value = plan(environment, parsed)(variablesOf(snapshotText));
    if (value === true) return undefined;
    if (value === false) return 'expression is false';
    return isCelError(value) ? value.message : `expected a bool, found ${celType(value)}`;
  } catch (error) {
    return error instanceof Error ? error.message : 'failed';
  }
}

Object.assign(globalThis, { evaluateCel });
// What is done once on first use is done here, and is part of the image.
evaluateCel(`[1].all(x, x in [1, 2]) && 'a'.matches('^[a-z]$') && a.b != c`, '{"now":0,"a":{"b":1.5},"c":2}');
