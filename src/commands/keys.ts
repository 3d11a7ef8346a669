import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { table } from '../output/table.ts';
import { parseDuration } from '../security/duration.ts';
import { describeExpiry, isExpired, toNumericDate } from '../security/expiry.ts';
import type { JsonValue } from '../security/json.ts';
import type { KeyRole } from '../store/key-file.ts';
import { isOfAnotherHost, type KeyEntry, newestKey, renewal } from '../store/keyring.ts';
import { countByKey } from '../store/receipts.ts';
import { revokedMember } from '../store/revoked-jwk.ts';
import {
  createKey,
  readKeyring,
  requireRoomForRecipient,
  type SigningAlgorithm,
  unlockKeyring,
} from './keys-access.ts';
import { type GlobalOptions, openSession, type Session, withExistingStore, withStore } from './session.ts';

const ENCRYPTION_ROLES: readonly KeyRole[] = ['receipt', 'recipient'];
const DAY_MS = 24 * 60 * 60 * 1000;
const MAX_EXPIRES_DAYS = 3650;
/** How long before its end a key is warned about. */
const SOON_DAYS = 14;

export interface KeyOptions extends GlobalOptions {
  readonly role?: KeyRole;
  readonly algorithm?: SigningAlgorithm;
  readonly expires?: string;
}

/** `ax keys list`: never the private parts. */
export async function listCommand(context: Context, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  const keyring = readKeyring(session);
  const opens = await withExistingStore(session, new Map<string, number>(), countByKey);
  const { output } = session;
  const rows = keyring.map((entry) => ({
    kid: entry.kid,
    role: entry.role,
    algorithm: entry.algorithm,
    state: entry.state,
    createdAt: new Date(entry.createdAt).toISOString(),
    expiresAt: entry.expiresAt === undefined ? null : new Date(entry.expiresAt).toISOString(),
    ageDays: Math.max(0, Math.floor((context.now() - entry.createdAt) / DAY_MS)),
    dueAt: new Date(entry.createdAt + dueAfterDays(session, entry.role) * DAY_MS).toISOString(),
    revokedAt: entry.revocation === null ? null : new Date(entry.revocation.at).toISOString(),
    revokedReason: entry.revocation?.reason ?? null,
    receipts: opens.get(entry.kid) ?? 0,
    private: entry.hasPrivatePart,
    protected: entry.protection !== null,
  }));
  output.line(
    table(
      ['KID', 'ROLE', 'ALGORITHM', 'STATE', 'AGE', 'DUE', 'EXPIRES', 'RECEIPTS'],
      rows.map((row) => [
        row.kid,
        row.role,
        row.private ? row.algorithm : `${row.algorithm} (${row.role === 'signing' ? 'ssh-agent' : 'public'})`,
        row.state,
        `${row.ageDays} d`,
        isDue(row) ? row.dueAt.slice(0, 10) : '',
        row.expiresAt?.slice(0, 10) ?? '',
        ENCRYPTION_ROLES.includes(row.role) ? String(row.receipts) : '',
      ]),
      output.style,
    ),
  );
  const secrets = rows.filter((row) => row.private);
  const open = secrets.filter((row) => !row.protected);
  if (open.length > 0 && open.length < secrets.length) {
    output.warn(`${open.length} of ${secrets.length} private keys are not protected: ax keys protect`);
  }
  for (const entry of keyring) warnOfExpiry(session, entry);
  const overdue = rows.filter((row) => isDue(row) && Date.parse(row.dueAt) <= context.now());
  for (const row of overdue) output.warn(overdueText(row));
  output.document({ schema: 'ax.keys.list/1', keys: rows });
  return 0;
}

/** Whether its due date says anything here: what another host does with its key does not show. */
function isDue({ state, role, private: hasPrivatePart }: { state: string; role: KeyRole; private: boolean }) {
  return state === 'active' && !isOfAnotherHost({ role, hasPrivatePart });
}

/** Of a key that is in use; what has taken over from another says nothing of that one's end. */
function warnOfExpiry({ context, output }: Session, entry: KeyEntry): void {
  const { role, kid, state, expiresAt } = entry;
  if (state !== 'active' || expiresAt === undefined || isOfAnotherHost(entry)) return;
  const what = role === 'recipient' ? `the recipient ${kid}` : `the ${role} key`;
  if (isExpired(entry, context.now())) output.warn(`${what} ${describeExpiry(entry)}: ${renewal(role)}`);
  else if (expiresAt - context.now() <= SOON_DAYS * DAY_MS) {
    output.warn(`${what} expires at ${new Date(expiresAt).toISOString()}: ${renewal(role)}`);
  }
}

