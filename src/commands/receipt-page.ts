import { type Html, type HtmlValue, html, toMarkup } from '../output/html.ts';
import type { ReceiptReading } from '../runtime/receipt-reading.ts';
import { sha256Hex } from '../security/digest.ts';
import { formatDuration } from '../security/duration.ts';
import type { JsonValue } from '../security/json.ts';
import { PAGE_STYLE } from './receipt-page-style.ts';

/**
 * Receipts as one page that loads nothing, runs nothing and links to nothing. All text in it passes `html`; the
 * policy in its head is the second wall: no script, no request, and no style but the one that is named by its digest.
 */

export interface PageReceipt {
  readonly id: string;
  /** Null for a statement of another type, of which the whole is shown. */
  readonly reading: ReceiptReading | null;
  readonly statement: { readonly [name: string]: JsonValue };
  /** The host key by which the signature holds; null where that key is not known. */
  readonly signedBy: string | null;
}

const STYLE_DIGEST = Buffer.from(sha256Hex(PAGE_STYLE), 'hex').toString('base64');
const POLICY = `default-src 'none'; style-src 'sha256-${STYLE_DIGEST}'; base-uri 'none'; form-action 'none'`;

/** How the page begins: what it is of, and what it is worth. */
export function pageHead({ receipts, at }: { receipts: number; at: string }): string {
  const head = html`
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ax receipts</title>
`;
  const intro = html`
<header>
<h1>${receipts === 1 ? 'A receipt' : `${receipts} receipts`} of ax</h1>
<p>Exported ${at}. A page can be changed by anyone: what proves a run is the signed envelope, and <code>ax receipts verify</code>.</p>
</header>
`;
  // The style is ours, and its digest is over these very bytes.
  return `<!doctype html>\n<html lang="en">\n<head>${toMarkup(head)}<style>${PAGE_STYLE}</style>\n</head>\n<body>${toMarkup(intro)}`;
}

export const PAGE_END = '</body>\n</html>\n';

/** One receipt: what was run and how it ended, its timeline, guards, dependencies and output, and the statement. */
export function receiptArticle({ id, reading, statement, signedBy }: PageReceipt): string {
  const text = html`<pre>${JSON.stringify(statement, null, 2)}</pre>`;
  const whole =
    reading === null ? text : html`<details><summary>The whole statement</summary>${text}</details>`;
  const signature =
    signedBy === null
      ? html`<p class="wait">The signature was not verified: the key of its host is not known here.</p>`
      : html`<p class="dim">Signature verified, host key <span class="mono">${signedBy}</span></p>`;
  const body = reading === null ? html`<h2>${String(statement.predicateType)}</h2>` : summary(reading);
  return toMarkup(
    html`<article id="${id}">${body}${signature}${reading === null ? null : sections(reading)}${whole}</article>\n`,
  );
}

function summary(reading: ReceiptReading): Html {
  const { outcome, error, manifest, actor } = reading;
  const facts: readonly (readonly [string, HtmlValue])[] = [
    ['Project', reading.project],
    ['Run', html`<span class="mono">${reading.runId}</span>, attempt ${reading.attempt}`],
    ['Receipt', html`<span class="mono">${reading.receiptId}</span>`],
    ['Began', reading.startedAt],
    ['Took', took(reading.durationMs)],
    ['Exit status', reading.exitCode],
    ['By', `${actor.name} (uid ${actor.uid}) on ${reading.host}`],
    ['Manifest', manifest.verified ? `version ${manifest.version}, verified` : 'not verified'],
    ['Trace', html`<span class="mono">${reading.traceId}</span>`],
  ];
  return html`<h2>${reading.task} <span class="badge ${toneOf(outcome)}">${outcome}</span></h2>
<dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
${error === null ? null : html`<p class="notice"><strong>${error.code}</strong> ${error.message}</p>`}`;
}

function sections(reading: ReceiptReading): readonly Html[] {
  const { command, rollback } = reading;
  return [
    timeline(reading),
    ...(command === null ? [] : [section('Command', commandBody(command))]),
    tableOf('Guards', ['Guard', 'Asked', 'Said', 'Reason'], reading.guards, ({ guard, phase, verdict }) => [
      guard,
      phase,
      html`<span class="${toneOf(verdict.verdict)}">${verdict.verdict}</span>`,
      verdict.reason,
    ]),
    tableOf('Dependencies', ['Path', 'Kind', 'SHA-256', 'State'], reading.dependencies, (one) => [
      one.path,
      one.kind,
      digestCell(one.found?.sha256 ?? null),
      stateOf(one),
    ]),
    artifacts('Read', reading.materials),
    artifacts('Subject', reading.subject),
    ...streams('Output', reading.output),
    ...(rollback === null
      ? []
      : [
          section('Rollback', html`<p>${words(rollback.argv)}</p><p>${exitText(rollback.exit)}</p>`),
          ...streams('Output of the rollback', rollback.output),
        ]),
  ];
}

