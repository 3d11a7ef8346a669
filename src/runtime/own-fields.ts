/**
 * The fields of a statement whose texts ax makes or checks itself: ids, digests, times, codes, and names that have a
 * grammar. They are evidence, and none of them can hold what a task said.
 */
const OWN = new Set([
  ...[
    '_type',
    'predicateType',
    'receiptId',
    'runId',
    'project',
    'task',
    'outcome',
    'code',
    'sha256',
    'lockSha256',
  ],
  ...[
    'keyid',
    'keyids',
    'eventId',
    'event',
    'status',
    'source',
    'from',
    'to',
    'at',
    'startedAt',
    'finishedAt',
    'hash',
  ],
  ...[
    'traceId',
    'spanId',
    'parentSpanId',
    'manifestDigest',
    'guardDigest',
    'snapshotDigest',
    'mac',
    'verdict',
    'phase',
  ],
  ...['guard', 'kind', 'signal', 'environment', 'secrets', 'applied', 'user', 'host'],
]);

/** What these hold is named and written by others. */
const FOREIGN = ['metadata', 'finding', 'output'];

export function isOwnField(path: readonly string[]): boolean {
  // The operating system's name of who ran ax: the row beside the receipt has it too, and the two have to agree.
  if (path.at(-1) === 'name' && path.at(-2) === 'actor') return true;
  // Scrubbed before it was signed; changed after that, its MAC would not hold any more.
  if (path.at(-1) === 'reason' && path.at(-2) === 'verdict' && path.includes('guards')) return true;
  const own = OWN.has(path.at(-1) ?? '');
  return own && (path.at(-1) === 'sha256' || !FOREIGN.some((name) => path.includes(name)));
}
