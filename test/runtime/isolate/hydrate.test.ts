import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { type AxError, isAxError } from '../../../src/errors.ts';
import { parsePayload } from '../../../src/manifest/payload.ts';
import { type DraftRequest, draftTask } from '../../../src/runtime/draft.ts';
import { createIsolate, type Isolate } from '../../../src/runtime/isolate/isolate.ts';
import { ROGUE } from './support/jobs.ts';

const isolate = createIsolate();
afterAll(() => isolate.close());

const PAYLOAD = payloadOf({
  build: { run: ['make', 'all'] },
  'deploy:web': {
    run: ['./deploy', '--to={{target}}', '{{ note }}', '{{target}}{{target}}', 'as {is}'],
    rollback: ['./undeploy', '{{target}}'],
    params: { target: { pattern: '[a-z]+' }, note: { default: '' }, constructor: { default: 'x' } },
    args: { pattern: '-{0,2}[a-z]+' },
    timeout: '90s',
    grace: '2s',
    retries: { max: 3, backoff: '250ms', maxBackoff: '1m' },
  },
  script: { shell: 'echo "$AX_INPUT_NAME"', params: { name: { default: 'Zoë \u2028 😀' } } },
});

function payloadOf(tasks: object): Buffer {
  return Buffer.from(
    JSON.stringify({
      schema: 'ax.manifest/1',
      project: 'acme/web',
      version: 7,
      issuedAt: '2026-01-01T00:00:00Z',
      expiresAt: '2026-02-01T00:00:00Z',
      source: { path: 'ax.yaml', sha256: 'ab'.repeat(32) },
      tasks,
      policy: {},
      dependencies: [],
    }),
  );
}

function request(taskId: string, changes: Partial<DraftRequest> = {}): DraftRequest {
  return { taskId, inputs: new Map(), args: [], timeoutMs: undefined, ...changes };
}

function hydrate({ inputs, timeoutMs, ...task }: DraftRequest, { payload = PAYLOAD, wallMs = 20_000 } = {}) {
  return isolate.hydrate({ payload, tasks: [task], inputs, timeoutMs, wallMs });
}

