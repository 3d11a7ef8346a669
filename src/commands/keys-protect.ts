import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { askSecret } from '../output/prompt.ts';
import type { JsonValue } from '../security/json.ts';
import { newScryptParameters } from '../security/passphrase.ts';
import { appendAudit } from '../store/audit.ts';
import { type KeyEntry, type Keyring, rewriteKey } from '../store/keyring.ts';
import { createVault } from '../store/vault.ts';
import { readKeyring, unlockKeyring } from './keys-access.ts';
import { type GlobalOptions, openSession, type Session, withStore } from './session.ts';

const MIN_CHARACTERS = 8;

/**
 * `ax keys protect`: puts the private parts of the keyring under a passphrase, finishes that where it was cut short,
 * or changes the passphrase where all are under one. Each key's file is replaced by itself: killed in between, some
 * are done and some are not, every one of them opens, and the same command does the rest.
 */
export async function protectCommand(context: Context, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  const keys = privateKeys(session);
  const isProtected = keys.filter(({ protection }) => protection !== null);
  if (isProtected.length === keys.length) return changePassphrase(session, keys);
  let scrypt = isProtected.at(-1)?.protection?.scrypt;
  if (scrypt === undefined) {
    scrypt = newScryptParameters(context.randomBytes);
    const given = context.env.AX_KEYRING_PASSPHRASE;
    const passphrase = given ?? (await askTwice(session, 'AX_KEYRING_PASSPHRASE'));
    requireLength(passphrase, 'AX_KEYRING_PASSPHRASE');
    if (given === undefined) session.vault.offer(passphrase);
  } else {
    await unlockKeyring(session);
  }
  const open = keys.filter(({ protection }) => protection === null);
  await rewrite(session, keys, { these: open, change: 'protect', how: { vault: session.vault, scrypt } });
  return report(session, 'protected', open.length);
}

/** The vault tries both passphrases, so a change that was cut short is finished by the same command. */
async function changePassphrase(session: Session, keys: Keyring): Promise<number> {
  const { context, output, vault } = session;
  await unlockKeyring(session);
  const name = 'AX_KEYRING_NEW_PASSPHRASE';
  const given = context.env[name];
  // Where nobody can be asked for another, this is the rerun of one that was killed when all was done.
  if (given === undefined && (!context.interactive || output.json)) {
    openAll(keys);
    return report(session, 'protected', 0);
  }
  const passphrase = given ?? (await askTwice(session, name));
  requireLength(passphrase, name);
  vault.offer(passphrase);
  const scrypt = newScryptParameters(context.randomBytes);
  const changed = createVault(context.randomBytes, passphrase);
  await rewrite(session, keys, { these: keys, change: 'protect', how: { vault: changed, scrypt } });
  return report(session, 'protected anew', keys.length);
}

/** `ax keys unprotect`: the private parts are in clear again, for whoever can read the files. */
export async function unprotectCommand(context: Context, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  const keys = privateKeys(session);
  await unlockKeyring(session);
  const these = keys.filter(({ protection }) => protection !== null);
  await rewrite(session, keys, { these, change: 'unprotect', how: null });
  return report(session, 'in clear', these.length);
}

interface Rewriting {
  readonly these: readonly KeyEntry[];
  readonly change: 'protect' | 'unprotect';
  readonly how: Parameters<typeof rewriteKey>[2];
}

/** Every key is opened before the first is replaced: with a wrong passphrase nothing is begun. */
async function rewrite(session: Session, keys: Keyring, { these, change, how }: Rewriting): Promise<void> {
  const { context, home } = session;
  openAll(keys);
  if (these.length === 0) return;
  await withStore(session, (database) => {
    database.write(() => {
      for (const { role, kid } of these) {
        appendAudit(database, context.now(), {
          type: 'key.change',
          runId: null,
          actor: context.actor,
          data: { change, role, kid },
        });
      }
    });
    for (const entry of these) rewriteKey(home.keysDir, entry, how);
  });
}

/** @throws KEYRING_LOCKED, PASSPHRASE_WRONG unless every one opens */
function openAll(keys: Keyring): JsonValue[] {
  return keys.map(({ jwk }) => jwk);
}

function privateKeys(session: Session): Keyring {
  const keys = readKeyring(session).filter(({ hasPrivatePart }) => hasPrivatePart);
  if (keys.length > 0) return keys;
  throw new AxError('KEY_UNKNOWN', 'no private key in the keyring to protect', { hint: 'ax keys generate' });
}

async function askTwice({ context, output }: Session, variable: string): Promise<string> {
  if (!context.interactive || output.json) {
    throw new AxError('KEYRING_LOCKED', 'expected a new passphrase, and nobody can be asked for it', {
      hint: `set ${variable}, or run this on a terminal`,
    });
  }
  const passphrase = await askSecret(context, 'New passphrase:');
  requireLength(passphrase, variable);
  if ((await askSecret(context, 'The same again:')) === passphrase) return passphrase;
  throw new AxError('PASSPHRASE_WRONG', 'the two passphrases are not the same; nothing was changed', {
    hint: 'ax keys protect',
  });
}

function requireLength(passphrase: string, variable: string): void {
  if (passphrase.length >= MIN_CHARACTERS) return;
  throw new AxError(
    'PASSPHRASE_WRONG',
    `expected a new passphrase of at least ${MIN_CHARACTERS} characters`,
    {
      hint: `several random words are easy to type: set ${variable}, or type them on a terminal`,
    },
  );
}

function report({ output }: Session, what: string, keys: number): number {
  output.line(`${output.style.green('done')}  ${keys} private key(s) ${what}`);
  if (what !== 'in clear') {
    output.note(
      'Whoever lost the passphrase has lost these keys. Copies of the files from before are not protected.',
    );
  }
  output.document({ schema: 'ax.keys.protect/1', protected: what !== 'in clear', keys });
  return 0;
}
