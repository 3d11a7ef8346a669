import { resolve } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { parseX25519Recipient } from '../security/encryption-keys.ts';
import { decodeUtf8, parseJson } from '../security/json.ts';
import { publicJwk } from '../security/jwk.ts';
import { readFileIfPresent } from '../store/files.ts';
import { activeKey } from '../store/keyring.ts';
import { endOfKey, keepKey, readKeyring, requireRoomForRecipient } from './keys-access.ts';
import { type GlobalOptions, openSession, withStore } from './session.ts';

/**
 * `ax keys import <file>`: a reader's public key, which receipts are sealed to from now on. Public keys alone: a
 * private one that comes along by mistake would let this machine read what it is only meant to write.
 */
export async function importCommand(context: Context, file: string, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  const bytes = readFileIfPresent(resolve(context.cwd, file));
  if (bytes === null) {
    throw new AxError('IO', `cannot read ${file}: no such file`, { hint: 'check the path' });
  }
  const { output } = session;
  const recipient = parseX25519Recipient(parseJson(decodeUtf8(bytes, file), file), file);
  const { kid } = recipient;
  const keyring = readKeyring(session);
  // Perhaps with its private part: that is not replaced.
  const made = !keyring.some((entry) => entry.kid === kid);
  if (made) {
    const ended = endOfKey(session, recipient);
    if (ended !== null) throw ended;
    requireRoomForRecipient(keyring);
    await withStore(session, (database) =>
      keepKey(session, database, {
        role: 'recipient',
        change: 'import',
        jwk: publicJwk({ ...recipient, expiresAt: undefined }),
        expiresAt: recipient.expiresAt,
      }),
    );
  }
  output.line(
    `${made ? output.style.green('imported') : output.style.dim('kept')}  recipient ${kid} (X25519, public)`,
  );
  if (activeKey(keyring, 'receipt') !== undefined) {
    output.note(
      'Receipts are sealed to the receipt key of this keyring as well, so they can be read here too.',
    );
  }
  output.document({
    schema: 'ax.keys.import/1',
    kid,
    role: 'recipient',
    algorithm: 'X25519',
    state: made ? 'made' : 'kept',
  });
  return 0;
}
