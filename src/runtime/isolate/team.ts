import { openCel } from '../guards/cel.ts';
import { openScript } from '../guards/script.ts';
import { guardContent } from './guard-reply.ts';
import { type CelJob, defaultLimits, type Limited, type ScriptJob } from './job.ts';
import { serve } from './serve.ts';

/**
 * The process in which guards run that teams wrote. They run in an interpreter of their own each, and if one broke
 * out of it, here would be nothing but the guards of teams.
 */

void serve({
  open: {
    cel: async (job: Limited<CelJob>) => {
      const run = await openCel(job);
      return () => guardContent(run());
    },
    script: async (job: Limited<ScriptJob>) => {
      const run = await openScript(job);
      return () => guardContent(run());
    },
  },
  samples: {
    cel: { kind: 'cel', expression: 'true', snapshotText: '{"now":0}', limits: defaultLimits('cel') },
    script: {
      kind: 'script',
      source: 'export default () => ({verdict: "pass", reason: ""})',
      snapshotText: '{"now":0}',
      limits: defaultLimits('script'),
    },
  },
});
