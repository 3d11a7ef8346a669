import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { LiveRun } from '../../src/runtime/dispatcher.ts';
import { openRun } from '../../src/runtime/new-run.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import type { TestContext } from './context.ts';

/** A real store in a folder of its own, gone after the test. */
export function temporaryStore(context: TestContext): Database {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'ax-store-')));
  const database = openDatabase(join(folder, '.ax'), context.actor.uid);
  onTestFinished(() => {
    try {
      database.close();
    } catch {
      // The test has closed it.
    }
    rmSync(folder, { recursive: true, force: true });
  });
  return database;
}

/** The same store, as the next process opens it once the first has closed it. */
export function reopenStore(context: TestContext, { directory }: Database): Database {
  const database = openDatabase(directory, context.actor.uid);
  onTestFinished(() => database.close());
  return database;
}

/** A run in its first state, as a supervisor would hold it. */
export function newLiveRun(context: TestContext, database: Database, task = 'build'): LiveRun {
  const origin = {
    context,
    database,
    trace: { traceId: '0af7651916cd43dd8448eb211c80319c', parentSpanId: null, flags: 1 },
    supervisor: { host: context.host, pid: context.pid, start: 'test' },
    channel: null,
  };
  const row = database.write(() =>
    openRun(origin, {
      project: 'acme/web',
      task,
      manifestDigest: 'a'.repeat(64),
      manifestVersion: 1,
      lockSha256: 'b'.repeat(64),
      inputsSha256: 'c'.repeat(64),
      manifest: null,
    }),
  );
  const { id, traceId, spanId, sessionKey } = row;
  return {
    id,
    traceId,
    spanId,
    task,
    sessionKey: sessionKey ?? new Uint8Array(),
    state: 'BOOTSTRAPPING',
    seq: 0,
  };
}
