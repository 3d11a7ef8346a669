import type { Masker } from '../mask.ts';
import { createScrubber, type ScrubPolicy } from './stream.ts';

const WITHHELD = Buffer.from('\n[withheld]\n');
const NOTHING = Buffer.alloc(0);

/**
 * A scrubber that never throws: should scrubbing fail, the rest of the stream is withheld, and one line says so. How the
 * task goes on and ends does not depend on it.
 */
export function createGuardedScrubber(policy: ScrubPolicy, create = createScrubber): Masker {
  let scrubber: Masker | undefined;
  let failed = false;
  const guarded = (work: (scrubber: Masker) => Buffer): Buffer => {
    if (failed) return NOTHING;
    try {
      scrubber ??= create(policy);
      return work(scrubber);
    } catch {
      failed = true;
      return WITHHELD;
    }
  };
  return {
    push: (chunk) => guarded((scrubber) => scrubber.push(chunk)),
    end: () => guarded((scrubber) => scrubber.end()),
  };
}
