import { parentPort, workerData } from 'node:worker_threads';
import { isAxError } from '../../src/errors.ts';
import { openDatabase } from '../../src/store/database.ts';

/** A thread that opens one new store after another, each at the same moment as the other threads do. */

const { prefix, stores, threads, arrived } = workerData as {
  prefix: string;
  stores: number;
  threads: number;
  arrived: Int32Array;
};

for (let store = 0; store < stores; store++) {
  Atomics.add(arrived, store, 1);
  while (Atomics.load(arrived, store) < threads);
  let outcome = 'opened';
  try {
    openDatabase(`${prefix}-${store}`, process.getuid?.() ?? -1).close();
  } catch (error) {
    if (!isAxError(error)) throw error;
    outcome = `${error.code}: ${error.message}`;
  }
  parentPort?.postMessage(outcome);
}
