import { existsSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { appendAudit } from '../store/audit.ts';
import { type Database, STORE_FILE } from '../store/database.ts';
import { type Hold, holdOn, shutOut } from '../store/key-holds.ts';
import { activeKey, type KeyEntry, type Keyring, removeKey } from '../store/keyring.ts';
import { forgetStore, registeredStores } from '../store/store-register.ts';
import { readKeyring } from './keys-access.ts';
import { requireYes } from './require-yes.ts';
import { type GlobalOptions, openSession, type Session, withStore } from './session.ts';

export interface RemoveOptions extends GlobalOptions {
  readonly forgetStore?: readonly string[];
  readonly yes?: boolean;
}

/**
 * `ax keys remove <kid>`: takes the file of a key that nothing refers to out of the keyring. Every store that the
 * keyring was used in shuts the key out before the file goes, so no process that still has the key in mind can store
 * what nobody could open. Killed in between, the key is there, and the same command does the rest.
 */
export async function removeCommand(context: Context, kid: string, options: RemoveOptions): Promise<number> {
  const session = await openSession(context, options);
  const { output, home } = session;
  const keyring = readKeyring(session);
  const key = findKey(keyring, kid);
  requireRemovable(key);
  const { present, forgotten } = storesOf(session, key, options.forgetStore ?? []);
  const look = (check: (database: Database) => Hold | null) =>
    eachStore(session, { keyring, key, present }, check);
  await look((database) => database.read(() => holdOn(database, key.kid)));
  output.note(
    `${key.role} key ${key.kid}: what is sealed to it elsewhere (exports, copies of stores, backups)`,
  );
  output.note('cannot be opened with this keyring any more. Copies of the key can.');
  await requireYes(session, {
    text: 'Remove it? That cannot be taken back.',
    yes: options.yes === true,
    hint: `ax keys remove ${key.kid} --yes`,
    otherwise: 'nothing was removed',
  });
  await look((database) => database.write(() => shutOut(database, key.kid, context.now())));
  await withStore(session, (database) =>
    database.write(() =>
      appendAudit(database, context.now(), {
        type: 'key.change',
        runId: null,
        actor: context.actor,
        data: {
          change: 'remove',
          role: key.role,
          kid: key.kid,
          ...(forgotten.length === 0 ? {} : { forgotten: [...forgotten] }),
        },
      }),
    ),
  );
  for (const path of forgotten) forgetStore(home.storesDir, path);
  removeKey(home.keysDir, key.kid);
  output.line(`${output.style.green('removed')}  ${key.role} key ${key.kid}`);
  output.document({ schema: 'ax.keys.remove/1', kid: key.kid, role: key.role, stores: present, forgotten });
  return 0;
}

function findKey(keyring: Keyring, prefix: string): KeyEntry {
  const [match, second] = keyring.filter(({ kid }) => prefix !== '' && kid.startsWith(prefix));
  if (match !== undefined && second === undefined) return match;
  const many = match === undefined ? 'none' : 'several';
  throw new AxError(
    'KEY_UNKNOWN',
    `expected one key of the keyring that begins with "${prefix.slice(0, 80)}", found ${many}`,
    { hint: 'ax keys list' },
  );
}

function requireRemovable({ role, kid, state }: KeyEntry): void {
  if (role === 'signing' || role === 'approval' || role === 'host') {
    throw new AxError('USAGE', `expected a receipt or recipient key, found the ${role} key ${kid}`, {
      hint: `what it signed is told by it; if it is to count no more: ax keys revoke ${kid}`,
    });
  }
  if (state !== 'active') return;
  throw new AxError('KEY_IN_USE', `the ${role} key ${kid} is active: receipts are sealed to it`, {
    hint: role === 'receipt' ? 'ax keys rotate' : `ax keys revoke ${kid}, then ax keys rotate --reencrypt`,
  });
}

/** The stores to look through: those of the register, and the one at hand, which may be older than the register. */
function storesOf(session: Session, { kid }: KeyEntry, forget: readonly string[]) {
  const { context, home, storeDir } = session;
  const registered = registeredStores(home.storesDir, context.actor.uid);
  const forgotten = [...new Set(forget.map((path) => resolve(context.cwd, path)))];
  for (const path of forgotten) {
    if (registered.includes(path) && !isStore(path)) continue;
    const found = registered.includes(path) ? 'one that is there' : 'another';
    throw new AxError(
      'USAGE',
      `--forget-store: expected a store that this keyring was used in and that is gone, found ${found}: ${path}`,
      { hint: `ax keys remove ${kid}` },
    );
  }
  const remembered = registered.filter((path) => !forgotten.includes(path));
  const gone = remembered.find((path) => !isStore(path));
  if (gone !== undefined) {
    throw new AxError(
      'KEY_IN_USE',
      `receipts were sealed in ${gone}, and there is no store now to look through`,
      {
        hint: `bring it back; if it is gone for good: ax keys remove ${kid} --forget-store ${gone}`,
      },
    );
  }
  const present = new Set([...remembered, ...(isStore(storeDir) ? [realpathSync(storeDir)] : [])]);
  return { present: [...present], forgotten };
}

function isStore(path: string): boolean {
  return existsSync(join(path, STORE_FILE));
}

/** @throws KEY_IN_USE for the first store that something of keeps the key */
async function eachStore(
  session: Session,
  { keyring, key, present }: { keyring: Keyring; key: KeyEntry; present: readonly string[] },
  check: (database: Database) => Hold | null,
): Promise<void> {
  for (const path of present) {
    const hold = await withStore({ ...session, storeDir: path }, check);
    if (hold !== null) throw inUse(key, { path, hold, keyring });
  }
}

function inUse(
  { role, kid }: KeyEntry,
  { path, hold, keyring }: { path: string; hold: Hold; keyring: Keyring },
): AxError {
  switch (hold.kind) {
    case 'receipts': {
      const catchUp = activeKey(keyring, 'receipt') === undefined ? '' : ' --catch-up';
      return new AxError(
        'KEY_IN_USE',
        `${hold.count} receipt(s) in ${path} are sealed to the ${role} key ${kid}`,
        {
          hint: `ax keys rotate${role === 'receipt' ? catchUp : ' --reencrypt'} --store ${path}`,
        },
      );
    }
    case 'run':
      return new AxError(
        'KEY_IN_USE',
        `run ${hold.runId} in ${path} goes on, and may leave a receipt for ${kid}`,
        {
          hint: `when it has ended, ask again: ax status ${hold.runId} --store ${path}`,
        },
      );
    case 'rotation':
      return new AxError('KEY_IN_USE', `a rotation to ${kid} is not finished in ${path}`, {
        hint: `ax keys rotate --store ${path}`,
      });
  }
}
