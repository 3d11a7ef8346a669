import { createContext } from '../../src/context.ts';
import { isAxError } from '../../src/errors.ts';
import { dispatch, type LiveRun } from '../../src/runtime/dispatcher.ts';
import type { EventSource } from '../../src/runtime/events.ts';
import type { MachineEvent, State } from '../../src/runtime/machine.ts';
import { openDatabase } from '../../src/store/database.ts';
import { loadRun } from '../../src/store/runs.ts';

/** One of two processes on one store: gets the id of a run, does its one thing to it, and says what came of it. */

const CONTENDERS: Record<string, { event: MachineEvent; source: EventSource }> = {
  exit: { event: { type: 'TelemetryFlushed' }, source: 'telemetry' },
  cancel: { event: { type: 'CancelRequest', requestedBy: 'alice' }, source: 'cancel-channel' },
};

const [contender = '', directory = ''] = process.argv.slice(2);
const chosen = CONTENDERS[contender];
if (chosen === undefined) throw new Error(`no contender ${contender}`);
const context = createContext();
const database = openDatabase(directory, context.actor.uid);

process.on('message', (id: string) => process.send?.(submit(id)));
process.on('disconnect', () => database.close());
process.send?.('ready');

/** The state that the event led to, `rejected` by the machine, or the code of a refusal. */
function submit(id: string): string {
  const stored = loadRun(database, id);
  if (stored?.sessionKey == null) throw new Error(`run ${id} has no session`);
  const { traceId, spanId, task, sessionKey, seq } = stored;
  const run: LiveRun = { id, traceId, spanId, task, sessionKey, state: stored.state as State, seq };
  try {
    const { status, toState } = dispatch({ context, database }, run, {
      ...(chosen as (typeof CONTENDERS)[string]),
      context: {
        dependenciesReady: true,
        guardVerdict: 'Allowed',
        telemetryPending: false,
        cancellationRequested: true,
      },
    });
    return status === 'rejected' ? status : toState;
  } catch (error) {
    if (isAxError(error)) return error.code;
    throw error;
  }
}
