import { once } from 'node:events';
import { createContext } from '../../src/context.ts';
import { isAxError } from '../../src/errors.ts';
import { submitEvent } from '../../src/runtime/dispatcher.ts';
import { createEvent } from '../../src/runtime/events.ts';
import { evaluateQuota } from '../../src/runtime/guards/quota.ts';
import { evaluateRateLimit } from '../../src/runtime/guards/rate-limit.ts';
import { appendAudit } from '../../src/store/audit.ts';
import { redeemToken } from '../../src/store/cancel-tokens.ts';
import { openDatabase } from '../../src/store/database.ts';
import { countUse } from '../../src/store/limits.ts';
import { advanceRun, loadRun } from '../../src/store/runs.ts';
import { recordStart, usageOf } from '../../src/store/starts.ts';
import { rememberVersion } from '../../src/store/versions.ts';
import { snapshotOf } from './guard-snapshot.ts';

/** One of several processes on one store: prints `ready`, waits for its standard input, then does its job. */

const [job = '', place = '', ...args] = process.argv.slice(2);
const context = createContext();
const { uid } = context.actor;

const JOBS: Record<string, () => () => string> = {
  append: () => {
    const database = openDatabase(place, uid);
    return () => {
      for (let count = 0; count < Number(args[0]); count++) {
        database.write(() =>
          appendAudit(database, context.now(), {
            type: 'manifest.load',
            runId: null,
            actor: context.actor,
            data: { pid: process.pid, count },
          }),
        );
      }
      return 'appended';
    };
  },

  use: () => {
    const database = openDatabase(place, uid);
    const limit = { bucket: 'race', max: 10, windowMs: 60_000 };
    return () => {
      const verdicts = Array.from({ length: Number(args[0]) }, () =>
        database.write(() => countUse(database, limit, context.now())),
      );
      return String(verdicts.filter(({ allowed }) => allowed).length);
    };
  },

  redeem: () => {
    const database = openDatabase(place, uid);
    const [runId = '', token = ''] = args;
    return () =>
      String(
        database.write(() => redeemToken(database, token, { runId, requester: uid, now: context.now() })),
      );
  },

  // Every worker has read the run before any of them submits, so all of them make the same sequence.
  submit: () => {
    const database = openDatabase(place, uid);
    const stored = loadRun(database, args[0] ?? '');
    if (stored === null) throw new Error('no such run');
    const { id, traceId, spanId, task, seq } = stored;
    const sessionKey = stored.sessionKey ?? new Uint8Array();
    const run = { id, traceId, spanId, task, sessionKey, state: 'BOOTSTRAPPING' as const, seq };
    return () => {
      const record = createEvent(
        { type: 'DependenciesReady' },
        {
          runId: id,
          traceId,
          parentSpanId: spanId,
          sessionKey,
          source: 'dispatcher',
          seq: seq + 1,
          now: context.now(),
          randomBytes: context.randomBytes,
        },
      );
      const ready = {
        dependenciesReady: true,
        guardVerdict: 'Allowed' as const,
        telemetryPending: false,
        cancellationRequested: false,
      };
      return submitEvent({ context, database }, run, { record, context: ready }).toState;
    };
  },

  // What an attempt does between its two looks at the guards: it commits its start, and asks whether there was room.
  start: () => {
    const database = openDatabase(place, uid);
    const [id = '', now = ''] = args;
    const run = loadRun(database, id);
    if (run === null) throw new Error('no such run');
    const { project, task, attempt, state, seq } = run;
    const start = { project, task, runId: id, attempt, now: Number(now) };
    return () => {
      database.write(() => {
        recordStart(database, start);
        advanceRun(database, { id, seq: seq + 1, fromState: state, toState: 'EXECUTING' });
      });
      const usage = usageOf(database, start);
      const snapshot = snapshotOf({ now: start.now, usage });
      const rate = evaluateRateLimit({ max: 1, per: '1h' }, snapshot);
      const quota = evaluateQuota({ concurrent: 1 }, snapshot);
      return `${usage.starts.length} ${usage.running} ${rate.verdict} ${quota.verdict}`;
    };
  },

  raise: () => () => {
    for (const version of args)
      rememberVersion(place, { project: 'acme/web', version: Number(version), uid });
    return 'raised';
  },
};

const prepared = JOBS[job]?.();
if (prepared === undefined) throw new Error(`no job ${job}`);
console.log('ready');
await once(process.stdin, 'data');
try {
  console.log(prepared());
} catch (error) {
  if (!isAxError(error)) throw error;
  console.log(error.code);
}
