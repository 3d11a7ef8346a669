import { AxError } from '../errors.ts';
import { createSteps } from '../output/steps.ts';
import { requireReaders } from '../runtime/reencrypt.ts';
import { beginRotation, finishRotation, type RotationEdge } from '../runtime/rotate.ts';
import { isExpired } from '../security/expiry.ts';
import type { Database } from '../store/database.ts';
import { activeKey, provePassphrase, requireKey, requireUnexpired } from '../store/keyring.ts';
import { readersOf } from '../store/receipt-keys.ts';
import { countByKey, kidsBeside } from '../store/receipts.ts';
import { currentRotation, type Rotation } from '../store/rotation.ts';
import { registerStore } from '../store/store-register.ts';
import type { KeyOptions } from './keys.ts';
import { createKey, readKeyring } from './keys-access.ts';
import { type Session, withStore } from './session.ts';

export interface RotateOptions extends KeyOptions {
  readonly reencrypt?: boolean;
  readonly catchUp?: boolean;
  readonly without?: readonly string[];
}

export interface RotateRequest extends RotateOptions {
  /** Of a key that is made; milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
}

/**
 * First the new key, durably; then the store, in batches. A rotation that was cut short is in the store's journal: the
 * next one finishes it, and makes no further key.
 */
export async function rotateReceiptKey(session: Session, options: RotateRequest): Promise<number> {
  const { output, context, home } = session;
  provePassphrase(readKeyring(session));
  const steps = await createSteps(context, output);
  const { state, rotation, moved } = await withStore(session, (database) => {
    const edge = { context, database, keyring: () => readKeyring(session) };
    // Receipts that are sealed to the new key are here from now on.
    registerStore(home.storesDir, database.directory, context.actor.uid);
    const begun = begin(session, edge, options);
    const done = finishRotation(edge, ({ kind, done: count, total }) =>
      steps.update(`${WORDS[kind].doing} receipts: ${count} of ${Math.max(count, total)}`),
    );
    return { ...begun, moved: done };
  });
  steps.done();
  const counts = Object.entries(moved).filter(([kind, count]) => kind === rotation.kind || count > 0);
  const did = counts.map(([kind, count]) => `${count} receipt(s) ${WORDS[kind as Rotation['kind']].done}`);
  const label = state === 'kept' ? output.style.dim(state) : output.style.green(state);
  output.line(`${label}  receipt key ${rotation.kid}; ${did.join(', ')}`);
  for (const kid of rotation.leftOut) output.line(`     ${kid} is left out`);
  output.note(
    'The old key stays in the keyring for receipts elsewhere; when there are none: ax keys remove. Whoever',
  );
  output.note(
    'has copied it and an old copy of the store can still read those receipts: rotation protects what is',
  );
  output.note('written from now on.');
  output.document({
    schema: 'ax.keys.rotate/1',
    role: 'receipt',
    kid: rotation.kid,
    kind: rotation.kind,
    rewrapped: moved.rewrap,
    reencrypted: moved.reencrypt,
    leftOut: rotation.leftOut,
    resumed: state === 'finished',
  });
  return 0;
}

const WORDS: Readonly<Record<Rotation['kind'], { doing: string; done: string }>> = {
  rewrap: { doing: 're-wrapping', done: 're-wrapped' },
  reencrypt: { doing: 're-encrypting', done: 're-encrypted' },
};

/** Makes the key, unless there is one to go on with, and enters the rotation into the journal. */
function begin(
  session: Session,
  edge: RotationEdge,
  options: RotateRequest,
): { state: 'new' | 'finished' | 'kept'; rotation: Rotation } {
  const { context, database, keyring } = edge;
  const kind = options.reencrypt === true ? 'reencrypt' : 'rewrap';
  const before = database.read(() => currentRotation(database));
  const leftOut = leftOutOf(database, options.without ?? []);
  if (kind === 'reencrypt' || before?.kind === 'reencrypt') {
    const keys = keyring();
    const kids = keys.filter(({ role }) => role === 'receipt').map(({ kid }) => kid);
    const readers = readersOf(context, keys, [...(before?.leftOut ?? []), ...leftOut]);
    requireReaders(
      database.read(() => kidsBeside(database, kids)),
      readers,
    );
  }
  // A re-encryption takes over from a re-wrapping, which has promised less.
  const resumed = before !== null && (before.kind === 'reencrypt' || kind === 'rewrap');
  if (options.catchUp === true) requireUnexpired(requireKey(keyring(), 'receipt'), context.now());
  const active = activeKey(keyring(), 'receipt');
  const usable = active !== undefined && !isExpired(active, context.now());
  const goOn = options.catchUp === true || (resumed && usable);
  for (;;) {
    if (!goOn)
      createKey(session, database, { role: 'receipt', change: 'rotate', expiresAt: options.expiresAt });
    const rotation = beginRotation(edge, { kind, leftOut, madeKey: !goOn });
    if (rotation !== null) return { state: resumed ? 'finished' : goOn ? 'kept' : 'new', rotation };
  }
}

/** The readers that `--without` names by the beginnings of their kids. */
function leftOutOf(database: Database, prefixes: readonly string[]): string[] {
  const known = [...countByKey(database).keys()];
  return prefixes.map((prefix) => {
    const [kid, second] = known.filter((one) => prefix !== '' && one.startsWith(prefix));
    if (kid !== undefined && second === undefined) return kid;
    const found = kid === undefined ? 'none' : 'several';
    throw new AxError(
      'KEY_UNKNOWN',
      `--without: expected one key that receipts of this store are sealed to and that begins with "${prefix.slice(0, 80)}", found ${found}`,
      { hint: 'ax receipts show <id> lists them' },
    );
  });
}
