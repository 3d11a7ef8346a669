import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { evaluateModeration } from '../../src/runtime/guards/moderation.ts';
import type { RecentRun } from '../../src/runtime/guards/snapshot.ts';
import { generateEd25519, parseSigningKey } from '../../src/security/signing-keys.ts';
import { addKey, loadKeyring } from '../../src/store/keyring.ts';
import { recordStart, withdrawStart } from '../../src/store/starts.ts';
import {
  recentSubmissions,
  recordSubmission,
  type SubmissionTexts,
  submissionKey,
  submissionKeys,
} from '../../src/store/submissions.ts';
import { codeOf } from '../support/code-of.ts';
import { testContext } from '../support/context.ts';
import { newLiveRun, temporaryStore } from '../support/store.ts';

const NOW = Date.UTC(2026, 0, 15, 12);
const DAY = 86_400_000;
const TEXTS: SubmissionTexts = { title: 'Deploy the site', description: '', inputs: { target: 'web' } };

function setUp() {
  const context = testContext('submissions');
  const { randomBytes } = context;
  const database = temporaryStore(context);
  const newKey = () => submissionKey(parseSigningKey(generateEd25519(randomBytes), 'host'));
  const key = newKey();
  const newRun = () => newLiveRun(context, database, 'deploy').id;
  const submit = (runId: string, changes: Partial<typeof DEFAULTS> = {}) => {
    const { texts, ...start } = { ...DEFAULTS, ...changes };
    database.write(() => {
      recordStart(database, { task: 'deploy', runId, ...start });
      recordSubmission(database, {
        runId,
        attempt: start.attempt,
        texts,
        key: changes.key ?? key,
        randomBytes,
      });
    });
    return runId;
  };
  const DEFAULTS = { project: 'acme/web', attempt: 1, now: NOW, texts: TEXTS, key };
  const recent = (except = newRun(), changes = {}) =>
    recentSubmissions(database, {
      project: 'acme/web',
      since: 0,
      except: { runId: except, attempt: 1 },
      limit: 1001,
      keys: [key],
      ...changes,
    });
  const ids = (...of: Parameters<typeof recent>) => recent(...of).recent.map(({ runId }) => runId);
  return { context, database, randomBytes, key, newKey, newRun, submit, recent, ids };
}

describe('what other runs said of themselves', () => {
  test('comes as it was, the newest first', () => {
    const { newRun, submit, recent } = setUp();
    const other = { title: '東京 🚀', description: 'a\nb', inputs: { a: '', b: '{{x}}' } };
    const first = submit(newRun(), { now: NOW - 2000 });
    const second = submit(newRun(), { now: NOW - 1000, texts: other });
    const found: { recent: readonly RecentRun[]; unreadable: number } = recent();
    expect(found).toEqual({
      recent: [
        { runId: second, at: NOW - 1000, ...other },
        { runId: first, at: NOW - 2000, ...TEXTS },
      ],
      unreadable: 0,
    });
  });

  test('of this project, since then, not of the run itself, and no more than asked for', () => {
    const { newRun, submit, ids } = setUp();
    submit(newRun(), { project: 'acme/api' });
    const runs = [1, 2, 3, 4].map((n) => submit(newRun(), { now: NOW + n })).reverse();
    const [newest = '', ...others] = runs;
    expect(ids()).toEqual(runs);
    expect(ids(newest, { except: { runId: newest, attempt: 2 } })).toEqual(others);
    expect(ids(undefined, { since: NOW + 3 })).toEqual(runs.slice(0, 2));
    expect(ids(undefined, { limit: 3 })).toEqual(runs.slice(0, 3));
  });

  test('counts a run once, with its newest attempt', () => {
    const { newRun, submit, recent } = setUp();
    const again = { ...TEXTS, title: 'Deploy it again' };
    const run = submit(newRun(), { now: NOW - 2000 });
    submit(run, { attempt: 2, now: NOW - 1000, texts: again });
    expect(recent()).toEqual({ recent: [{ runId: run, at: NOW - 1000, ...again }], unreadable: 0 });
    expect(recent(undefined, { limit: 1 }).recent).toHaveLength(1);
  });

  test('after its own start, those committed before: of two that say the same, the first is no repeat', () => {
    const { newRun, submit, recent } = setUp();
    const [first, second] = [submit(newRun()), submit(newRun())];
    const verdict = (runId: string) => {
      const similarity = { max: 0.8, window: '1h' };
      return evaluateModeration({ similarity }, TEXTS, recent(runId).recent, NOW).verdict.verdict;
    };
    expect([first, second].map(verdict)).toEqual(['pass', 'fail']);
  });
});

