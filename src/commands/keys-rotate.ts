import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import { createSteps } from '../output/steps.ts';
import { requireReaders } from '../runtime/reencrypt.ts';
import { beginRotation, finishRotation, type RotationEdge } from '../runtime/rotate.ts';
import { parseSigningKey } from '../security/signing-keys.ts';
import type { Database } from '../store/database.ts';
import type { KeyRole } from '../store/key-file.ts';
import { activeKey, newestKey, requireKey } from '../store/keyring.ts';
import { readersOf } from '../store/receipt-keys.ts';
import { countByKey, kidsBeside } from '../store/receipts.ts';
import { currentRotation, type Rotation } from '../store/rotation.ts';
import { type KeyOptions, reportKey } from './keys.ts';
import { createKey, readKeyring, unlockKeyring } from './keys-access.ts';
import { trustWithRecord } from './lock.ts';
import { openSession, type Session, withStore } from './session.ts';

export interface RotateOptions extends KeyOptions {
  readonly reencrypt?: boolean;
  readonly catchUp?: boolean;
  readonly without?: readonly string[];
}

/** `ax keys rotate`: a new key for a role; for the receipt key, every receipt of this store goes under the new one. */
export async function rotateCommand(context: Context, options: RotateOptions): Promise<number> {
  const session = await openSession(context, options);
  const role = options.role ?? 'receipt';
  if (role === 'recipient') {
    throw new AxError(
      'USAGE',
      'recipients do not take over from each other: add the new one beside the old one',
      {
        hint: 'ax keys generate --role recipient, or ax keys import <file>',
      },
    );
  }
  requireFitting(role, options);
  if (newestKey(readKeyring(session), role) === undefined) {
    throw new AxError('KEY_UNKNOWN', `no ${role} key in the keyring to rotate`, {
      hint: `ax keys generate --role ${role}`,
    });
  }
  await unlockKeyring(session);
  switch (role) {
    case 'receipt':
      return rotateReceiptKey(session, options);
    case 'signing':
      return rotateSigningKey(session, options);
    case 'host': {
      const key = await withStore(session, (database) =>
        createKey(session, database, { role, change: 'rotate' }),
      );
      return reportKey(session, 'new', key);
    }
  }
}

function requireFitting(role: KeyRole, { reencrypt, catchUp, without }: RotateOptions): void {
  if (role !== 'receipt' && (reencrypt === true || catchUp === true || without !== undefined)) {
    throw new AxError(
      'USAGE',
      `--reencrypt, --catch-up and --without are for the receipt key, not for ${role} keys`,
      {
        hint: `ax keys rotate --role ${role}`,
      },
    );
  }
  if (without !== undefined && reencrypt !== true) {
    throw new AxError('USAGE', '--without: only a re-encryption takes readers out', {
      hint: 'ax keys rotate --reencrypt --without <kid>',
    });
  }
}

/**
 * First the new key, durably; then the store, in batches. A rotation that was cut short is in the store's journal: the
 * next one finishes it, and makes no further key.
 */
async function rotateReceiptKey(session: Session, options: RotateOptions): Promise<number> {
  const { output, context } = session;
  const steps = await createSteps(context, output);
  const { state, rotation, moved } = await withStore(session, (database) => {
    const edge = { context, database, keyring: () => readKeyring(session) };
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
    'The old key stays in the keyring for receipts elsewhere. Whoever has copied it and an old copy of the',
  );
  output.note('store can still read those receipts: rotation protects what is written from now on.');
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
  options: RotateOptions,
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
  if (options.catchUp === true) requireKey(keyring(), 'receipt');
  const goOn = options.catchUp === true || (resumed && activeKey(keyring(), 'receipt') !== undefined);
  for (;;) {
    if (!goOn) createKey(session, database, { role: 'receipt', change: 'rotate' });
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

async function rotateSigningKey(session: Session, options: RotateOptions): Promise<number> {
  const { output, context, home } = session;
  const old = newestKey(readKeyring(session), 'signing');
  const algorithm = options.algorithm ?? (old?.algorithm === 'HS256' ? 'hmac' : 'ed25519');
  const key = await withStore(session, (database) =>
    createKey(session, database, { role: 'signing', algorithm, change: 'rotate' }),
  );
  const signer = parseSigningKey(key.jwk, key.kid);
  const joined: string[] = [];
  const left: string[] = [];
  if (context.env.AX_TRUST === undefined) {
    for (const [project, entry] of loadTrust(context, home)) {
      if (!entry.keys.some((trusted) => trusted.kid === old?.kid)) continue;
      // Above 1, old and new key in one hand would count as two people.
      if (entry.threshold > 1) {
        left.push(project);
        continue;
      }
      const trust = new Map(loadTrust(context, home)).set(project, {
        ...entry,
        keys: [...entry.keys, signer],
      });
      await trustWithRecord(session, trust, { change: 'add', project, kid: key.kid, threshold: 1 });
      joined.push(project);
    }
  }
  output.line(`${output.style.green('new')}  signing key ${key.kid}`);
  for (const project of joined) output.line(`     trusted for ${project}, beside the old one`);
  for (const project of left) {
    output.warn(
      `${project} wants several signers: replace the old key with ax trust remove and ax trust add`,
    );
  }
  output.note('What the old key signed still verifies. Sign ax.lock with the new one: ax sign');
  output.document({
    schema: 'ax.keys.rotate/1',
    role: 'signing',
    kid: key.kid,
    trustedFor: joined,
    resign: true,
  });
  return 0;
}