async function refusalOf(body: () => unknown): Promise<Pick<AxError, 'code' | 'message' | 'hint'>> {
  try {
    await body();
  } catch (error) {
    if (isAxError(error)) return { code: error.code, message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('expected a refusal');
}

describe('a task with its inputs', () => {
  it('comes back filled in, with the times resolved', async () => {
    const inputs = new Map([
      ['target', 'prod'],
      ['note', 'two words {{target}} $HOME'],
    ]);
    expect(await hydrate(request('deploy:web', { inputs, args: ['--fast', 'x'], timeoutMs: 1000 }))).toEqual([
      {
        taskId: 'deploy:web',
        argv: ['./deploy', '--to=prod', 'two words {{target}} $HOME', 'prodprod', 'as {is}', '--fast', 'x'],
        rollback: ['./undeploy', 'prod'],
        inputs: { target: 'prod', note: 'two words {{target}} $HOME', constructor: 'x' },
        timeoutMs: 1000,
        graceMs: 2000,
        retries: { max: 3, backoffMs: 250, maxBackoffMs: 60_000 },
      },
    ]);
  });

  it('comes back with every default where nothing is said', async () => {
    expect(await hydrate(request('build'))).toEqual([
      {
        taskId: 'build',
        argv: ['make', 'all'],
        rollback: null,
        inputs: {},
        timeoutMs: 3_600_000,
        graceMs: 10_000,
        retries: { max: 0, backoffMs: 1000, maxBackoffMs: 30_000 },
      },
    ]);
  });

  it('comes back for each of several, in their order, with text of any language', async () => {
    const tasks = ['script', 'build', 'script'].map((taskId) => ({ taskId, args: [] }));
    const drafts = await isolate.hydrate({
      payload: PAYLOAD,
      tasks,
      inputs: new Map(),
      timeoutMs: undefined,
    });
    expect(drafts.map(({ taskId }) => taskId)).toEqual(['script', 'build', 'script']);
    expect(drafts[0]?.argv).toEqual(['/bin/sh', '-c', 'echo "$AX_INPUT_NAME"']);
    expect(drafts[2]?.inputs).toEqual({ name: 'Zoë \u2028 😀' });
  });

  it.each([
    ['an unknown task', request('dploy'), 'TASK_UNKNOWN'],
    ['a name of the language', request('constructor'), 'TASK_UNKNOWN'],
    ['no input', request('deploy:web'), 'INPUT_INVALID'],
    ['another input', request('deploy:web', { inputs: new Map([['target', 'PROD']]) }), 'INPUT_INVALID'],
    ['a part of an input', request('deploy:web', { inputs: new Map([['target', 'a b']]) }), 'INPUT_INVALID'],
    ['a long input', request('script', { inputs: new Map([['name', 'x'.repeat(4001)]]) }), 'INPUT_INVALID'],
    ['a control character', request('script', { inputs: new Map([['name', 'a\u001bb']]) }), 'INPUT_INVALID'],
    ['an argument nobody foresaw', request('build', { args: ['-k'] }), 'INPUT_INVALID'],
    [
      'an argument of another form',
      request('deploy:web', { inputs: new Map([['target', 'a']]), args: ['--1'] }),
      'INPUT_INVALID',
    ],
    ['a longer timeout', request('build', { timeoutMs: 3_600_001 }), 'INPUT_INVALID'],
  ])('%s is refused, in the words of hydration', async (_name, asked, code) => {
    const refusal = await refusalOf(() => hydrate(asked));
    expect(refusal.code).toBe(code);
    expect(refusal).toEqual(await refusalOf(() => draftTask(parsePayload(PAYLOAD), asked)));
  });

  it('is refused as a whole when the bytes are not a manifest', async () => {
    for (const payload of ['{}', '{"schema":"ax.manifest/2"}']) {
      const refusal = await refusalOf(() => hydrate(request('build'), { payload: Buffer.from(payload) }));
      expect(refusal.code).toBe('MANIFEST_INVALID');
    }
    const payload = Buffer.from(PAYLOAD.toString().replace('"version":7', '"version":7,"version":8'));
    // `verifyManifest` refused it before; said by the isolate, it is no refusal of hydration.
    expect(await refusalOf(() => hydrate(request('build'), { payload }))).toMatchObject({
      code: 'ISOLATE_FAILED',
    });
  });
});

describe('a pattern that backtracks for ever', () => {
  const payload = payloadOf({ task: { run: ['true'], params: { name: { pattern: '(x+x+)+y' } } } });
  const endless = request('task', { inputs: new Map([['name', 'x'.repeat(60)]]) });

  it('ends in time as ISOLATE_FAILED, and the next hydration is unaffected', async () => {
    expect(await refusalOf(() => hydrate(endless, { payload, wallMs: 300 }))).toEqual({
      code: 'ISOLATE_FAILED',
      message: 'the tasks were not filled in: the process that does it exceeded its time (300 ms)',
      hint: 'try again; if a pattern takes for ever over an input: simplify it in ax.yaml, then: ax sign',
    });
    expect(await hydrate(request('build'))).toHaveLength(1);
    expect(await hydrate(request('task', { inputs: new Map([['name', 'xxy']]) }), { payload })).toHaveLength(
      1,
    );
  });

  it('ends as ISOLATE_FAILED where what is filled in has no end', async () => {
    const word = '{{name}}'.repeat(16_000);
    const params = { name: { default: 'x'.repeat(4000) } };
    const huge = payloadOf({ task: { run: ['echo', word], params } });
    expect(await refusalOf(() => hydrate(request('task'), { payload: huge }))).toMatchObject({
      code: 'ISOLATE_FAILED',
      message: expect.stringMatching(/sent more than 16777216 bytes|ended its process/),
    });
    expect(await hydrate(request('build'))).toHaveLength(1);
  });
});

describe('what the process may answer', () => {
  const isolates: Isolate[] = [];
  afterEach(() => Promise.all(isolates.splice(0).map((each) => each.close())));

  it.each([
    ['drafts of another task', /answered for other tasks/],
    ['no drafts', /answered for other tasks/],
    ['a draft too many', /answered for other tasks/],
    ['a draft with more', /did not answer with drafts/],
    ['a draft without a command', /did not answer with drafts/],
    ['an input that is no name', /did not answer with drafts/],
    ['a refusal of its own', /did not answer with drafts/],
    ['a refusal and drafts', /did not answer with drafts/],
    ['ok', /did not answer with drafts/],
    ['answers twice', /did not answer with drafts/],
    ['no JSON', /not a JSON object/],
    ['aborts', /ended its process/],
    ['no answer', /exceeded its time/],
  ])('%s: ISOLATE_FAILED', async (mode, message) => {
    const rogue = createIsolate({ own: ROGUE });
    isolates.push(rogue);
    const ask = (taskId: string, wallMs: number) =>
      rogue.hydrate({
        payload: PAYLOAD,
        tasks: [{ taskId, args: [] }],
        inputs: new Map(),
        timeoutMs: undefined,
        wallMs,
      });
    expect(await refusalOf(() => ask(mode, mode === 'no answer' ? 300 : 20_000))).toMatchObject({
      code: 'ISOLATE_FAILED',
      message: expect.stringMatching(message),
    });
    expect(await ask('drafts', 20_000)).toMatchObject([{ taskId: 'drafts', argv: ['true'] }]);
  });
});
