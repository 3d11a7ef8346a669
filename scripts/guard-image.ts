// Makes what cel guards run in: the CEL library and our inner half, loaded into QuickJS once and saved. Reading the
// image takes a twentieth of the time that loading the library takes, in QuickJS or in Node.js.
import { CompileFlags, EvalFlags } from 'quickjs-wasi';
import { rolldown } from 'rolldown';
import { compileEngine, openInterpreter, saveImage } from '../src/runtime/guards/interpreter.ts';
import { createZoneClock, ZONE_CLOCK } from '../src/runtime/guards/zone-clock.ts';
import { defaultLimits } from '../src/runtime/isolate/job.ts';

export interface CelImage {
  readonly image: Uint8Array;
  /** The paths of what is in it. */
  readonly modules: readonly string[];
}

/** Makes the image for an engine. The same sources give the same bytes. */
export async function buildCelImage(root: string, enginePath: URL): Promise<CelImage> {
  const bundle = await rolldown({
    cwd: root,
    input: 'src/runtime/guards/guest/cel.ts',
    platform: 'neutral',
    logLevel: 'warn',
  });
  const { output } = await bundle.generate({ format: 'iife', minify: true, comments: false });
  const [chunk] = output;

  const engine = compileEngine(enginePath);
  const options = { limits: { ...defaultLimits('cel'), cpuMs: 60_000 }, now: 0 };
  // An image is as large as its engine has ever been, so the one that reads the source text is another.
  const compiler = await openInterpreter(engine, options);
  const bytecode = compiler.vm.compile(
    chunk.code,
    'cel',
    EvalFlags.TYPE_GLOBAL,
    CompileFlags.STRIP_SOURCE | CompileFlags.STRIP_DEBUG,
  );
  const interpreter = await openInterpreter(engine, options);
  const { vm } = interpreter;
  vm.newFunction(ZONE_CLOCK, createZoneClock(vm)).consume((clock) =>
    vm.setProp(vm.global, ZONE_CLOCK, clock),
  );
  vm.evalBytecode(bytecode).dispose();
  if (interpreter.exceeded() !== undefined) throw new Error(`the CEL library ${interpreter.exceeded()}`);
  return { image: saveImage(interpreter), modules: chunk.moduleIds };
}
