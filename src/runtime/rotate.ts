import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { parseReceiptKey, type ReceiptKey } from '../security/encryption-keys.ts';
import { type JweRecipient, rewrap } from '../security/jwe.ts';
import { appendAudit } from '../store/audit.ts';
import type { Database } from '../store/database.ts';
import type { Keyring } from '../store/keyring.ts';
import { countUnder, replaceRecipient, wrappedUnder } from '../store/receipts.ts';
import { requireNotRemoved } from '../store/removed-keys.ts';
import {
  advanceRotation,
  currentRotation,
  endRotation,
  type Rotation,
  startRotation,
} from '../store/rotation.ts';
import { type Resealing, reencrypt, resealingKeys } from './reencrypt.ts';

export interface RotationEdge {
  readonly context: Context;
  readonly database: Database;
  /** The keyring as it is at the moment. */
  readonly keyring: () => Keyring;
}

/** Small enough that a run which wants to write in between waits some ten milliseconds, not seconds. */
const BATCH: Readonly<Record<Rotation['kind'], number>> = { rewrap: 1000, reencrypt: 100 };

export interface Asked extends Pick<Rotation, 'kind' | 'leftOut'> {
  /** A key was made for it, under which nothing is to be yet. */
  readonly madeKey: boolean;
}

/**
 * Enters a rotation to the active receipt key into the journal, or joins the one that is there. Which key that is, is
 * looked up under the write lock: of two rotations that have made a key each, both work for the newer one.
 *
 * @returns null when a key was made for a re-encryption, and another rotation has moved receipts to it unchanged
 *   already: then it takes another key
 * @throws KEY_UNKNOWN when no receipt key is active
 */
export function beginRotation(
  { context, database, keyring }: RotationEdge,
  { madeKey, ...asked }: Asked,
): Rotation | null {
  return database.write(() => {
    const { to, from } = keysOf(keyring(), null);
    if (madeKey && asked.kind === 'reencrypt' && countUnder(database, to.kid) > 0) return null;
    const before = currentRotation(database);
    // What one rotation has promised, another that takes over from it keeps.
    const kind = before?.kind === 'reencrypt' ? 'reencrypt' : asked.kind;
    const leftOut = [...new Set([...(before?.leftOut ?? []), ...asked.leftOut])];
    const total = from.reduce((sum, { kid }) => sum + countUnder(database, kid), 0);
    const rotation = { kind, kid: to.kid, startedAt: context.now(), total, done: 0, leftOut };
    if (before !== null && isSame(before, rotation)) return before;
    startRotation(database, rotation);
    record({ context, database }, 'begin', rotation);
    return rotation;
  });
}

function isSame(one: Rotation, other: Rotation): boolean {
  return one.kid === other.kid && one.kind === other.kind && String(one.leftOut) === String(other.leftOut);
}

export interface Moved {
  /** How many receipts this process has moved, by how. */
  readonly rewrap: number;
  readonly reencrypt: number;
}

/**
 * Works on the rotation that the journal has until it has none: receipts that an older receipt key of the keyring
 * opens go under the new one.
 *
 * Each batch is one transaction with its entry in the journal, and a receipt is either before or after its own: killed
 * at any moment, every receipt opens with the old key or the new one, and beginning and calling this again does the
 * rest. Both keys are in the keyring before the first batch. The last thing is to empty the database's own journal, so
 * that it does not keep what was replaced.
 *
 * @throws RECEIPT_TAMPERED when one does not open; its batch has not moved, those before it have
 * @throws KEY_UNKNOWN when a receipt is to be sealed to a reader whose key is not here, or a key was removed meanwhile
 * @throws STORE_BUSY when a reader keeps the database's journal from being emptied
 */
