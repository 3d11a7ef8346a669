import { isAbsolute, join, resolve } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';

/** Where keys, trust and what this machine remembers live: never in a checkout. */
export interface Home {
  readonly keysDir: string;
  readonly versionsDir: string;
  /** Which stores hold receipts that were sealed with these keys. */
  readonly storesDir: string;
  readonly trustFile: string;
  readonly settingsFile: string;
  /** Where commands outside any project keep their audit records. */
  readonly storeDir: string;
}

/**
 * `--home`, else `AX_HOME` (all in one folder), else the XDG folders.
 *
 * @throws USAGE for an empty option
 * @throws ENVIRONMENT_MALFORMED when AX_HOME is relative: it would then name a folder in whatever checkout
 *   the command happens to run in
 */
export function resolveHome(context: Context, option: string | undefined): Home {
  if (option === '') {
    // An unset shell variable, most likely; taken for the current folder, it would put keys into the checkout.
    throw new AxError('USAGE', '--home: expected a folder, found nothing', { hint: '--home "$HOME/.ax"' });
  }
  const single = option === undefined ? context.env.AX_HOME : resolve(context.cwd, option);
  if (single !== undefined && single !== '') {
    if (!isAbsolute(single)) {
      throw new AxError('ENVIRONMENT_MALFORMED', `AX_HOME: expected an absolute path, found "${single}"`, {
        hint: `export AX_HOME="$PWD/${single}"`,
      });
    }
    return layout(single, single);
  }
  const data = xdg(context, 'XDG_DATA_HOME', '.local/share');
  const config = xdg(context, 'XDG_CONFIG_HOME', '.config');
  return layout(join(config, 'ax'), join(data, 'ax'));
}

function layout(config: string, data: string): Home {
  return {
    keysDir: join(data, 'keys'),
    versionsDir: join(data, 'versions'),
    storesDir: join(data, 'stores'),
    storeDir: join(data, 'store'),
    trustFile: join(config, 'trust.json'),
    settingsFile: join(config, 'config.json'),
  };
}

/** XDG Base Directory: a relative value is invalid and is to be ignored. */
function xdg(context: Context, variable: string, fallback: string): string {
  const value = context.env[variable];
  if (value !== undefined && isAbsolute(value)) return value;
  const home = context.env.HOME;
  if (home === undefined || !isAbsolute(home)) {
    throw new AxError('ENVIRONMENT_MALFORMED', 'HOME: expected an absolute path, found none', {
      hint: 'set AX_HOME to the folder that keeps keys and trust',
    });
  }
  return join(home, fallback);
}
