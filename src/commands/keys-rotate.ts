import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import { createSteps } from '../output/steps.ts';
import { parseReceiptKey } from '../security/encryption-keys.ts';
import { parseSigningKey } from '../security/signing-keys.ts';
import { activeKey, type KeyEntry, type Keyring, newestKey } from '../store/keyring.ts';
import { countByKey } from '../store/receipts.ts';
import { rewrapReceipts } from '../store/rotation.ts';
import { type KeyOptions, reportKey } from './keys.ts';
import { createKey, readKeyring, unlockKeyring } from './keys-access.ts';
import { trustWithRecord } from './lock.ts';
import { openSession, type Session, withStore } from './session.ts';

/** `ax keys rotate`: a new key for a role; for the receipt key, every receipt of this store is re-wrapped. */
export async function rotateCommand(context: Context, options: KeyOptions): Promise<number> {
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
  if (newestKey(readKeyring(session), role) === undefined) {
    throw new AxError('KEY_UNKNOWN', `no ${role} key in the keyring to rotate`, {
      hint: `ax keys generate --role ${role}`,
    });
  }
  await unlockKeyring(session);
  switch (role) {
    case 'receipt':
      return rotateReceiptKey(session);
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

/**
 * First the new key, durably; then the store, in batches. Killed in between, both keys are in the keyring and
 * every receipt opens. A rotation that had begun to move receipts is finished by the next one, which then makes
 * no further key.
 */
async function rotateReceiptKey(session: Session): Promise<number> {
  const { output, context } = session;
  const steps = await createSteps(context, output);
  const { key, rewrapped, resumed } = await withStore(session, (database) => {
    const before = readKeyring(session);
    const active = activeKey(before, 'receipt');
    const opens = countByKey(database);
    const unfinished =
      active !== undefined &&
      (opens.get(active.kid) ?? 0) > 0 &&
      superseded(before).some((k) => opens.has(k.kid));
    const current =
      unfinished && active !== undefined
        ? active
        : createKey(session, database, { role: 'receipt', change: 'rotate' });
    const to = parseReceiptKey(current.jwk, current.kid);
    // Older ones alone: another rotation may have made a newer key meanwhile, and what it has moved stays there.
    const from = readKeyring(session)
      .filter((entry) => entry.role === 'receipt' && entry.createdAt < current.createdAt)
      .map((entry) => parseReceiptKey(entry.jwk, entry.kid));
    const done = rewrapReceipts(database, {
      from,
      to,
      onProgress: (count, total) => steps.update(`re-wrapping receipts: ${count} of ${total}`),
    });
    return { key: current, rewrapped: done, resumed: unfinished };
  });
  steps.done();
  output.line(
    `${output.style.green(resumed ? 'finished' : 'new')}  receipt key ${key.kid}; ${rewrapped} receipt(s) re-wrapped`,
  );
  output.note(
    'The old key stays in the keyring for receipts elsewhere. Whoever has copied it and an old copy of the',
  );
  output.note('store can still read those receipts: rotation protects what is written from now on.');
  output.document({ schema: 'ax.keys.rotate/1', role: 'receipt', kid: key.kid, rewrapped, resumed });
  return 0;
}

/** Revoked ones too: what is sealed to them is to move all the more. */
function superseded(keyring: Keyring): KeyEntry[] {
  return keyring.filter((entry) => entry.role === 'receipt' && entry.state !== 'active');
}

async function rotateSigningKey(session: Session, options: KeyOptions): Promise<number> {
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
