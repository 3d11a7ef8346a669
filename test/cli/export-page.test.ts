import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type DefaultTreeAdapterMap, parse } from 'parse5';
import { describe, expect, it } from 'vitest';
import { PAGE_END, pageHead, receiptArticle } from '../../src/commands/receipt-page.ts';
import { readReceipt } from '../../src/runtime/receipt-reading.ts';
import type { JsonValue } from '../../src/security/json.ts';
import { createRig, type Rig } from '../support/rig.ts';

type Node = DefaultTreeAdapterMap['node'];
type Element = DefaultTreeAdapterMap['element'];

/** Every element that a page is made of, and every attribute that any of them may have. */
const TAGS =
  'html head meta title style body header h1 article h2 span p code dl dt dd section h3 ol li strong table thead tbody tr th td pre details summary';
const ATTRIBUTES = 'lang charset http-equiv content name id class scope';

const HOSTILE = `"'><script>alert(1)</script><img src=x onerror=alert(1)></pre></article></body>`;

function elements(node: Node): Element[] {
  const below = 'childNodes' in node ? node.childNodes.flatMap(elements) : [];
  return 'tagName' in node ? [node, ...below] : below;
}

function textOf(node: Node): string {
  if ('value' in node) return node.value;
  return 'childNodes' in node ? node.childNodes.map(textOf).join('') : '';
}

/** Asserts that an HTML5 parser finds only what a page is made of; gives the elements. */
function inspected(page: string): Element[] {
  const all = elements(parse(page));
  expect(all.map(({ tagName }) => tagName).filter((name) => !TAGS.split(' ').includes(name))).toEqual([]);
  const attributes = all.flatMap(({ attrs }) => attrs.map(({ name }) => name));
  expect(attributes.filter((name) => !ATTRIBUTES.split(' ').includes(name))).toEqual([]);
  return all;
}

async function exportPage(rig: Rig): Promise<string> {
  const { exitCode, stderr } = await rig.ax('receipts', 'export', '--all', '-f', 'html', '-o', 'page.html');
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return rig.read('page.html');
}

describe('the page of ax receipts export', () => {
  it('has the timeline, guards, dependencies, command and output of a run, and loads nothing', async () => {
    const rig = await createRig();
    rig.write('lib/a', 'a');
    await rig.sign(`
      build:
        shell: echo built; echo warned >&2; exit 3
        dependencies: [{ path: lib/a }]
        rollback: [echo, undone]
        guards: [{ rateLimit: { max: 5, per: 1h } }]
        metadata: { owner: web, tags: [one, two] }
    `);
    expect((await rig.ax('run', 'build')).exitCode).toBe(3);
    const all = inspected(await exportPage(rig));
    const texts = (tag: string) => all.filter(({ tagName }) => tagName === tag).map(textOf);
    expect(texts('h3')).toEqual([
      'Timeline',
      'Command',
      'Guards',
      'Dependencies',
      'Subject',
      'Output',
      'Rollback',
      'Output of the rollback',
    ]);
    expect(texts('li').map((item) => item.trim().split(/\s+/).slice(0, 4).join(' '))).toEqual([
      'DependenciesReady BOOTSTRAPPING → IDLE',
      'TaskSubmitted IDLE → PREPARING',
      'DependenciesReady PREPARING → EXECUTING',
      'RuleViolation EXECUTING → FAILED',
    ]);
    expect(texts('pre').slice(0, 3)).toEqual(['built\n', 'warned\n', 'undone\n']);
    expect(texts('td')).toEqual(
      expect.arrayContaining(['rateLimit', 'check', 'spawn', 'lib/a', 'as signed']),
    );
    expect(texts('dd')).toEqual(expect.arrayContaining(['web', 'one, two']));
    const policy = all.find(({ attrs }) => attrs.some(({ value }) => value === 'Content-Security-Policy'));
    expect(policy?.attrs.find(({ name }) => name === 'content')?.value).toMatch(
      /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; form-action 'none'$/,
    );
  });

  it('is made of the same elements whatever a task, its output or its metadata say', async () => {
    const rig = await createRig();
    rig.write('hostile.txt', HOSTILE);
    await rig.sign(`
      hostile:
        run: [cat, hostile.txt, ${JSON.stringify(HOSTILE)}]
        metadata: { owner: ${JSON.stringify(HOSTILE)}, tags: [${JSON.stringify(HOSTILE.slice(0, 60))}] }
    `);
    expect((await rig.ax('run', 'hostile')).exitCode).toBe(1);
    const all = inspected(await exportPage(rig));
    const code = all.filter(({ tagName }) => tagName === 'code').map(textOf);
    expect(code).toContain(HOSTILE);
    expect(all.filter(({ tagName }) => tagName === 'pre').map(textOf)).toContain(HOSTILE);
  });

  it('is so even if every text of a statement, names of tasks and states too, is hostile', async () => {
    const rig = await createRig();
    rig.write('lib/a', 'a');
    await rig.sign(`
      build:
        shell: echo built
        dependencies: [{ path: lib/a }]
        rollback: [echo, undone]
        guards: [{ rateLimit: { max: 5, per: 1h } }]
    `);
    await rig.ax('run', 'build');
    const { stdout } = await rig.ax('receipts', 'export', '--all', '-f', 'in-toto');
    const statement = hostileOf(JSON.parse(stdout));
    const reading = readReceipt(statement);
    expect(reading?.task).toBe(HOSTILE);
    const article = receiptArticle({ id: HOSTILE, reading, statement, signedBy: HOSTILE });
    const all = inspected(`${pageHead({ receipts: 1, at: HOSTILE })}${article}${PAGE_END}`);
    expect(all.filter(({ tagName }) => tagName === 'h2').map(textOf)).toEqual([`${HOSTILE} ${HOSTILE}`]);
    const classes = all.flatMap(({ attrs }) => attrs.filter(({ name }) => name === 'class'));
    for (const word of classes.flatMap(({ value }) => value.split(' '))) {
      expect(['badge', 'good', 'bad', 'wait', 'dim', 'mono', 'notice']).toContain(word);
    }
  });

  it.skipIf(!haveChromium())('runs nothing and asks for nothing in Chromium', async () => {
    const rig = await createRig();
    rig.write('hostile.txt', HOSTILE);
    await rig.sign(`hostile: { run: [cat, hostile.txt], metadata: { owner: ${JSON.stringify(HOSTILE)} } }`);
    await rig.ax('run', 'hostile');
    await exportPage(rig);
    const { stdout, status } = spawnSync(
      'chromium',
      [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--dump-dom', '--virtual-time-budget=2000'],
        ...[`--user-data-dir=${join(rig.base, 'chromium')}`, `file://${join(rig.project, 'page.html')}`],
      ],
      { encoding: 'utf8', env: { ...rig.env, HOME: rig.base } },
    );
    expect(status).toBe(0);
    const all = inspected(stdout);
    expect(all.filter(({ tagName }) => tagName === 'pre').map(textOf)).toContain(HOSTILE);
  });
});

function haveChromium(): boolean {
  return spawnSync('chromium', ['--version']).error === undefined;
}

/** Every text replaced, but for the types of the statement, by which it is known as a receipt. */
function hostileOf(statement: { [name: string]: JsonValue }): { [name: string]: JsonValue } {
  const replaced = (value: JsonValue): JsonValue => {
    if (typeof value === 'string') return HOSTILE;
    if (Array.isArray(value)) return value.map(replaced);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, replaced(item)]));
  };
  const { _type, predicateType, ...rest } = statement;
  return { ...(replaced(rest) as typeof rest), _type: _type ?? null, predicateType: predicateType ?? null };
}