export function finishRotation(
  edge: RotationEdge,
  onProgress: (rotation: Rotation) => void = () => {},
): Moved {
  const { context, database } = edge;
  const moved = { rewrap: 0, reencrypt: 0 };
  let work: Work | null = null;
  for (;;) {
    const batch = database.write(() => {
      const rotation = currentRotation(database);
      if (rotation === null) return null;
      if (work === null || !isSame(work.rotation, rotation)) work = workOf(edge, rotation);
      const count = moveBatch(edge, work);
      if (count > 0) advanceRotation(database, count);
      return { ...work, rotation, count };
    });
    if (batch === null) return moved;
    const { rotation, count, from } = batch;
    if (count > 0) {
      moved[rotation.kind] += count;
      onProgress({ ...rotation, done: rotation.done + count });
      continue;
    }
    database.emptyJournal();
    database.write(() => {
      const last = currentRotation(database);
      if (last === null || !isSame(last, rotation) || from.some(({ kid }) => countUnder(database, kid) > 0))
        return;
      endRotation(database);
      record({ context, database }, 'end', last);
    });
  }
}

interface Keys {
  readonly to: ReceiptKey;
  /** Older ones alone: what a rotation to a newer key has moved stays there. */
  readonly from: readonly ReceiptKey[];
}

interface Work extends Keys {
  readonly rotation: Rotation;
  /** Of a re-encryption. */
  readonly resealing: Resealing | null;
}

function workOf({ context, keyring }: RotationEdge, rotation: Rotation): Work {
  const entries = keyring();
  const keys = keysOf(entries, rotation.kid);
  const { kind, leftOut } = rotation;
  const resealing = kind === 'reencrypt' ? resealingKeys(context, entries, { to: keys.to, leftOut }) : null;
  return { ...keys, rotation, resealing };
}

/** The keys of a rotation to this receipt key; with null, to the active one. */
function keysOf(keyring: Keyring, kid: string | null): Keys {
  const receiptKeys = keyring.filter(({ role }) => role === 'receipt');
  const to = receiptKeys.find((entry) => (kid === null ? entry.state === 'active' : entry.kid === kid));
  if (to === undefined) {
    throw new AxError('KEY_UNKNOWN', `expected the receipt key ${kid ?? 'that is active'}, found none`, {
      hint: 'ax keys rotate',
    });
  }
  const older = receiptKeys.filter(({ createdAt }) => createdAt < to.createdAt);
  return {
    to: parseReceiptKey(to.jwk, to.kid),
    from: older.map((entry) => parseReceiptKey(entry.jwk, entry.kid)),
  };
}

function moveBatch({ context, database }: RotationEdge, { rotation, to, from, resealing }: Work): number {
  const { key, wrapped } = firstUnder(database, from, BATCH[rotation.kind]);
  if (key === undefined) return 0;
  requireNotRemoved(database, [to.kid]);
  if (resealing !== null) {
    for (const { receiptId } of wrapped) reencrypt({ context, database }, receiptId, resealing);
    return wrapped.length;
  }
  const replacements = rewrap(
    wrapped.map(({ recipient }) => recipient),
    { from: key, to },
  );
  for (const [index, one] of wrapped.entries()) {
    replaceRecipient(database, one, replacements[index] as JweRecipient);
  }
  return wrapped.length;
}

/** The first of these keys that opens receipts, with up to `limit` of them. */
function firstUnder(database: Database, keys: readonly ReceiptKey[], limit: number) {
  for (const key of keys) {
    const wrapped = wrappedUnder(database, key.kid, limit);
    if (wrapped.length > 0) return { key, wrapped };
  }
  return { key: undefined, wrapped: [] };
}

function record(
  { context, database }: Pick<RotationEdge, 'context' | 'database'>,
  step: 'begin' | 'end',
  { kind, kid, total, done, leftOut }: Rotation,
): void {
  appendAudit(database, context.now(), {
    type: 'key.rotation',
    runId: null,
    actor: context.actor,
    data: {
      step,
      kind,
      kid,
      receipts: step === 'begin' ? total : done,
      ...(leftOut.length === 0 ? {} : { leftOut: [...leftOut] }),
    },
  });
}
