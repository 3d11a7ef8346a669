import { describe, expect, test } from 'vitest';
import { createScrubber, type ScrubPolicy } from '../../../src/security/scrub/stream.ts';
import { haveVectors, vectorLines } from '../../support/vectors.ts';

interface Row {
  readonly rule?: string;
  readonly class?: string;
  readonly expect: 'secret' | 'clean';
  readonly scope?: string;
  readonly strictClean?: boolean;
  readonly sampleB64?: string;
  readonly textB64?: string;
  readonly secretsB64?: readonly string[];
  readonly valuesB64?: readonly string[];
}

const CREDENTIALS: ScrubPolicy = { secrets: [], credentials: true, personal: false };
const ALL: ScrubPolicy = { secrets: [], credentials: true, personal: true, addresses: true };

function scrub(policy: ScrubPolicy, input: Buffer, cuts: readonly number[] = []): Buffer {
  const scrubber = createScrubber(policy);
  const out: Buffer[] = [];
  let from = 0;
  for (const to of [...cuts, input.length]) {
    // A copy that is wiped, as a reader that uses its buffer again would.
    const chunk = Buffer.from(input.subarray(from, to));
    out.push(Buffer.from(scrubber.push(chunk)));
    chunk.fill(0);
    from = to;
  }
  return Buffer.concat([...out, scrubber.end()]);
}

const bytes = (base64: string): Buffer => Buffer.from(base64, 'base64');
const textOf = (row: Row): Buffer => bytes(row.sampleB64 ?? row.textB64 ?? '');
const valuesOf = (row: Row): Buffer[] => (row.secretsB64 ?? row.valuesB64 ?? []).map(bytes);

/** The rows that came out wrong, and the share that came out right. */
function judge(policy: ScrubPolicy, rows: readonly Row[]): { share: number; wrong: string[] } {
  const wrong = rows.filter((row) => {
    const out = scrub(policy, textOf(row));
    if (row.expect === 'clean') return !out.equals(textOf(row));
    return valuesOf(row).some((value) => out.includes(value));
  });
  return {
    share: 1 - wrong.length / rows.length,
    wrong: wrong.map((row) => `${row.rule ?? row.class}: ${textOf(row).toString().slice(0, 80)}`),
  };
}

describe.skipIf(!haveVectors)('third-party samples', () => {
  const credentials = haveVectors
    ? vectorLines<Row>('secrets.jsonl').filter(({ rule }) => !rule?.startsWith('pkcs12'))
    : [];
  const personal = haveVectors ? vectorLines<Row>('pii.jsonl') : [];
  const secret = ({ expect: kind }: Row): boolean => kind === 'secret';

  test('of credentials, 99 % are removed', () => {
    const { share, wrong } = judge(CREDENTIALS, credentials.filter(secret));
    expect(share, wrong.join('\n')).toBeGreaterThanOrEqual(0.99);
  });

  test('of what looks like a credential and is none, 99.5 % are as they were', () => {
    const { share, wrong } = judge(
      CREDENTIALS,
      credentials.filter((row) => !secret(row) && row.scope === 'all-rules'),
    );
    expect(share, wrong.join('\n')).toBeGreaterThanOrEqual(0.995);
  });

  test('of personal data, 99 % are removed', () => {
    const { share, wrong } = judge(ALL, personal.filter(secret));
    expect(share, wrong.join('\n')).toBeGreaterThanOrEqual(0.99);
  });

  test('of what looks like personal data and is none, 99.5 % are as they were', () => {
    const { share, wrong } = judge(
      ALL,
      personal.filter((row) => !secret(row) && row.strictClean === true),
    );
    expect(share, wrong.join('\n')).toBeGreaterThanOrEqual(0.995);
  });

  test('no cut changes what comes out', { timeout: 300_000 }, () => {
    for (const [policy, rows] of [
      [CREDENTIALS, credentials],
      [ALL, personal],
    ] as const) {
      for (const row of rows) {
        const input = Buffer.concat([Buffer.from('before\n'), textOf(row), Buffer.from('\nafter\n')]);
        const whole = scrub(policy, input);
        const step = Math.max(1, Math.floor(input.length / 100));
        for (let cut = 1; cut < input.length; cut += step) {
          expect(scrub(policy, input, [cut]), `cut at ${cut} of ${row.rule ?? row.class}`).toEqual(whole);
        }
      }
    }
  });
});
