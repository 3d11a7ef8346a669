import { readFileSync } from 'node:fs';
import { Intrinsics, JSException, QuickJS, type QuickJSOptions } from 'quickjs-wasi';
import type { GuardLimits } from '../isolate/job.ts';
import { boundMemory } from './wasm-memory.ts';

/**
 * QuickJS, compiled to WebAssembly: a JavaScript engine whose whole world is one block of bounded memory. What runs
 * in it reaches nothing outside unless a function is handed in. Its clock stands still, its randomness is a
 * constant, and each evaluation has an engine of its own, which is dropped afterwards.
 */
export interface Interpreter {
  readonly vm: QuickJS;
  /** Which limit was met, if any. Once one is met, no answer counts. */
  exceeded(): string | undefined;
  /** Whether memory has grown so far that the process had better be replaced than wait for the collector. */
  grown(): boolean;
}

export interface InterpreterOptions {
  readonly limits: GuardLimits;
  /** What its clock shows, in milliseconds since the epoch. */
  readonly now: number;
  /** Gives the source of a module that is imported; without it, nothing can be imported. */
  readonly load?: (name: string) => string;
  /** Gets the reason of each promise that is rejected. */
  readonly onRejection?: NonNullable<QuickJSOptions['onUnhandledRejection']>;
  /** An engine as it was saved by `saveImage`, to begin with instead of an empty one. */
  readonly image?: Uint8Array;
}

/** The engine polls about every 10,000 loop turns or calls: ten million of them, whatever the machine. */
const MAX_POLLS = 1_000;
/** Below it the engine throws; above it the stack of the process would end, and the engine be unusable. */
const STACK_BYTES = 256 * 1024;
/** What the engine refuses to exceed even where the interpreter does not count; twice the usual limit. */
const MEMORY_CEILING_BYTES = 32 * 1024 * 1024;
const GROWN_BYTES = 8 * 1024 * 1024;

/** Each of these would be a way to tell one evaluation from another, or has no use for a guard. */
const LEFT_OUT =
  Intrinsics.WEAK_REF | Intrinsics.PERFORMANCE | Intrinsics.DOM_EXCEPTION | Intrinsics.ATOB_BTOA;
const INTRINSICS = (Intrinsics.ALL & ~LEFT_OUT) >>> 0;

/** Compiles the engine; a process does it once. */
export function compileEngine(path: URL): WebAssembly.Module {
  return new WebAssembly.Module(new Uint8Array(boundMemory(readFileSync(path), MEMORY_CEILING_BYTES)));
}

/** Starts an engine of its own for one evaluation. */
export async function openInterpreter(
  engine: WebAssembly.Module,
  options: InterpreterOptions,
): Promise<Interpreter> {
  const { limits, load, image } = options;
  let exceeded: string | undefined;
  let polls = 0;
  const began = cpuMs();
  const settings: QuickJSOptions = {
    wasm: engine,
    wasi: (memory) => stillWorld(memory, options.now),
    timezoneOffset: 0,
    memoryLimit: limits.memoryBytes,
    maxStackSize: STACK_BYTES,
    interruptHandler: () => {
      polls += 1;
      if (polls > MAX_POLLS) exceeded ??= `exceeded its budget of ${MAX_POLLS}0,000 steps`;
      else if (cpuMs() - began > limits.cpuMs) exceeded ??= `exceeded its time (${limits.cpuMs} ms)`;
      return exceeded !== undefined;
    },
    ...(load === undefined ? {} : { moduleLoader: { load } }),
    ...(options.onRejection === undefined ? {} : { onUnhandledRejection: options.onRejection }),
  };
  const vm =
    image === undefined
      ? await QuickJS.create({ ...settings, intrinsics: INTRINSICS })
      : await QuickJS.restore(QuickJS.deserializeSnapshot(image), settings);
  return {
    vm,
    exceeded: () => exceeded,
    grown: () => vm._getMemory().buffer.byteLength > GROWN_BYTES,
  };
}

/** The engine as it is, for `image`. The same steps give the same bytes. */
export function saveImage({ vm }: Interpreter): Uint8Array {
  vm.runGC();
  return QuickJS.serializeSnapshot(vm.snapshot());
}

/** What went wrong, in words; the text may be the guard's own. */
export function describeFailure(error: unknown): string {
  if (error instanceof JSException) return `threw ${error.name}: ${error.message}`;
  // The engine ran out of the process's own stack, or hit a trap: it is broken, but nothing else is.
  return error instanceof RangeError
    ? 'threw RangeError: recursion too deep'
    : `broke the interpreter: ${error}`;
}

/** The few functions of the operating system that the engine is linked to, doing nothing. */
function stillWorld(memory: WebAssembly.Memory, now: number) {
  const BAD_FILE = 8;
  return {
    clock_time_get: (_clock: number, _precision: bigint, result: number) => {
      new DataView(memory.buffer).setBigUint64(result, BigInt(now) * 1_000_000n, true);
      return 0;
    },
    random_get: (at: number, length: number) => {
      new Uint8Array(memory.buffer, at, length).fill(0);
      return 0;
    },
    // The default would write to the real standard output.
    fd_write: () => BAD_FILE,
  };
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
