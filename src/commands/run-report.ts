import type { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { Context } from '../context.ts';
import { createLineSplitter, neutralizeWorkflowCommands, visible } from '../output/escape.ts';
import { errorShape, type Output } from '../output/output.ts';
import { createSteps } from '../output/steps.ts';
import type { Style } from '../output/style.ts';
import type { AttemptResult, Report } from '../runtime/invocation.ts';
import type { RunResult } from '../runtime/supervisor.ts';
import { formatDuration } from '../security/duration.ts';

export interface RunReporter {
  /** The promise is of output that the reader has not taken yet. */
  report(report: Report): Promise<void> | undefined;
  /** The last word: what came of it all. */
  end(result: RunResult): void;
}

export interface RunReportOptions {
  readonly quiet: boolean;
  /** More than one task will run, so a line needs to say whose it is. */
  readonly several: boolean;
}

const SCHEMA = 'ax.run/1';
const MAX_LINE_BYTES = 16 * 1024;

/**
 * Tells the user what a run does: NDJSON with --json, otherwise the tasks' lines as they come. Output of a task
 * is untrusted text: what would move a cursor, or command a CI, is shown and not done.
 */
export async function createRunReporter(
  context: Context,
  output: Output,
  options: RunReportOptions,
): Promise<RunReporter> {
  return output.json ? jsonReporter(context, output) : peopleReporter(context, output, options);
}

function jsonReporter(context: Context, output: Output): RunReporter {
  // A character may be split between two chunks.
  const decoders = new Map<string, StringDecoder>();
  const decoderOf = (key: string): StringDecoder => {
    const decoder = decoders.get(key) ?? new StringDecoder('utf8');
    decoders.set(key, decoder);
    return decoder;
  };
  const print = (runId: string, task: string, stream: string, text: string): void => {
    if (text !== '') output.document({ schema: SCHEMA, type: 'output', runId, task, stream, text });
  };
  return {
    report(report) {
      switch (report.type) {
        case 'event': {
          const { runId, task, event, fromState, toState } = report;
          const at = new Date(report.at).toISOString();
          output.document({ schema: SCHEMA, type: 'event', runId, task, event, fromState, toState, at });
          return undefined;
        }
        case 'output': {
          const { runId, task, stream, chunk } = report;
          print(runId, task, stream, decoderOf(`${runId} ${stream}`).write(chunk));
          return drained(context.stdout);
        }
        case 'waiting': {
          const { runId, task, reason } = report;
          const until = new Date(report.until).toISOString();
          output.document({ schema: SCHEMA, type: 'waiting', runId, task, reason, until });
          return undefined;
        }
        case 'finished': {
          const { runId, task } = report.result;
          for (const stream of ['stdout', 'stderr']) {
            print(runId, task, stream, decoderOf(`${runId} ${stream}`).end());
          }
          return undefined;
        }
        case 'started':
          return undefined;
      }
    },
    end(result) {
      output.document(resultDocument(result));
    },
  };
}

/** The last line of `ax run --json`. */
export function resultDocument({ outcome, exitCode, runs, error }: RunResult) {
  return {
    schema: SCHEMA,
    type: 'result',
    outcome,
    exitCode,
    runs: runs.map(({ error: _, ...run }) => run),
    ...(error === null ? {} : { error: errorShape(error) }),
    ...(error?.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
  };
}

async function peopleReporter(
  context: Context,
  output: Output,
  { quiet, several }: RunReportOptions,
): Promise<RunReporter> {
  const steps = await createSteps(context, output);
  // GitHub Actions, Azure Pipelines, TeamCity: they read commands in what is printed.
  const { GITHUB_ACTIONS, TF_BUILD, TEAMCITY_VERSION } = context.env;
  const inCi = [GITHUB_ACTIONS, TF_BUILD, TEAMCITY_VERSION].some((value) => (value ?? '') !== '');
  const prefixed = several || (!context.stdoutIsTerminal && !quiet);
  const splitters = new Map<string, ReturnType<typeof createLineSplitter>>();
  const started = new Map<string, number>();
  const timer = setInterval(() => showProgress(), 1000).unref();

  const writeLine = (stream: 'stdout' | 'stderr', task: string, line: string): void => {
    const shown = visible(line.replaceAll('\t', '    '));
    const text = inCi ? neutralizeWorkflowCommands(shown) : shown;
    const prefix = prefixed ? `${output.style.cyan(visible(task))} | ` : '';
    steps.done();
    context[stream].write(`${prefix}${text}\n`);
  };

  const splitterOf = (runId: string, task: string, stream: 'stdout' | 'stderr') => {
    const key = `${runId} ${stream}`;
    const existing = splitters.get(key);
    if (existing !== undefined) return existing;
    const made = createLineSplitter({ maxLineBytes: MAX_LINE_BYTES }, (line) =>
      writeLine(stream, task, line),
    );
    splitters.set(key, made);
    return made;
  };

  function showProgress(): void {
    const tasks = [...started].map(
      ([task, at]) =>
        `${visible(task)} ${formatDuration(Math.floor((context.monotonic() - at) / 1000) * 1000)}`,
    );
    if (tasks.length > 0 && !quiet) steps.update(tasks.join(', '));
  }

  return {
    report(report) {
      switch (report.type) {
        case 'started':
          started.set(report.task, context.monotonic());
          showProgress();
          return undefined;
        case 'event':
          if (output.verbose) {
            output.note(
              `ax: ${visible(report.task)}: ${report.event}: ${report.fromState} -> ${report.toState}`,
            );
          }
          return undefined;
        case 'waiting':
          started.delete(report.task);
          steps.done();
          if (!quiet) output.note(describeWait(report));
          return undefined;
        case 'output':
          splitterOf(report.runId, report.task, report.stream).push(report.chunk);
          return drained(context[report.stream]);
        case 'finished': {
          const { runId, task } = report.result;
          splitterOf(runId, task, 'stdout').end();
          splitterOf(runId, task, 'stderr').end();
          started.delete(task);
          steps.done();
          if (!quiet) output.note(describeEnd(report.result, report.goesOn, output.errorStyle));
          return undefined;
        }
      }
    },
    end() {
      clearInterval(timer);
      steps.done();
    },
  };
}

function describeWait({ task, reason, until }: Extract<Report, { type: 'waiting' }>): string {
  const at = new Date(until).toISOString();
  return `ax: ${visible(task)} waits: ${visible(reason)}; its guards are asked again at ${at}`;
}

function describeEnd(
  { task, outcome, exitCode, durationMs, receiptId }: AttemptResult,
  goesOn: boolean,
  style: Style,
) {
  const color = outcome === 'completed' ? style.green : outcome === 'skipped' ? style.yellow : style.red;
  const status = outcome === 'failed' ? ` with status ${exitCode}` : '';
  const next = goesOn ? '; trying again' : '';
  return `ax: ${visible(task)} ${color(outcome)}${status} in ${formatDuration(durationMs)}, receipt ${receiptId}${next}`;
}

/** Resolves when a stream that is full can take more, or never will again. */
function drained(stream: Writable): Promise<void> | undefined {
  if (!stream.writableNeedDrain) return undefined;
  return new Promise((resolve) => {
    const done = () => {
      for (const event of EVENTS) stream.off(event, done);
      resolve();
    };
    for (const event of EVENTS) stream.on(event, done);
  });
}

const EVENTS = ['drain', 'close', 'error'] as const;
