import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { createOutput, type Output } from '../output/output.ts';
import type { ColorChoice } from '../output/style.ts';
import { lostRuns } from '../runtime/settle.ts';
import { type Database, openDatabase, STORE_FILE } from '../store/database.ts';
import { type Home, resolveHome } from '../store/home.ts';
import { readSettings, type SettingName } from '../store/settings.ts';
import { createVault, type Vault } from '../store/vault.ts';

/** The options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly store?: string;
  readonly home?: string;
  /** commander's form of `--no-color`. */
  readonly color?: boolean;
  readonly verbose?: boolean;
}

/** What a command works with. */
export interface Session {
  readonly context: Context;
  readonly home: Home;
  readonly output: Output;
  readonly settings: Readonly<Record<SettingName, string>>;
  /** The project's folder, links resolved; null outside any. */
  readonly root: string | null;
  /** Where the store is, or would be made. */
  readonly storeDir: string;
  /** Opens protected keys, with AX_KEYRING_PASSPHRASE or what was asked for on the terminal. */
  readonly vault: Vault;
}

export async function openSession(context: Context, options: GlobalOptions): Promise<Session> {
  const home = resolveHome(context, options.home);
  const settings = await readSettings(home.settingsFile);
  const color = options.color === false ? 'never' : (settings.color as ColorChoice);
  const output = await createOutput(context, {
    json: options.json === true,
    verbose: options.verbose === true,
    color,
  });
  const root = findRoot(context.cwd);
  const vault = createVault(context.randomBytes, context.env.AX_KEYRING_PASSPHRASE);
  return { context, home, output, settings, root, storeDir: findStore(context, options, root, home), vault };
}

/** The nearest folder upwards that holds a manifest. What it says counts for nothing before it is verified. */
function findRoot(from: string): string | null {
  for (let folder = realpathSync(from); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'ax.lock')) || existsSync(join(folder, 'ax.yaml'))) return folder;
    if (folder === dirname(folder)) return null;
  }
}

/** `--store`, `AX_STORE`, `.ax` beside the manifest; outside any project, the home's own. */
function findStore(context: Context, options: GlobalOptions, root: string | null, home: Home): string {
  if (options.store === '') {
    throw new AxError('USAGE', '--store: expected a folder, found nothing', { hint: '--store .ax' });
  }
  const named = options.store ?? context.env.AX_STORE;
  if (named !== undefined && named !== '') return resolve(context.cwd, named);
  return root === null ? home.storeDir : join(root, '.ax');
}

/** The project's folder. @throws MANIFEST_MISSING outside any project */
export function requireRoot(session: Session): string {
  if (session.root !== null) return session.root;
  throw new AxError('MANIFEST_MISSING', 'no ax.yaml or ax.lock here, nor in any folder above', {
    hint: 'ax init',
  });
}

/**
 * Opens the store for one command and closes it whatever happens. Runs that an ax which is gone has left
 * without an end are settled first, so no command sees them as running.
 */
export async function withStore<T>(
  session: Session,
  body: (database: Database) => Promise<T> | T,
): Promise<T> {
  const database = openDatabase(session.storeDir, session.context.actor.uid);
  try {
    if (lostRuns({ context: session.context, database }).length > 0) {
      const { settleLost } = await import('./settle.ts');
      settleLost(session, database);
    }
    return await body(database);
  } finally {
    database.close();
  }
}

/** The same for a command that only reads: null where there is no store, and none is made. */
export async function withStoreIfAny<T>(
  session: Session,
  body: (database: Database | null) => Promise<T> | T,
): Promise<T> {
  return existsSync(join(session.storeDir, STORE_FILE)) ? withStore(session, body) : body(null);
}

/** The same for a command that only lists: where there is no store, `none` is the answer. */
export async function withExistingStore<T>(
  session: Session,
  none: T,
  body: (database: Database) => T,
): Promise<T> {
  return withStoreIfAny(session, (database) => (database === null ? none : body(database)));
}
