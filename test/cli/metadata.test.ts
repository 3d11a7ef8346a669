import { type DefaultTreeAdapterMap, parse } from 'parse5';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/security/canonical.ts';
import type { JsonValue } from '../../src/security/json.ts';
import { craftLock } from '../support/craft.ts';
import { statement } from '../support/evidence.ts';
import { createRig, lines, type Rig, snapshot } from '../support/rig.ts';

function manifest(rig: Rig, metadata: unknown): void {
  // JSON is YAML.
  rig.manifest(`hello: { run: [echo, hello], metadata: ${JSON.stringify(metadata)} }`);
}

/** Metadata of exactly this many bytes of JSON in UTF-8, most of them in characters of three. */
function metadataOf(bytes: number): { [name: string]: JsonValue } {
  const labels: Record<string, string> = {};
  const size = () => Buffer.byteLength(canonicalJson({ labels }));
  for (let n = 0; size() + 800 < bytes; n++) labels[`label${n}`] = '€'.repeat(256);
  labels.rest = '';
  labels.rest = 'x'.repeat(bytes - size());
  expect(size()).toBe(bytes);
  return { labels };
}

async function commandMetadata(rig: Rig): Promise<unknown> {
  return ((await statement(rig)).command as { metadata: unknown }).metadata;
}

describe('metadata', () => {
  it('is in the receipt as signed, with what ax itself knows of the attempt', async () => {
    const rig = await createRig();
    const metadata = {
      owner: 'web team',
      tags: ['release', 'web'],
      priority: 'critical',
      labels: { 'cost/centre': '42' },
    };
    await rig.sign(
      `fails: { shell: exit 1, retries: { max: 1, backoff: 1ms }, metadata: ${JSON.stringify(metadata)} }`,
    );
    expect((await rig.ax('run', 'fails')).exitCode).toBe(1);
    const { actor } = await statement(rig);
    expect(await commandMetadata(rig)).toEqual({
      ...metadata,
      taskId: 'fails',
      manifestVersion: 1,
      attempt: 2,
      retryCount: 1,
      requestedBy: (actor as { name: string }).name,
    });
  });

  it('is 10,240 bytes of UTF-8 at most, whoever signed it', async () => {
    const rig = await createRig();
    manifest(rig, metadataOf(10_240));
    expect((await rig.ax('sign', '--yes')).exitCode).toBe(0);
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
    expect(await commandMetadata(rig)).toMatchObject(metadataOf(10_240));

    manifest(rig, metadataOf(10_241));
    const before = snapshot(rig);
    const { exitCode, stderr } = await rig.ax('sign', '--yes');
    expect(exitCode).toBe(65);
    expect(stderr).toContain('tasks.hello.metadata: expected at most 10 KB of UTF-8 in all');
    expect(snapshot(rig)).toEqual(before);

    manifest(rig, {});
    craftLock(rig, {
      version: 2,
      change: (signed) => ({
        ...signed,
        tasks: { hello: { run: ['touch', 'started'], metadata: metadataOf(10_241) } },
      }),
    });
    const run = await rig.ax('run', 'hello');
    expect(run.exitCode).toBe(65);
    expect(run.stderr).toContain('error[MANIFEST_INVALID]');
    expect(rig.has('started')).toBe(false);
  });

  it.each<[string, unknown, string]>([
    ['a slip', { ownr: 'web' }, 'metadata.ownr: expected a known key; did you mean owner?'],
    ['a key that is none', { colour: 'red' }, 'metadata.colour: expected a known key'],
    [
      'the task',
      { taskId: 'x' },
      'metadata.taskId: expected a known key; ax itself puts taskId into the receipt',
    ],
    ['the version', { manifestVersion: 9 }, '; ax itself puts manifestVersion into the receipt'],
    ['the attempt', { attempt: 9 }, '; ax itself puts attempt into the receipt'],
    ['the retries', { retryCount: 9 }, '; ax itself puts retryCount into the receipt'],
    ['the user', { requestedBy: 'root' }, '; ax itself puts requestedBy into the receipt'],
    ['eleven tags', { tags: [...'abcdefghijk'] }, 'metadata.tags: '],
    ['a long tag', { tags: ['x'.repeat(65)] }, 'metadata.tags.0: '],
    ['a long owner', { owner: 'x'.repeat(257) }, 'metadata.owner: '],
    ['an owner with an escape', { owner: 'a\u001b[31m' }, 'metadata.owner: expected no control characters'],
    ['a tag of two lines', { tags: ['a\nb'] }, 'metadata.tags.0: expected no control characters'],
    ['a priority that is none', { priority: 'urgent' }, 'metadata.priority: '],
    ['a label that is no name', { labels: { 'A B': 'x' } }, 'metadata.labels.A B: expected a label name'],
    [
      '33 labels',
      { labels: Object.fromEntries([...Array(33).keys()].map((n) => [`l${n}`, ''])) },
      'metadata.labels: expected at most 32 labels',
    ],
  ])('is refused with %s, and nothing is signed', async (_, metadata, message) => {
    const rig = await createRig();
    manifest(rig, metadata);
    const { exitCode, stderr } = await rig.ax('sign', '--yes');
    expect(exitCode).toBe(65);
    expect(stderr).toContain(message);
    expect(rig.has('ax.lock')).toBe(false);
  });

  it('is escaped at each sink for that sink: JSON on a terminal, a line, a page', async () => {
    const rig = await createRig();
    const owner = '<b title="x">&lt;\u202egnitirw\u2028';
    manifest(rig, { owner, labels: { a: owner } });
    expect((await rig.ax('sign', '--yes')).exitCode).toBe(0);
    expect((await rig.ax('run', 'hello')).exitCode).toBe(0);
    const unsafe = /[\u202e\u2028]/;

    const [id = ''] = (await rig.ax('receipts', 'list')).stdout.match(/[0-9A-HJKMNP-TV-Z]{26}/) ?? [];
    const decrypted = (await rig.ax('receipts', 'decrypt', id)).stdout;
    expect(decrypted).not.toMatch(unsafe);
    expect(JSON.parse(decrypted).predicate.command.metadata).toMatchObject({ owner, labels: { a: owner } });

    const record = (await rig.ax('receipts', 'export', id, '-f', 'ndjson')).stdout;
    expect(record).not.toMatch(unsafe);
    expect(lines(record)).toHaveLength(1);
    expect(JSON.parse(record).statement).toEqual(JSON.parse(decrypted));

    const page = (await rig.ax('receipts', 'export', id, '-f', 'html')).stdout;
    expect(page).not.toMatch(unsafe);
    const shown = owner.replace('\u202e', '\\u202e').replace('\u2028', '\\u2028');
    expect(descriptions(parse(page))).toContain(shown);
  });
});

type Node = DefaultTreeAdapterMap['node'];

/** The text of each `dd` of a page. */
function descriptions(node: Node): string[] {
  const children = 'childNodes' in node ? node.childNodes : [];
  if (!('tagName' in node) || node.tagName !== 'dd') return children.flatMap(descriptions);
  return [children.map((child) => ('value' in child ? child.value : '')).join('')];
}
