import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import type { KeyRole } from '../store/key-file.ts';
import { newestKey } from '../store/keyring.ts';
import { parseExpires, reportKey } from './keys.ts';
import { createKey, readKeyring, unlockKeyring, verificationKey } from './keys-access.ts';
import { type RotateOptions, type RotateRequest, rotateReceiptKey } from './keys-rotate-receipts.ts';
import { trustWithRecord } from './lock.ts';
import { openSession, type Session, withStore } from './session.ts';

/** `ax keys rotate`: a new key for a role; for the receipt key, every receipt of this store goes under the new one. */
export async function rotateCommand(context: Context, options: RotateOptions): Promise<number> {
  const session = await openSession(context, options);
  const role = options.role ?? 'receipt';
  const expiresAt = parseExpires(context, options.expires);
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
      return rotateReceiptKey(session, { ...options, expiresAt });
    case 'signing':
      return rotateSigningKey(session, { ...options, expiresAt });
    case 'approval':
    case 'host': {
      const key = await withStore(session, (database) =>
        createKey(session, database, { role, change: 'rotate', expiresAt }),
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

async function rotateSigningKey(session: Session, options: RotateRequest): Promise<number> {
  const { output, context, home } = session;
  const old = newestKey(readKeyring(session), 'signing');
  const algorithm = options.algorithm ?? (old?.algorithm === 'HS256' ? 'hmac' : 'ed25519');
  const key = await withStore(session, (database) =>
    createKey(session, database, {
      role: 'signing',
      algorithm,
      change: 'rotate',
      expiresAt: options.expiresAt,
    }),
  );
  const signer = verificationKey(key);
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
