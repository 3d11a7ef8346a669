import { PassThrough } from 'node:stream';
import type { Context } from '../../src/context.ts';
import { seededRandom } from './seeded-random.ts';

/** A context whose clock stands still until a test moves it, and whose randomness is the same every time. */
export interface TestContext extends Context {
  /** Milliseconds since the epoch. */
  clock: number;
}

export function testContext(name: string, changes: Partial<Context> = {}): TestContext {
  const context: TestContext = {
    clock: Date.UTC(2026, 0, 15, 12),
    cwd: process.cwd(),
    env: {},
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    interactive: false,
    stdoutIsTerminal: false,
    stderrIsTerminal: false,
    now: () => context.clock,
    monotonic: () => context.clock,
    randomBytes: seededRandom(name),
    actor: { uid: process.getuid?.() ?? 0, name: 'tester' },
    host: 'test-host',
    pid: process.pid,
    onStopSignal: () => () => {},
    ...changes,
  };
  return context;
}
