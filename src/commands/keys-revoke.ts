import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import { visible } from '../output/escape.ts';
import { appendAudit } from '../store/audit.ts';
import type { KeyRole } from '../store/key-file.ts';
import { isOfAnotherHost } from '../store/keyring.ts';
import { describeRevocation, isReason, type Revocation, revokeKey } from '../store/revocations.ts';
import { parseRevokedJwk } from '../store/revoked-jwk.ts';
import { readKeyring, readRevocations } from './keys-access.ts';
import { readJwk } from './keys-import.ts';
import { requireYes } from './require-yes.ts';
import { type GlobalOptions, openSession, type Session, withStore } from './session.ts';

export interface RevokeOptions extends GlobalOptions {
  readonly reason?: string;
  readonly import?: string;
  readonly yes?: boolean;
}

/** What is to be revoked. */
interface Target {
  readonly kid: string;
  readonly role: KeyRole;
  /** A host key with the public part alone. */
  readonly otherHost: boolean;
  /** What another machine said of it; null where the user alone says so. */
  readonly stated: Revocation | null;
}

/**
 * `ax keys revoke <kid>`: a key of this keyring, or one that is trusted here, counts no more. With --import, the one of
 * a JWK that is marked as revoked, whether it is known here or not: it may be trusted by AX_TRUST, or tomorrow.
 */
export async function revokeCommand(
  context: Context,
  kid: string | undefined,
  options: RevokeOptions,
): Promise<number> {
  const session = await openSession(context, options);
  const { output, home } = session;
  const reason = parseReason(options.reason);
  const key = targetOf(session, kid, options.import);
  const { role, stated } = key;
  const known = readRevocations(session).get(key.kid);
  if (known === undefined) {
    if (stated !== null) {
      output.note(
        `${visible(options.import ?? '')} says that it was ${describeRevocation(stated)}. Anybody can write such a file:`,
      );
      output.note('ask the owner of the key before you believe it.');
    }
    output.note(`${role} key ${key.kid}: ${consequenceOf(key)}`);
    await requireYes(session, {
      text: 'Revoke it? That cannot be taken back.',
      yes: options.yes === true,
      hint: `ax keys revoke ${stated === null ? key.kid : `--import ${options.import}`} --yes`,
      otherwise: 'nothing was revoked',
    });
  }
  const now = context.now();
  // A time that another machine states counts where it is earlier: a later one would be a thief's to use.
  const at = Math.min(now, stated?.at ?? now);
  const revocation = known ?? { at, reason: reason ?? stated?.reason ?? null };
  if (known === undefined) {
    await withStore(session, (database) =>
      revokeKey(home.keysDir, { kid: key.kid, revocation, uid: context.actor.uid }, () =>
        database.write(() =>
          appendAudit(database, now, {
            type: 'key.change',
            runId: null,
            actor: context.actor,
            data: {
              change: 'revoke',
              role,
              kid: key.kid,
              ...(revocation.reason === null ? {} : { reason: revocation.reason }),
              ...(stated === null ? {} : { statedAt: new Date(stated.at).toISOString() }),
            },
          }),
        ),
      ),
    );
  }
  const { style } = output;
  const revokedAt = new Date(revocation.at).toISOString();
  output.line(`${known === undefined ? style.green('revoked') : style.dim('kept')}  ${role} key ${key.kid}`);
  if (known !== undefined) output.note(`It was revoked before, at ${revokedAt}; that stays as it is.`);
  output.document({
    schema: 'ax.keys.revoke/1',
    kid: key.kid,
    role,
    revokedAt,
    reason: revocation.reason,
    state: known === undefined ? 'made' : 'kept',
  });
  return 0;
}

const CONSEQUENCE: Readonly<Record<KeyRole, string>> = {
  signing: 'nothing that it signed runs here any more, and no approval by it counts, whatever their dates',
  approval: 'no approval by it counts here any more, whatever its date',
  host: 'receipts that it signs from now on do not verify; the next run makes another',
  receipt: 'receipts are not sealed to it any more; those that are can still be opened with it',
  recipient: 'receipts are not sealed to it any more; those that are can still be opened with it',
};

function consequenceOf({ role, otherHost }: Target): string {
  return otherHost ? 'receipts that it signed after that do not verify' : CONSEQUENCE[role];
}

function targetOf(session: Session, kid: string | undefined, file: string | undefined): Target {
  const known = knownKeys(session);
  if (kid !== undefined && file === undefined) return { ...findKey(known, kid), stated: null };
  if (kid !== undefined || file === undefined) {
    throw new AxError('USAGE', 'expected either the beginning of a kid, or --import with a file', {
      hint: 'ax keys list',
    });
  }
  const { stated, algorithm, ...named } = parseRevokedJwk(readJwk(session.context, file), file);
  const role = algorithm === 'X25519' ? 'recipient' : 'signing';
  return { ...(known.find((one) => one.kid === named.kid) ?? { ...named, role, otherHost: false }), stated };
}

type KnownKey = Omit<Target, 'stated'>;

function knownKeys(session: Session): KnownKey[] {
  const ours = readKeyring(session).map((entry) => ({
    kid: entry.kid,
    role: entry.role,
    otherHost: isOfAnotherHost(entry),
  }));
  const trust = [...loadTrust(session.context, session.home).values()];
  const others = new Map<string, KnownKey>();
  for (const { kid } of trust.flatMap(({ approvers }) => approvers)) {
    others.set(kid, { kid, role: 'approval', otherHost: false });
  }
  // A key that signs for one project and approves for another is one that signs.
  for (const { kid } of trust.flatMap(({ keys }) => keys)) {
    others.set(kid, { kid, role: 'signing', otherHost: false });
  }
  for (const { kid } of ours) others.delete(kid);
  return [...ours, ...others.values()];
}

function findKey(known: readonly KnownKey[], prefix: string): KnownKey {
  const [match, second] = known.filter(({ kid }) => prefix !== '' && kid.startsWith(prefix));
  if (match !== undefined && second === undefined) return match;
  const many = match === undefined ? 'none' : 'several';
  throw new AxError(
    'KEY_UNKNOWN',
    `expected one key of the keyring or of trust that begins with "${prefix.slice(0, 80)}", found ${many}`,
    { hint: 'ax keys list, ax trust list' },
  );
}

function parseReason(text: string | undefined): string | null {
  if (text === undefined || isReason(text)) return text ?? null;
  throw new AxError('USAGE', '--reason: expected one line of up to 200 characters, found other text', {
    hint: 'ax keys revoke <kid> --reason "laptop stolen"',
  });
}
