import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { startEarly } from './runtime/isolate/early.ts';

/** Commands that hydrate a manifest or evaluate guards. */
const ISOLATING = ['run', 'retry', 'approve', 'policy'];

/**
 * What bin/ax loads: V8's compile cache first, then the isolate beside us while we load the rest. The cache holds
 * machine code that will be run, so it stands in the user's own cache folder and never in a shared temporary one.
 */
export async function start(
  argv: readonly string[],
  { XDG_CACHE_HOME: cache, HOME: home }: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const folder = cache?.startsWith('/') ? cache : home?.startsWith('/') ? join(home, '.cache') : undefined;
  if (folder !== undefined) enableCompileCache(join(folder, 'ax'));
  if (ISOLATING.includes(argv[0] ?? '')) startEarly();
  const { main } = await import('./main.ts');
  return main(argv);
}
