import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { approvalKeys } from '../manifest/trust.ts';
import { loadTrust } from '../manifest/trust-file.ts';
import { parseX25519Recipient } from '../security/encryption-keys.ts';
import { decodeUtf8, type JsonValue, parseJson } from '../security/json.ts';
import { type Ed25519PublicJwk, parseJwk, publicJwk, type X25519PublicJwk } from '../security/jwk.ts';
import { type Ed25519VerificationKey, parseVerificationKey } from '../security/signing-keys.ts';
import { activeKey, type Keyring } from '../store/keyring.ts';
import { isMarkedRevoked, parseRevokedJwk } from '../store/revoked-jwk.ts';
import {
  endOfKey,
  keepKey,
  readKeyring,
  readRevocations,
  requireRoomForHost,
  requireRoomForRecipient,
} from './keys-access.ts';
import { importSigningKey, parseSshFile } from './keys-import-ssh.ts';
import { readNamedFile } from './named-file.ts';
import { type GlobalOptions, openSession, type Session, withStore } from './session.ts';

export interface ImportOptions extends GlobalOptions {
  readonly role?: 'recipient' | 'host';
}

/**
 * `ax keys import <file>`: a key of SSH to sign with, a reader's public key, which receipts are sealed to from now on,
 * or that of another host, whose receipts are verified with it. Of readers and hosts public keys alone: a private one
 * that comes along by mistake would let this machine read what it is only meant to write, or pass for another.
 */
export async function importCommand(context: Context, file: string, options: ImportOptions): Promise<number> {
  const session = await openSession(context, options);
  const bytes = readNamedFile(context, file);
  const sshKey = parseSshFile(session, { file, bytes });
  if (sshKey !== null) {
    if (options.role === undefined) return importSigningKey(session, sshKey);
    throw new AxError('USAGE', `${file}: expected a JWK with --role ${options.role}, found a key of SSH`, {
      hint: `a key of SSH is one to sign with: ax keys import ${file}`,
    });
  }
  const jwk = parseJson(decodeUtf8(bytes, file), file);
  const role = options.role ?? roleOf(jwk, file);
  return role === 'host' ? importHost(session, { jwk, file }) : importRecipient(session, { jwk, file });
}

interface Imported {
  readonly jwk: JsonValue;
  readonly file: string;
}

/** @throws IO, JSON_MALFORMED */
export function readJwk(context: Context, file: string): JsonValue {
  return parseJson(decodeUtf8(readNamedFile(context, file), file), file);
}

/** A public Ed25519 key does not say whose it is, and what follows from it is another thing each time. */
function roleOf(jwk: JsonValue, file: string): 'recipient' {
  const key = parseJwk(jwk, file);
  if (key.algorithm !== 'Ed25519' || key.d !== undefined) return 'recipient';
  throw new AxError(
    'USAGE',
    `${file}: expected --role with an Ed25519 key, which may be a host's or a signer's`,
    {
      hint: `to verify a host's receipts: --role host; to trust who signs manifests: ax trust add <project> ${file}`,
    },
  );
}

async function importRecipient(session: Session, { jwk, file }: Imported): Promise<number> {
  const { output } = session;
  const recipient = parseX25519Recipient(jwk, file);
  const { kid } = recipient;
  const keyring = readKeyring(session);
  // Perhaps with its private part: that is not replaced.
  const made = !keyring.some((entry) => entry.kid === kid);
  if (made) {
    const ended = endOfKey(session, recipient);
    if (ended !== null) throw ended;
    requireRoomForRecipient(keyring);
    await keep(session, { role: 'recipient', jwk: publicJwk(recipient), expiresAt: recipient.expiresAt });
  }
  output.line(
    `${made ? output.style.green('imported') : output.style.dim('kept')}  recipient ${kid} (X25519, public)`,
  );
  if (activeKey(keyring, 'receipt') !== undefined) {
    output.note(
      'Receipts are sealed to the receipt key of this keyring as well, so they can be read here too.',
    );
  }
  return report(session, { kid, role: 'recipient', algorithm: 'X25519', made });
}

/** A key that has expired is taken too: it verifies what the audit log has from before its end. */
async function importHost(session: Session, { jwk, file }: Imported): Promise<number> {
  const { output } = session;
  const key = parseVerificationKey(withoutKnownMark(session, { jwk, file }), file);
  if (key.algorithm !== 'Ed25519') {
    throw new AxError('KEY_MALFORMED', `${file}: expected the Ed25519 key of a host, found a shared secret`, {
      hint: 'export it on that host: ax keys export --role host',
    });
  }
  const { kid } = key;
  const keyring = readKeyring(session);
  refuseSigner(session, { keyring, key, file });
  const made = !keyring.some((entry) => entry.kid === kid);
  if (made) {
    requireRoomForHost(keyring);
    await keep(session, { role: 'host', jwk: publicJwk(key), expiresAt: key.expiresAt });
  }
  output.line(
    `${made ? output.style.green('imported') : output.style.dim('kept')}  host key ${kid} (Ed25519, public)`,
  );
  if (made) output.note('What it signed counts as a receipt here. Compare the kid with who runs that host.');
  return report(session, { kid, role: 'host', algorithm: 'Ed25519', made });
}

/**
 * A revoked host key still verifies what is from before its revocation; but only once that is recorded here, or it
 * would count as one that is good.
 */
function withoutKnownMark(session: Session, { jwk, file }: Imported): unknown {
  if (!isMarkedRevoked(jwk)) return jwk;
  const { kid } = parseRevokedJwk(jwk, file);
  if (!readRevocations(session).has(kid)) {
    throw new AxError(
      'KEY_REVOKED',
      `${file}: the key ${kid} is marked as revoked, and is not revoked here`,
      {
        hint: `ax keys revoke --import ${file}, then the same command again`,
      },
    );
  }
  const { revoked: _, ...rest } = jwk;
  return rest;
}

/** `ax keys export` without a role prints the signing key, which signs no receipts: likely a slip. */
function refuseSigner(
  session: Session,
  { keyring, key, file }: { keyring: Keyring; key: Ed25519VerificationKey; file: string },
): void {
  const isSigner = [
    ...keyring.filter(({ role }) => role === 'signing' || role === 'approval'),
    ...[...loadTrust(session.context, session.home).values()].flatMap(approvalKeys),
  ].some(({ kid }) => kid === key.kid);
  if (!isSigner) return;
  throw new AxError('USAGE', `${file}: expected the key of a host, found ${key.kid}, which signs manifests`, {
    hint: 'export the other one on that host: ax keys export --role host',
  });
}

/** The end of a key is its file's to say, and the JWK in it has none. */
async function keep(
  session: Session,
  key: { role: 'recipient' | 'host'; jwk: Ed25519PublicJwk | X25519PublicJwk; expiresAt: number | undefined },
): Promise<void> {
  const { exp: _, ...jwk } = key.jwk;
  await withStore(session, (database) => keepKey(session, database, { ...key, jwk, change: 'import' }));
}

function report(
  session: Session,
  { made, ...about }: { kid: string; role: string; algorithm: string; made: boolean },
): number {
  session.output.document({
    schema: 'ax.keys.import/1',
    ...about,
    private: readKeyring(session).some((entry) => entry.kid === about.kid && entry.hasPrivatePart),
    state: made ? 'made' : 'kept',
  });
  return 0;
}
