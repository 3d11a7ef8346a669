import { hydrate } from './hydrate.ts';
import type { BuiltinJob, BuiltinsMessage, HydrateMessage, ModerationJob } from './job.ts';
import { type Handlers, prepareFor, serve } from './serve.ts';

/**
 * The process that runs our own code on what others wrote: manifests, and the texts and patterns in them. No code
 * of a team's ever gets here.
 */

const SAMPLE_PAYLOAD = JSON.stringify({
  schema: 'ax.manifest/1',
  project: 'sample',
  version: 1,
  issuedAt: '2026-01-01T00:00:00Z',
  expiresAt: '2026-01-02T00:00:00Z',
  source: { path: 'ax.yaml', sha256: '0'.repeat(64) },
  tasks: {
    sample: {
      run: ['sample', '{{name}}'],
      params: { name: { pattern: '[a-z]+', default: 'a' } },
      timeout: '1m',
    },
  },
  policy: {},
  dependencies: [],
});

const SAMPLE_SNAPSHOT = JSON.stringify({
  now: 0,
  task: { title: 'a title', description: 'a description' },
  inputs: {},
  git: { branch: 'main' },
  usage: { starts: [0], running: 0 },
  recent: [{ runId: 'a', title: 'b title', description: 'b description', inputs: {}, at: 0 }],
});

const HANDLERS: Handlers = {
  open: {
    hydrate: (job: HydrateMessage) => () => hydrate(job),
    builtin: async (job: BuiltinJob) => (await import('./own-guards.ts')).openBuiltin(job),
    builtins: async (job: BuiltinsMessage) => (await import('./own-guards.ts')).openBuiltins(job),
    moderation: async (job: ModerationJob) => (await import('./own-guards.ts')).openModeration(job),
  },
  samples: {
    hydrate: {
      kind: 'hydrate',
      payload: Buffer.from(SAMPLE_PAYLOAD).toString('base64'),
      tasks: [{ taskId: 'sample', args: [] }],
      inputs: [],
    },
    builtin: {
      kind: 'builtins',
      configs: [
        { rateLimit: { max: 2, per: '1h' } },
        { changeWindow: { days: ['mon'], from: '00:00', to: '24:00', timezone: 'Europe/London' } },
      ],
      snapshotText: SAMPLE_SNAPSHOT,
    },
    moderation: {
      kind: 'moderation',
      config: { deny: ['sample'], similarity: { max: 0.9, window: '1h' } },
      snapshotText: SAMPLE_SNAPSHOT,
    },
  },
};

// What nearly every command asks for, while ax still loads.
void prepareFor(['hydrate'], HANDLERS).then(() => serve(HANDLERS));
