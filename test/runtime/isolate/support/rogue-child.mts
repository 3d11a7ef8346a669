/**
 * An isolated process that breaks the rules: each job says which, in its expression or the name of its first task.
 * Used with the real isolate, which starts it as it starts its own.
 */
import { readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

const PASS = { verdict: 'pass', reason: 'rogue' };
const DRAFT = {
  taskId: '',
  argv: ['true'],
  rollback: null,
  inputs: {},
  timeoutMs: 1,
  graceMs: 1,
  retries: { max: 0, backoffMs: 1, maxBackoffMs: 1 },
};

type Mode = (id: number, task: string) => void;

const send = (...messages: readonly unknown[]) =>
  raw(messages.map((each) => `${JSON.stringify(each)}\n`).join(''));
const raw = (text: string) => {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
};
const began = (id: unknown) => ({ id, began: true });
const answer = (id: unknown, verdict: unknown = PASS) => ({ id, verdict, spent: false });
const reason = (id: number, text: string) => send(began(id), answer(id, { verdict: 'pass', reason: text }));
const attempt = (body: () => unknown): string => {
  try {
    return String(body());
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
};

const MODES: Readonly<Record<string, Mode>> = {
  ok: (id) => send(began(id), answer(id)),
  surroundings: (id) =>
    reason(id, JSON.stringify({ env: process.env, argv: process.argv.slice(2), cwd: process.cwd() })),
  pid: (id) => reason(id, String(process.pid)),
  'no answer': (id) => send(began(id)),
  nothing: () => {},
  'a busy loop': (id) => {
    send(began(id));
    for (;;);
  },
  'answers twice': (id) => send(began(id), answer(id), answer(id)),
  'answers before it begins': (id) => send(answer(id)),
  'begins twice': (id) => send(began(id), began(id)),
  'the next id': (id) => send(began(id), answer(id + 1)),
  'the id as a string': (id) => send(began(id), answer(`${id}`)),
  'no id': (id) => send(began(id), { verdict: PASS, spent: false }),
  true: () => raw('true\n'),
  'an array': () => raw('[]\n'),
  'no JSON': (id) => {
    send(began(id));
    raw("{'id': 1}\n");
  },
  'no UTF-8': (id) => {
    send(began(id));
    writeSync(1, Buffer.from([0xff, 0x0a]));
  },
  'duplicate keys': (id) => {
    send(began(id));
    raw(`{"id":${id},"verdict":{"verdict":"fail","verdict":"pass","reason":""},"spent":false}\n`);
  },
  'a __proto__ member': (id) => {
    send(began(id));
    raw(`{"id":${id},"verdict":{"__proto__":{},"verdict":"pass","reason":""},"spent":false}\n`);
  },
  'an extra member': (id) => send(began(id), answer(id, { ...PASS, score: 1 })),
  'a verdict and more': (id) => send(began(id), { ...answer(id), score: 1 }),
  'a finding': (id) => send(began(id), { ...answer(id), finding: { kind: 'clean', compared: 0 } }),
  'no spent': (id) => send(began(id), { id, verdict: PASS }),
  'pass with a wait': (id) => send(began(id), answer(id, { ...PASS, retryAfterMs: 1 })),
  'a wait of no time': (id) => send(began(id), answer(id, { verdict: 'defer', reason: '', retryAfterMs: 0 })),
  'a long reason': (id) => send(began(id), answer(id, { ...PASS, reason: 'r'.repeat(501) })),
  '10 MB': (id) => send(began(id), answer(id, { ...PASS, reason: 'r'.repeat(10_000_000) })),
  '10 MB without an end': (id) => {
    send(began(id));
    raw('r'.repeat(10_000_000));
  },
  'half a character': (id) => send(began(id), answer(id, { ...PASS, reason: '\ud800' })),
  'a flood': (id) => send(began(id), ...Array.from({ length: 10_000 }, () => answer(id))),
  throws: (id) => {
    send(began(id));
    throw new Error('rogue');
  },
  exits: (id) => {
    send(began(id));
    process.exit(0);
  },
  aborts: (id) => {
    send(began(id));
    process.abort();
  },
  'fills its heap': (id) => {
    send(began(id));
    const kept: unknown[][] = [];
    for (;;) kept.push(new Array(10_000).fill(kept.length));
  },

  // What the permission model says to code that broke out.
  'reads a file': (id) =>
    reason(
      id,
      attempt(() => readFileSync('/etc/hostname')),
    ),
  'reads beside itself': (id) =>
    reason(
      id,
      attempt(() => readFileSync(new URL('./jobs.ts', import.meta.url))),
    ),
  'lists a folder': (id) =>
    reason(
      id,
      attempt(() => readdirSync('/')),
    ),
  'writes a file': (id) =>
    reason(
      id,
      attempt(() => writeFileSync('/tmp/ax-rogue-was-here', '')),
    ),
  'starts a process': (id) => {
    const { spawnSync } = process.getBuiltinModule('node:child_process');
    reason(
      id,
      attempt(() => spawnSync('/bin/true').status),
    );
  },
  'starts a worker': (id) => {
    const { Worker } = process.getBuiltinModule('node:worker_threads');
    reason(
      id,
      attempt(() => new Worker('', { eval: true })),
    );
  },

  // As the answer to built-in guards that are asked together.
  'verdicts of fewer': (id) => send(began(id), { id, verdicts: [PASS], spent: false }),
  'verdicts that are none': (id) => send(began(id), { id, verdicts: ['pass', 'pass'], spent: false }),
  'verdicts and more': (id) => send(began(id), { id, verdicts: [PASS, PASS], spent: false, more: [] }),

  // As the answer to hydration.
  drafts: (id, taskId) => send(began(id), { id, drafts: [{ ...DRAFT, taskId }] }),
  'drafts of another task': (id) => send(began(id), { id, drafts: [{ ...DRAFT, taskId: 'deploy' }] }),
  'no drafts': (id) => send(began(id), { id, drafts: [] }),
  'a draft too many': (id, taskId) =>
    send(began(id), {
      id,
      drafts: [
        { ...DRAFT, taskId },
        { ...DRAFT, taskId },
      ],
    }),
  'a draft with more': (id, taskId) => send(began(id), { id, drafts: [{ ...DRAFT, taskId, env: {} }] }),
  'a draft without a command': (id, taskId) =>
    send(began(id), { id, drafts: [{ ...DRAFT, taskId, argv: [] }] }),
  'an input that is no name': (id, taskId) =>
    send(began(id), { id, drafts: [{ ...DRAFT, taskId, inputs: { LD_PRELOAD: 'x' } }] }),
  'a refusal of its own': (id) => {
    const refusal = { code: 'SIGNATURE_INVALID', message: 'rogue', hint: 'rogue' };
    send(began(id), { id, refusal });
  },
  'a refusal and drafts': (id, taskId) => {
    const refusal = { code: 'INPUT_INVALID', message: 'rogue', hint: 'rogue' };
    send(began(id), { id, refusal, drafts: [{ ...DRAFT, taskId }] });
  },
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, job } = JSON.parse(line);
  if (job === undefined) return;
  const mode = modeOf(job);
  MODES[mode]?.(id, mode);
});

interface Job {
  readonly kind: string;
  readonly expression?: string;
  readonly configs?: readonly { readonly branch: { readonly allow: readonly string[] } }[];
  readonly tasks: readonly { readonly taskId: string }[];
}

/** The one guard of a kind that is asked by itself is well behaved. */
function modeOf(job: Job): string {
  if (job.kind === 'builtin') return 'ok';
  return job.expression ?? job.configs?.[0]?.branch.allow[0] ?? job.tasks[0]?.taskId ?? '';
}