describe('what cannot be read is counted', () => {
  test('sealed by a host key that is not here', () => {
    const { newRun, submit, newKey, recent } = setUp();
    const run = submit(newRun());
    submit(newRun(), { key: newKey() });
    expect(recent()).toMatchObject({ recent: [{ runId: run }], unreadable: 1 });
    expect(recent(undefined, { keys: [] })).toEqual({ recent: [], unreadable: 2 });
    expect(recent(undefined, { limit: 1 })).toEqual({ recent: [], unreadable: 1 });
  });

  test.each<[string, string]>([
    ['changed', "UPDATE submissions SET sealed = CAST(x'00' || substr(sealed, 2) AS BLOB)"],
    ['cut', 'UPDATE submissions SET sealed = substr(sealed, 1, 20)'],
    ['emptied', "UPDATE submissions SET sealed = x''"],
    ['moved to another attempt', 'UPDATE starts SET attempt = 7'],
    ['moved to another run', 'UPDATE starts SET run_id = (SELECT max(id) FROM runs)'],
    ['given to another key', "UPDATE submissions SET kid = 'x'"],
  ])('%s', (_, sql) => {
    const { database, newRun, submit, recent } = setUp();
    submit(newRun());
    const own = newRun();
    newRun();
    database.write(() => database.prepare(sql).run());
    expect(recent(own)).toEqual({ recent: [], unreadable: 1 });
  });

  test('what a retired host key sealed is readable', () => {
    const { context, database, newRun, submit, recent, randomBytes } = setUp();
    const keysDir = join(database.directory, 'keys');
    const { uid } = context.actor;
    const make = (now: number) =>
      addKey(keysDir, { role: 'host', jwk: generateEd25519(randomBytes), now, uid });
    const [retired, active] = [make(NOW), make(NOW + 1)];
    for (const { jwk, kid } of [retired, active])
      submit(newRun(), { key: submissionKey(parseSigningKey(jwk, kid)) });
    const keys = submissionKeys(loadKeyring(keysDir, uid));
    expect(keys.map(({ kid }) => kid)).toEqual([retired.kid, active.kid]);
    const found = recent(undefined, { keys });
    expect([found.recent.length, found.unreadable]).toEqual([2, 0]);
  });
});

describe('a submission is that of a start', () => {
  test('without one it is refused, and nothing is written', () => {
    const { database, newRun, key, randomBytes } = setUp();
    const runId = newRun();
    const record = () =>
      database.write(() => recordSubmission(database, { runId, attempt: 1, texts: TEXTS, key, randomBytes }));
    expect(codeOf(record)).toBe('INTERNAL');
    expect(database.prepare('SELECT count(*) AS n FROM submissions').get()?.n).toBe(0);
  });

  test('with it, it is withdrawn', () => {
    const { database, newRun, submit, recent } = setUp();
    const run = submit(newRun());
    submit(run, { attempt: 2, now: NOW + 1 });
    database.write(() => withdrawStart(database, { runId: run, attempt: 2 }));
    expect(recent().recent.map(({ at }) => at)).toEqual([NOW]);
    database.write(() => withdrawStart(database, { runId: run, attempt: 1 }));
    expect(recent()).toEqual({ recent: [], unreadable: 0 });
    expect(database.prepare('SELECT count(*) AS n FROM submissions').get()?.n).toBe(0);
  });

  test('with it, it is gone after 25 days', () => {
    const { database, newRun, submit, recent } = setUp();
    submit(newRun());
    submit(newRun(), { now: NOW + 25 * DAY });
    expect(recent().recent).toHaveLength(2);
    submit(newRun(), { now: NOW + 25 * DAY + 1 });
    expect(recent().recent.map(({ at }) => at)).toEqual([NOW + 25 * DAY + 1, NOW + 25 * DAY]);
    expect(database.prepare('SELECT count(*) AS n FROM submissions').get()?.n).toBe(2);
  });
});

test('no text is in clear anywhere in the folder of the store, and no key either', () => {
  const { database, newRun, submit, recent, key } = setUp();
  const texts = {
    title: 'canary-title',
    description: 'canary-description',
    inputs: { 'canary-name': 'canary-value' },
  };
  for (let count = 0; count < 50; count++) submit(newRun(), { texts });
  const scan = () => {
    const files = readdirSync(database.directory);
    const contents = files.map((file) => readFileSync(join(database.directory, file)));
    // What is in clear is found.
    expect(contents.some((content) => content.includes('acme/web'))).toBe(true);
    for (const secret of ['canary', Buffer.from('canary', 'utf16le'), key.key]) {
      expect(contents.some((content) => content.includes(secret))).toBe(false);
    }
    return files.sort();
  };
  expect(scan()).toEqual(['ax.db', 'ax.db-shm', 'ax.db-wal']);
  expect(recent().recent[49]).toMatchObject(texts);
  database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get();
  expect(scan()).toEqual(['ax.db', 'ax.db-shm', 'ax.db-wal']);
});