/** A preference: it can only warn. */
function dueAfterDays({ settings }: Session, role: KeyRole): number {
  return Number(
    role === 'signing' || role === 'approval' ? settings.signingKeyDays : settings.receiptKeyDays,
  );
}

/**
 * What is due at a recipient is its reader's to do; another machine has the key perhaps. A rotation would put a key of
 * the keyring in the place of one that was kept out of it.
 */
function overdueText({
  role,
  kid,
  private: isHere,
}: {
  role: KeyRole;
  kid: string;
  private: boolean;
}): string {
  if (role === 'signing' && !isHere) {
    return `the signing key is due: make another (ssh-keygen -t ed25519), then ax keys import <file>.pub`;
  }
  return `the ${role === 'recipient' ? `recipient ${kid}` : `${role} key`} is due: ${renewal(role)}`;
}

/** `ax keys generate`: the first key of a role; the next one is a rotation. Recipients may be several. */
export async function generateCommand(context: Context, options: KeyOptions): Promise<number> {
  const session = await openSession(context, options);
  const role = options.role ?? 'signing';
  const expiresAt = parseExpires(context, options.expires);
  await unlockKeyring(session);
  const keyring = readKeyring(session);
  const existing = newestKey(keyring, role);
  if (role === 'recipient') requireRoomForRecipient(keyring);
  else if (existing !== undefined) {
    throw new AxError('USAGE', `the keyring has a ${role} key already: ${existing.kid}`, {
      hint: `ax keys rotate --role ${role}`,
    });
  }
  const key = await withStore(session, (database) =>
    createKey(session, database, {
      role,
      algorithm: algorithmFor(role, options),
      change: 'generate',
      expiresAt,
    }),
  );
  return reportKey(session, 'made', key);
}

/** `ax keys export [kid]`: the public key, for someone else's trust. */
export async function exportCommand(
  context: Context,
  kid: string | undefined,
  options: KeyOptions,
): Promise<number> {
  const session = await openSession(context, options);
  const keyring = readKeyring(session);
  const role = options.role ?? 'signing';
  const entry = onlyOne(
    keyring.filter((candidate) =>
      kid === undefined
        ? candidate.role === role && candidate.state === 'active' && !isOfAnotherHost(candidate)
        : candidate.kid.startsWith(kid),
    ),
  );
  if (entry === undefined)
    throw new AxError('KEY_UNKNOWN', 'expected one key of the keyring, found none or several', {
      hint: 'ax keys list',
    });
  context.stdout.write(`${JSON.stringify(publicPart(entry))}\n`);
  return 0;
}

/** With its times and what has become of it, in the members that OpenID Federation 1.0 section 8.7 has for them. */
function publicPart({ publicJwk, kid, algorithm, createdAt, expiresAt, revocation }: KeyEntry): JsonValue {
  if (publicJwk !== null) {
    const exp = expiresAt === undefined ? {} : { exp: toNumericDate(expiresAt) };
    const revoked = revocation === null ? {} : { revoked: revokedMember(revocation) };
    return { ...publicJwk, iat: toNumericDate(createdAt), ...exp, ...revoked };
  }
  throw new AxError('KEY_UNKNOWN', `key ${kid} is a shared secret (${algorithm}): it has no public part`, {
    hint: 'hand a shared secret over by a channel of your own, never by this command',
  });
}

/** What a prefix names: nothing when it could be this or that. */
function onlyOne(entries: readonly KeyEntry[]): KeyEntry | undefined {
  return entries.length === 1 ? entries[0] : undefined;
}

/** Whole seconds, as a JWK has them: the key ends everywhere at the same moment. */
export function parseExpires(context: Context, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= 1000 && ms <= MAX_EXPIRES_DAYS * DAY_MS) {
    return Math.floor((context.now() + ms) / 1000) * 1000;
  }
  throw new AxError(
    'USAGE',
    `--expires: expected a duration from 1s to ${MAX_EXPIRES_DAYS}d, found "${text.slice(0, 80)}"`,
    { hint: '--expires 90d' },
  );
}

function algorithmFor(role: KeyRole, options: KeyOptions): SigningAlgorithm {
  if (role !== 'signing' && options.algorithm !== undefined) {
    throw new AxError('USAGE', `--algorithm is for signing keys, not for ${role} keys`, {
      hint: `ax keys generate --role ${role}`,
    });
  }
  return options.algorithm ?? 'ed25519';
}

/** What a command says of one key that it has made. */
export function reportKey({ output }: Session, verb: string, key: KeyEntry): number {
  output.line(`${output.style.green(verb)}  ${key.role} key ${key.kid} (${key.algorithm})`);
  output.document({ schema: 'ax.keys.generate/1', kid: key.kid, role: key.role, algorithm: key.algorithm });
  return 0;
}
