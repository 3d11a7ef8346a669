import { resolve } from 'node:path';
import { AxError } from '../errors.ts';
import { publicJwk } from '../security/jwk.ts';
import { isPrivatePem, parseOpensshPrivateKey } from '../security/openssh-key.ts';
import { isSshPublicKeyText, parseSshPublicKey, sshFingerprint } from '../security/ssh-public-key.ts';
import { readPrivateFile } from '../store/files.ts';
import { activeKey, type KeyEntry } from '../store/keyring.ts';
import { endOfKey, keepKey, readKeyring, unlockKeyring } from './keys-access.ts';
import { type Session, withStore } from './session.ts';

/** What `ax keys import` found in a file of SSH: a JWK with a member `d`, or without. */
interface SshKey {
  readonly jwk: { readonly kid: string };
  /** What `ssh-add -l` calls the key, where the file has no private part; else null. */
  readonly fingerprint: string | null;
}

/**
 * The Ed25519 key in a file of OpenSSH, private or public; null for a file of another kind. A private key is read
 * again as what it is, so that the file that was checked is the one that is taken.
 *
 * @throws KEY_MALFORMED, KEY_PERMISSIONS for a private key that others may read or that a link leads to
 */
export function parseSshFile(
  { context }: Session,
  { file, bytes }: { file: string; bytes: Buffer },
): SshKey | null {
  // Comments may be in any encoding; what is read of these files is ASCII.
  const text = bytes.toString('latin1');
  if (isSshPublicKeyText(text)) {
    const key = parseSshPublicKey(text, file);
    return { jwk: publicJwk(key), fingerprint: sshFingerprint(key.publicKey.raw) };
  }
  if (!isPrivatePem(text)) return null;
  const own = readPrivateFile(resolve(context.cwd, file), context.actor.uid);
  if (own === null) throw new AxError('IO', `cannot read ${file}: no such file`, { hint: 'check the path' });
  return { jwk: parseOpensshPrivateKey(own.toString('latin1'), file), fingerprint: null };
}

/** Puts it into the keyring, where it becomes the active signing key. */
export async function importSigningKey(session: Session, { jwk, fingerprint }: SshKey): Promise<number> {
  const { output } = session;
  const { kid } = jwk;
  const ended = endOfKey(session, jwk);
  if (ended !== null) throw ended;
  const before = readKeyring(session);
  const known = before.find((entry) => entry.kid === kid);
  if (known !== undefined && known.role !== 'signing') throw otherRole(known);
  // The public part in place of both would throw a key away; both in place of the public part is what is wanted.
  const made = known === undefined || (fingerprint === null && !known.hasPrivatePart);
  if (made) {
    await unlockKeyring(session);
    await withStore(session, (database) =>
      keepKey(session, database, { role: 'signing', change: 'import', jwk }),
    );
  }
  const isHere = fingerprint === null || known?.hasPrivatePart === true;
  const how = isHere ? 'Ed25519' : 'Ed25519, ssh-agent';
  const word = made ? output.style.green('imported') : output.style.dim('kept');
  output.line(`${word}  signing key ${kid} (${how})`);
  const active = activeKey(readKeyring(session), 'signing');
  if (active?.kid === kid) {
    const old = made ? activeKey(before, 'signing') : undefined;
    const instead = old === undefined || old.kid === kid ? '' : `, in place of ${old.kid}`;
    output.note(`It is the active signing key${instead}. To let it sign for a project:`);
    output.note(`ax trust add <project> --key=${kid}`);
  } else if (active !== undefined) {
    output.note(`It is retired: the active signing key is ${active.kid}.`);
  }
  if (!isHere) output.note(`To sign, it has to be in a running ssh-agent, as ${fingerprint}`);
  else if (made) output.note('Its private part is in the keyring now; the file is as it was.');
  output.document({
    schema: 'ax.keys.import/1',
    kid,
    role: 'signing',
    algorithm: 'Ed25519',
    private: isHere,
    state: made ? 'made' : 'kept',
  });
  return 0;
}

function otherRole({ kid, role }: KeyEntry): AxError {
  return new AxError(
    'USAGE',
    `expected a key of its own to sign with, found the ${role} key ${kid} of this keyring`,
    {
      hint: 'ssh-keygen -t ed25519 makes one',
    },
  );
}
