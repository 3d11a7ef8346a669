import { resolve } from 'node:path';
import type { Context } from '../context.ts';
import { AxError } from '../errors.ts';
import { parseLegacyKey } from '../security/legacy-seal.ts';
import { readPrivateFile } from './files.ts';

/**
 * The keys of an older store, wherever they are given: on the command line, in files (one a line), and in
 * `AX_LEGACY_KEY`. Each text may stand for two keys; see `parseLegacyKey`.
 *
 * @throws KEY_MALFORMED, KEY_PERMISSIONS, ENVIRONMENT_MALFORMED, IO; a key that cannot be read is never passed over
 */
export function legacyKeys(
  context: Context,
  given: { readonly texts: readonly string[]; readonly files: readonly string[] },
): Buffer[] {
  const { AX_LEGACY_KEY: inEnvironment } = context.env;
  return [
    ...given.texts.flatMap((text, index) => parseLegacyKey(text, `--key ${index + 1}`)),
    ...given.files.flatMap((path) => keysOfFile(context, path)),
    ...(inEnvironment === undefined ? [] : wordsOf(inEnvironment, 'AX_LEGACY_KEY')),
  ];
}

function keysOfFile(context: Context, path: string): Buffer[] {
  const file = resolve(context.cwd, path);
  const content = readPrivateFile(file, context.actor.uid);
  if (content === null) {
    throw new AxError('IO', `${file}: expected a file with keys, found none`, {
      hint: 'give the path of a file with the key of the old store, mode 0600',
    });
  }
  return wordsOf(content.toString('utf8'), file);
}

function wordsOf(text: string, where: string): Buffer[] {
  const words = text.split(/\s+/).filter((word) => word !== '');
  if (words.length > 0) return words.flatMap((word) => parseLegacyKey(word, where));
  throw new AxError('ENVIRONMENT_MALFORMED', `${where}: expected a key, found nothing`, {
    hint: 'put the key of the old store there, in base64 or hex',
  });
}
