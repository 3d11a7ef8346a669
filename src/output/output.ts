import type { Context } from '../context.ts';
import type { AxError, ErrorCode } from '../errors.ts';
import { safeJson, visible, visibleBlock } from './escape.ts';
import { type ColorChoice, createStyle, type Style, wantsColor } from './style.ts';

/**
 * Where everything that ax says goes out. stdout is for results, stderr for people; with --json stdout carries
 * JSON and nothing else.
 */
export interface Output {
  readonly json: boolean;
  readonly verbose: boolean;
  /** For stdout. */
  readonly style: Style;
  /** For stderr. */
  readonly errorStyle: Style;
  /** A line of a result, for people; nothing with --json. */
  line(text: string): void;
  /** A line about what goes on, for people. */
  note(text: string): void;
  warn(text: string): void;
  /** One JSON document (or one line of a stream); nothing without --json. */
  document(shape: { readonly schema: string; readonly [member: string]: unknown }): void;
}

export interface OutputOptions {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly color: ColorChoice;
}

export async function createOutput(context: Context, options: OutputOptions): Promise<Output> {
  const style = await createStyle(
    !options.json && wantsColor(context, options.color, context.stdoutIsTerminal),
  );
  const errorStyle = await createStyle(wantsColor(context, options.color, context.stderrIsTerminal));
  return {
    json: options.json,
    verbose: options.verbose,
    style,
    errorStyle,
    line(text) {
      if (!options.json) context.stdout.write(`${text}\n`);
    },
    note(text) {
      context.stderr.write(`${text}\n`);
    },
    warn(text) {
      context.stderr.write(`ax: ${errorStyle.yellow('warning')}: ${visibleBlock(text)}\n`);
    },
    document(shape) {
      if (options.json) context.stdout.write(`${safeJson(shape)}\n`);
    },
  };
}

/** The shape of any failure with --json. */
export function errorDocument(error: AxError) {
  return {
    schema: 'ax.error/1',
    error: errorShape(error),
    ...('token' in error ? { token: error.token } : {}),
    ...('pruned' in error ? { pruned: error.pruned } : {}),
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
  };
}

export function errorShape(error: AxError): {
  code: ErrorCode;
  message: string;
  hint: string | null;
  exitCode: number;
} {
  return { code: error.code, message: error.message, hint: error.hint ?? null, exitCode: error.exitCode };
}

/** `ax: error[CODE]: …` and `ax: hint: …`, as lines for stderr. */
export function describeError(error: AxError, style: Style): string {
  const message = `ax: ${style.red(`error[${error.code}]`)}: ${visibleBlock(error.message)}`;
  return error.hint === undefined ? message : `${message}\nax: ${style.cyan('hint')}: ${visible(error.hint)}`;
}
