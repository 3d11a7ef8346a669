import { AxError } from '../errors.ts';
import { decodeUtf8, parseJson } from '../security/json.ts';
import { checkTasks } from './rules.ts';
import { type Manifest, manifestSchema } from './schema.ts';

/**
 * The manifest in a signed payload. Says nothing about signatures: `verifyManifest` calls it once they hold, and
 * hydration calls it again, in its own process, on the bytes that were verified.
 *
 * @throws JSON_MALFORMED, MANIFEST_INVALID
 */
export function parsePayload(payload: Uint8Array): Manifest {
  const parsed = manifestSchema.safeParse(
    parseJson(decodeUtf8(payload, 'ax.lock payload'), 'ax.lock payload'),
  );
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new AxError('MANIFEST_INVALID', `ax.lock payload: ${issue?.path.join('.')}: ${issue?.message}`, {
      hint: 'it was signed by another version of ax; sign it again with: ax sign',
    });
  }
  checkTasks(parsed.data.tasks);
  return parsed.data;
}