function timeline({ transitions }: ReceiptReading): Html {
  const start = transitions[0]?.at ?? '';
  const items = transitions.map(
    ({ event, source, at, status, from, to, reason }) => html`<li class="${toneOf(to)}">
<strong>${event}</strong> <span class="mono">${from === to ? from : `${from} → ${to}`}</span>
<span class="dim">${after(at, start)}, by ${source}${status === 'transitioned' ? null : `, ${status}`}${reason === null ? null : `: ${reason}`}</span></li>`,
  );
  return section(
    'Timeline',
    items.length === 0 ? html`<p>Refused before it began.</p>` : html`<ol>${items}</ol>`,
  );
}

function commandBody(command: NonNullable<ReceiptReading['command']>): Html {
  const facts: readonly (readonly [string, HtmlValue])[] = [
    ['In', command.cwd],
    ['Timeout', took(command.timeoutMs)],
    ['Variables', command.environment.join(' ')],
    ['Secrets', command.secrets.length === 0 ? 'none' : command.secrets.join(' ')],
    ...Object.entries(command.metadata).map(([name, value]) => [name, plain(value)] as const),
  ];
  return html`<p>${words(command.argv)}</p>
<dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

function plain(value: unknown): string {
  if (Array.isArray(value)) return value.map(plain).join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Each word by itself, so that where one ends does not depend on what is in it. */
function words(argv: readonly string[]): readonly Html[] {
  return argv.map((word) => html`<code>${word}</code> `);
}

function streams(title: string, output: ReceiptReading['output']): readonly Html[] {
  if (output === null) return [];
  const body = (['stdout', 'stderr'] as const).map((name) => {
    const { bytes, sha256, head, tail, omittedBytes } = output[name];
    const gap = omittedBytes > 0 ? `\n[… ${omittedBytes} bytes left out …]\n` : '';
    const text = bytes === 0 ? null : html`<pre>${`${head}${gap}${tail}`}</pre>`;
    return html`<p><strong>${name}</strong> <span class="dim">${bytes} bytes, SHA-256 ${sha256}</span></p>${text}`;
  });
  return [section(title, html`${body}`)];
}

function artifacts(title: string, list: ReceiptReading['subject']): Html {
  return tableOf(title, ['Name', 'SHA-256'], list, ({ name, digest }) => [name, digestCell(digest.sha256)]);
}

function tableOf<T>(
  title: string,
  columns: readonly string[],
  rows: readonly T[],
  cells: (row: T) => readonly HtmlValue[],
): Html {
  if (rows.length === 0) return html``;
  const lines = rows.map((row) => html`<tr>${cells(row).map((cell) => html`<td>${cell}</td>`)}</tr>\n`);
  const names = columns.map((name) => html`<th scope="col">${name}</th>`);
  return section(title, html`<table><thead><tr>${names}</tr></thead><tbody>${lines}</tbody></table>`);
}

function section(title: string, body: Html): Html {
  return html`<section><h3>${title}</h3>${body}</section>\n`;
}

function digestCell(sha256: string | null): Html {
  return sha256 === null ? html`<span class="bad">missing</span>` : html`<span class="mono">${sha256}</span>`;
}

function stateOf({ problem, after: later }: ReceiptReading['dependencies'][number]): Html {
  const found = problem ?? later?.problem ?? null;
  if (found !== null) return html`<span class="bad">${found}</span>`;
  return later?.touched === true
    ? html`<span class="wait">touched while it ran</span>`
    : html`<span class="good">as signed</span>`;
}

function exitText(exit: ReceiptReading['exit']): string {
  if (exit === null) return 'not started';
  return [exit.kind, exit.code, exit.signal, exit.reason].filter((part) => part !== undefined).join(' ');
}

const TONES: Readonly<Record<string, string>> = {
  completed: 'good',
  COMPLETED: 'good',
  pass: 'good',
  failed: 'bad',
  FAILED: 'bad',
  'timed-out': 'bad',
  refused: 'bad',
  fail: 'bad',
  canceled: 'wait',
  CANCELED: 'wait',
  deferred: 'wait',
  defer: 'wait',
  WAITING_ON_DEP: 'wait',
};

/** A class of ours, whatever the word is: text of others never becomes one. */
function toneOf(word: string): string {
  return Object.hasOwn(TONES, word) ? (TONES[word] ?? 'dim') : 'dim';
}

function took(ms: number): string {
  return Number.isFinite(ms) ? formatDuration(ms) : '?';
}

function after(at: string, start: string): string {
  const ms = Date.parse(at) - Date.parse(start);
  return Number.isFinite(ms) ? `${at} (${ms < 0 ? '' : '+'}${formatDuration(ms)})` : at;
}
