import { dirname, resolve } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import {
  ensureOwnDirectory,
  readFileIfPresent,
  readPrivateFile,
  refuseLooseParent,
  writeFileAtomic,
} from '../store/files.ts';
import type { Home } from '../store/home.ts';
import { parseTrust, serializeTrust, type Trust } from './trust.ts';

/**
 * The trust that is in force: `AX_TRUST` (a trust file's text, or its path) where it is set, else the file in
 * the home. No file is no trust: every manifest is then signed by a stranger.
 *
 * @throws TRUST_MALFORMED, KEY_PERMISSIONS, IO
 */
export function loadTrust(context: Context, home: Home): Trust {
  const override = context.env.AX_TRUST;
  if (override !== undefined) return environmentTrust(context, override);
  const bytes = readPrivateFile(home.trustFile, context.actor.uid);
  if (bytes !== null) refuseLooseParent(home.trustFile, context.actor.uid);
  return bytes === null ? new Map() : parseTrust(bytes, home.trustFile);
}

function environmentTrust(context: Context, value: string): Trust {
  if (value.trimStart().startsWith('{')) return parseTrust(Buffer.from(value), 'AX_TRUST');
  const path = resolve(context.cwd, value);
  const bytes = value === '' ? null : readFileIfPresent(path);
  if (bytes === null) {
    throw new AxError(
      'TRUST_MALFORMED',
      `AX_TRUST: expected the text or the path of a trust file, found "${value}"`,
      {
        hint: 'export it where the project is trusted: ax trust export',
      },
    );
  }
  return parseTrust(bytes, path);
}

/**
 * Replaces the home's trust file; durable on return.
 *
 * @throws TRUST_REFUSED while `AX_TRUST` is set: the change would not be the trust that is in force
 */
export function saveTrust(context: Context, home: Home, trust: Trust): void {
  if (context.env.AX_TRUST !== undefined) {
    throw new AxError(
      'TRUST_REFUSED',
      'AX_TRUST decides what is trusted here, so the trust file is not changed',
      {
        hint: 'unset AX_TRUST, or change the file it names',
      },
    );
  }
  ensureOwnDirectory(dirname(home.trustFile), context.actor.uid);
  writeFileAtomic(home.trustFile, serializeTrust(trust), 0o600);
}
