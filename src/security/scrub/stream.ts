/**
 * Scrubs a stream of any size. Declared secrets go first, byte for byte, wherever they are; what is recognised is looked
 * for in lines.
 *
 * Guaranteed:
 * - What comes out does not depend on how the input was cut into chunks.
 * - A credential is recognised up to `REACH` bytes from its keyword on, a private key and the data of a Kubernetes Secret
 *   up to 64 KiB, whatever the lengths of lines.
 * - Time is linear in the input. Memory is bounded: what is held back is the part of a line from the first keyword on, or
 *   what needs more input to be decided on.
 */
import { createMasker, type Masker, type Secret } from '../mask.ts';
import { createMemory, credentialFinder } from './credentials.ts';
import { createPersonalFinder } from './personal.ts';
import { createWindow } from './window.ts';

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

interface Run {
  readonly start: number;
  readonly end: number;
  readonly marker: string;
}

export function createScrubber({ secrets, addresses = false, ...policy }: ScrubPolicy): Masker {
  const masker = createMasker(secrets);
  if (!policy.credentials && !policy.personal) return masker;
  const credentials = policy.credentials ? credentialFinder() : undefined;
  const persons = policy.personal ? createPersonalFinder(addresses) : undefined;
  const memory = createMemory(credentials?.rules ?? 0);
  // `CONTEXT` bytes that were shown or covered, and what has not been yet, from `settled` on. `base` is how much of the
  // stream came before.
  const window = createWindow();
  let base = 0;
  let settled = 0;
  // Coverage that reaches beyond `settled`, its marker is out; and coverage that begins beyond it.
  let open = 0;
  let later: readonly Run[] = [];
  // Where the last line begins, and whether there is a keyword in it.
  let line = 0;
  let waits = false;
  // With fewer bytes in sight, what only more input can decide is not looked at again: it would be, for every chunk.
  let enough = 0;

  /** Shows or covers everything before `to`, with keywords there judged by all that is known. */
  const settle = (to: number, final: boolean): Buffer => {
    const bytes = window.bytes();
    const text = bytes.toString('latin1');
    const runs = [...later];
    let isInOrder = true;
    const cover = (start: number, end: number, marker: string): void => {
      const last = runs.at(-1);
      if (last !== undefined && start <= last.start) isInOrder = false;
      runs.push({ start, end, marker });
    };
    const sight = { bytes, text, base, from: settled, to, final };
    const until = credentials?.find(sight, memory, cover) ?? to;
    persons?.({ ...sight, to: until }, cover);
    // In order; of two that begin at one place, the longer.
    if (!isInOrder) runs.sort((a, b) => a.start - b.start || b.end - a.end);
    let shown = '';
    let at = Math.max(settled, Math.min(open, until));
    let done = 0;
    for (const { start, end, marker } of runs) {
      if (start >= until) break;
      done++;
      if (end <= open) continue;
      // What touches or overlaps the one before it has its marker.
      if (start > open || open === 0) shown += text.slice(at, start) + marker;
      open = end;
      at = Math.min(open, until);
    }
    const out =
      shown === ''
        ? Buffer.from(bytes.subarray(at, until))
        : Buffer.from(shown + text.slice(at, until), 'latin1');
    enough = until < to ? bytes.length + (bytes.length - until) / 8 : 0;
    const drop = Math.max(0, until - CONTEXT);
    enough -= drop;
    window.drop(drop);
    base += drop;
    settled = until - drop;
    line = Math.max(0, line - drop);
    open = Math.max(0, open - drop);
    later = runs.slice(done).map((run) => ({ ...run, start: run.start - drop, end: run.end - drop }));
    return out;
  };

  const take = (chunk: Buffer): Buffer => {
    if (chunk.length === 0) return chunk;
    const known = window.length();
    window.append(chunk);
    const length = known + chunk.length;
    const end = chunk.lastIndexOf(LINE_FEED) + 1;
    if (end > 0) {
      line = known + end;
      waits = false;
    }
    // What has no end of line in sight goes in pieces, so that none is looked at again and again.
    const piece = length - settled >= 2 * REACH ? length - REACH : 0;
    if (length < enough) return NOTHING;
    const to = Math.max(line, piece, shownEarly(Math.max(line, settled)));
    return to <= settled ? NOTHING : settle(to, false);
  };

  /** A line that has not ended is shown as far as nothing in it can be, or become, part of a match. */
  const shownEarly = (from: number): number => {
    if (waits || persons !== undefined || credentials === undefined) return 0;
    const bytes = window.bytes();
    const { keywords } = credentials;
    const held = bytes.length - keywords.heldAt(bytes);
    const hits = keywords.scan(bytes, from, bytes.length);
    waits = hits.count() > 0;
    return waits ? Math.min(held, hits.startOf(0)) : held;
  };

  return {
    push: (chunk) => take(masker.push(chunk)),
    end() {
      window.append(masker.end());
      return settle(window.length(), true);
    },
  };
}

const LINE_FEED = 0x0a;
const NOTHING = Buffer.alloc(0);
