/**
 * Scrubs a stream of any size. Declared secrets go first, byte for byte, wherever they are; what is recognised is looked
 * for in lines.
 *
 * Guaranteed:
 * - What comes out does not depend on how the input was cut into chunks.
 * - A credential is recognised up to `REACH` bytes from its keyword on, a private key up to 64 KiB, whatever the
 *   lengths of lines.
 * - Time is linear in the input. Memory is bounded: what is held back is the part of a line from the first keyword on, or
 *   a private key that has begun, and at most `MOST_HELD` bytes.
 */
import { createMasker, type Masker, type Secret } from '../mask.ts';
import { createMemory, credentialFinder } from './credentials.ts';
import { personalFinder } from './personal.ts';

export interface ScrubPolicy {
  /** Whose values are removed, in every form. */
  readonly secrets: readonly Secret[];
  /** What is recognised as a credential, declared or not. */
  readonly credentials: boolean;
  /** E-mail addresses, telephone and account numbers, cards. */
  readonly personal: boolean;
  /** IP addresses too; of personal data, they are what output is most often about. */
  readonly addresses?: boolean;
}

/** As far as rules look back at names, and never more than one line's worth of words. */
const CONTEXT = 256;
const REACH = 16 * 1024;
const MOST_HELD = 128 * 1024;

interface Run {
  readonly start: number;
  end: number;
  readonly marker: string;
}

export function createScrubber({ secrets, addresses = false, ...policy }: ScrubPolicy): Masker {
  const masker = createMasker(secrets);
  if (!policy.credentials && !policy.personal) return masker;
  const credentials = policy.credentials ? credentialFinder() : undefined;
  const persons = policy.personal ? personalFinder(addresses) : undefined;
  const memory = createMemory(credentials?.rules ?? 0);
  // `CONTEXT` bytes that were shown or covered, and what has not been yet, from `settled` on.
  let buffer: Buffer = NOTHING;
  let settled = 0;
  // Coverage that reaches beyond `settled`; its marker is out.
  let open = 0;
  // There is a keyword in the line that has not ended.
  let waits = false;

  /** Shows or covers everything before `to`, with keywords there judged by all that is known. */
  const settle = (to: number, final: boolean): Buffer => {
    const text = buffer.toString('latin1');
    const runs: Run[] = [];
    const cover = (start: number, end: number, marker: string): void => {
      runs.push({ start, end, marker });
    };
    const sight = { bytes: buffer, text, from: settled, to, final };
    const until = credentials?.find(sight, memory, cover) ?? to;
    persons?.({ ...sight, to: until }, cover);
    const out: Buffer[] = [];
    let at = Math.min(open, until);
    if (at < settled) at = settled;
    for (const run of joined(runs)) {
      if (run.end <= at) continue;
      // It goes on where the one before it ends.
      const touches = open > 0 && run.start <= open;
      if (run.start > at) out.push(buffer.subarray(at, run.start));
      if (!touches) out.push(Buffer.from(run.marker));
      open = Math.max(open, run.end);
      at = Math.min(open, until);
      if (open >= until) break;
    }
    if (at < until) out.push(buffer.subarray(at, until));
    const drop = Math.max(0, until - CONTEXT);
    const shown = out.length === 1 ? Buffer.from(out[0] as Buffer) : Buffer.concat(out);
    buffer = Buffer.from(buffer.subarray(drop));
    settled = until - drop;
    open = Math.max(0, open - drop);
    memory.covered -= drop;
    memory.curl = Math.max(-MOST_HELD, memory.curl - drop);
    for (let id = 0; id < memory.rejected.length; id++) {
      memory.rejected[id] = Math.max(-1, (memory.rejected[id] as number) - drop);
    }
    return shown;
  };

  const take = (chunk: Buffer): Buffer => {
    if (chunk.length === 0) return chunk;
    const known = buffer.length;
    buffer = known === 0 ? Buffer.from(chunk) : Buffer.concat([buffer, chunk]);
    const line = buffer.lastIndexOf(LINE_FEED) + 1;
    if (line > known) waits = false;
    const to = Math.max(line > known ? line : 0, buffer.length - REACH, shownEarly(Math.max(line, settled)));
    return to <= settled ? NOTHING : settle(to, false);
  };

  /** A line that has not ended is shown as far as nothing in it can be, or become, part of a match. */
  const shownEarly = (from: number): number => {
    if (waits || persons !== undefined || credentials === undefined) return 0;
    let first = buffer.length - credentials.keywords.heldAt(buffer, buffer.length);
    credentials.keywords.scan(buffer, from, buffer.length, (_, start) => {
      first = Math.min(first, start);
      waits = true;
    });
    return first;
  };

  return {
    push: (chunk) => take(masker.push(chunk)),
    end() {
      const rest = masker.end();
      buffer = Buffer.concat([buffer, rest]);
      return settle(buffer.length, true);
    },
  };
}

const LINE_FEED = 0x0a;
const NOTHING = Buffer.alloc(0);

/** In order, those that touch as one, under the marker of the one that begins it; of two that begin there, the longer. */
function joined(runs: readonly Run[]): Run[] {
  const sorted = [...runs].sort((a, b) => a.start - b.start || b.end - a.end);
  const out: Run[] = [];
  for (const run of sorted) {
    const last = out.at(-1);
    if (last !== undefined && run.start <= last.end) last.end = Math.max(last.end, run.end);
    else out.push({ ...run });
  }
  return out;
}
