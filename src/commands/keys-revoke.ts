import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import { appendAudit } from '../store/audit.ts';
import type { KeyRole } from '../store/key-file.ts';
import { isReason, revokeKey } from '../store/revocations.ts';
import { readKeyring, readRevocations } from './keys-access.ts';
import { requireYes } from './require-yes.ts';
import { type GlobalOptions, openSession, type Session, withStore } from './session.ts';

export interface RevokeOptions extends GlobalOptions {
  readonly reason?: string;
  readonly yes?: boolean;
}

/** `ax keys revoke <kid>`: a key of this keyring, or one that is trusted here, counts no more. */
export async function revokeCommand(context: Context, kid: string, options: RevokeOptions): Promise<number> {
  const session = await openSession(context, options);
  const { output, home } = session;
  const reason = parseReason(options.reason);
  const key = findKey(session, kid);
  const known = readRevocations(session).get(key.kid);
  if (known === undefined) {
    output.note(`${key.role} key ${key.kid}: ${CONSEQUENCE[key.role]}`);
    await requireYes(session, {
      text: 'Revoke it? That cannot be taken back.',
      yes: options.yes === true,
      hint: `ax keys revoke ${key.kid} --yes`,
      otherwise: 'nothing was revoked',
    });
  }
  const revocation = known ?? { at: context.now(), reason };
  if (known === undefined) {
    await withStore(session, (database) =>
      revokeKey(home.keysDir, { kid: key.kid, revocation, uid: context.actor.uid }, () =>
        database.write(() =>
          appendAudit(database, context.now(), {
            type: 'key.change',
            runId: null,
            actor: context.actor,
            data: { change: 'revoke', role: key.role, kid: key.kid, ...(reason === null ? {} : { reason }) },
          }),
        ),
      ),
    );
  }
  const { style } = output;
  const at = new Date(revocation.at).toISOString();
  output.line(
    `${known === undefined ? style.green('revoked') : style.dim('kept')}  ${key.role} key ${key.kid}`,
  );
  if (known !== undefined) output.note(`It was revoked before, at ${at}; that stays as it is.`);
  output.document({
    schema: 'ax.keys.revoke/1',
    kid: key.kid,
    role: key.role,
    revokedAt: at,
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

function findKey(session: Session, prefix: string): { kid: string; role: KeyRole } {
  const found = new Map<string, KeyRole>(readKeyring(session).map(({ kid, role }) => [kid, role]));
  const trust = [...loadTrust(session.context, session.home).values()];
  const add = (role: KeyRole, keys: readonly { kid: string }[]) => {
    for (const { kid } of keys) if (!found.has(kid)) found.set(kid, role);
  };
  // A key that signs for one project and approves for another is one that signs.
  for (const { keys } of trust) add('signing', keys);
  for (const { approvers } of trust) add('approval', approvers);
  const [match, second] = [...found].filter(([kid]) => prefix !== '' && kid.startsWith(prefix));
  if (match !== undefined && second === undefined) return { kid: match[0], role: match[1] };
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
