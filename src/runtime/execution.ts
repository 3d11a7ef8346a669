import { isAxError } from '../errors.ts';
import { checkDependencies } from '../manifest/dependencies.ts';
import { type ChildEnd, startChild } from './child.ts';
import { type ReadyCommand, readyCommand } from './command.ts';
import { canceledEnd, type Going, recordDependencies, send } from './going.ts';
import { type End, type Failure, failureOf, timedOut } from './outcome.ts';
import { digestArtifacts } from './products.ts';
import { inRollbackQueue } from './rollback.ts';

/** Executes an admitted command to its end, and undoes it where that is not a good one. */
export async function execute(going: Going, command: ReadyCommand): Promise<End> {
  const { run, plan, facts } = going;
  const { exit, output } = await runChild(going, command, () => {
    if (run.state !== 'EXECUTING') return;
    send(going, { type: 'Timeout', ms: plan.timeoutMs }, 'dispatcher');
  });
  facts.exit = exit;
  facts.output = output;
  return endExecution(going);
}

async function endExecution(going: Going): Promise<End> {
  const { facts, run, plan, invocation } = going;
  facts.after = checkDependencies(plan.pinned, invocation.roots);
  recordDependencies(going, facts.after, 'after run');
  const failure = run.state === 'EXECUTING' ? findFailure(going) : null;
  if (failure !== null) send(going, { type: 'RuleViolation', rule: failure.rule }, 'executor');
  switch (run.state) {
    case 'EXECUTING':
      send(going, { type: 'TelemetryFlushed' }, 'telemetry');
      return { outcome: 'completed', exitCode: 0, error: null };
    case 'CANCELED':
      await rollBack(going);
      return canceledEnd(going);
    default:
      await rollBack(going);
      return failure?.end ?? timedOut(plan);
  }
}

function findFailure({ facts, plan, invocation }: Going): Failure | null {
  const failure = facts.exit === null ? null : failureOf(facts.exit, plan, facts.after);
  if (failure !== null) return failure;
  try {
    facts.products = digestArtifacts(plan.task.outputs ?? [], invocation.roots.root);
    return null;
  } catch (error) {
    if (!isAxError(error)) throw error;
    return { rule: 'outputs', end: { outcome: 'failed', exitCode: error.exitCode, error } };
  }
}

/** The task's own undo: the same verification, the same environment, the same deadline. */
async function rollBack(going: Going): Promise<void> {
  const { invocation, plan, run, facts } = going;
  const argv = plan.rollback;
  if (argv === null) return;
  facts.rollback = await inRollbackQueue(invocation, run.id, async () => {
    if (going.forced) return null;
    try {
      const command = readyCommand(plan, argv, invocation.roots);
      return { argv, ...(await runChild(going, command, () => {})) };
    } catch (error) {
      if (!isAxError(error)) throw error;
      return { argv, exit: { kind: 'not-started', reason: error.message }, output: null };
    }
  });
}

function runChild(going: Going, command: ReadyCommand, onTimeout: () => void): Promise<ChildEnd> {
  const { invocation, plan, run } = going;
  going.child = startChild(command, {
    runId: run.id,
    plan,
    onTimeout,
    onOutput: (stream, chunk) =>
      invocation.report({ type: 'output', runId: run.id, task: plan.taskId, stream, chunk }),
  });
  return going.child.ended;
}
