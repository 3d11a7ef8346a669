/** Sealed receipts outside of a store: what `ax receipts export --format jwe` writes, one a line. */
import { AxError, isAxError } from '../errors.ts';
import { decodeUtf8, type JsonValue, parseJson } from '../security/json.ts';
import { isObject } from '../security/json-shape.ts';
import type { Jwe } from '../security/jwe.ts';
import { parseHeader, parseJwe } from '../security/jwe-parse.ts';
import { isUlid } from '../security/ulid.ts';
import type { SealedReceipt } from './receipt.ts';

/**
 * Reads them as they say they are; what they say is held against their seals when they are opened.
 *
 * @param source of the bytes, for what is said of them.
 * @throws JSON_MALFORMED for what is no JSON Lines in UTF-8
 * @throws RECEIPT_TAMPERED for any line that is no sealed receipt
 */
export function readSealedReceipts(bytes: Uint8Array, source: string): SealedReceipt[] {
  return decodeUtf8(bytes, source)
    .split('\n')
    .map((text, index) => ({ text, where: `${source}:${index + 1}` }))
    .filter(({ text }) => text.trim() !== '')
    .map(({ text, where }) => readSealed(parseJson(text, where), where));
}

function readSealed(jwe: JsonValue, where: string): SealedReceipt {
  const { receiptId, runId } = headerOf(jwe, where);
  if (typeof receiptId !== 'string' || typeof runId !== 'string' || !isUlid(receiptId) || !isUlid(runId)) {
    throw notSealed(where, 'the header of its JWE names no receipt');
  }
  return { id: receiptId, runId, jwe: jwe as Jwe };
}

function headerOf(jwe: JsonValue, where: string): { readonly [name: string]: unknown } {
  try {
    const header = parseHeader(parseJwe(jwe).header);
    return isObject(header) ? header : {};
  } catch (error) {
    if (!isAxError(error, 'RECEIPT_TAMPERED')) throw error;
    throw notSealed(where, error.message, error);
  }
}

const MADE_BY = 'such a file is made by: ax receipts export --format jwe';

function notSealed(where: string, problem: string, cause?: unknown): AxError {
  return new AxError('RECEIPT_TAMPERED', `${where}: ${problem}`, { hint: MADE_BY, cause });
}

/**
 * The one with this id or unique prefix; a run's id stands for the receipt of its last attempt. Without an id, the only
 * one there is.
 *
 * @throws RECEIPT_UNKNOWN, ID_AMBIGUOUS
 */
export function chooseReceipt(
  receipts: readonly SealedReceipt[],
  typed: string | undefined,
  source: string,
): SealedReceipt {
  const prefix = typed?.toUpperCase() ?? '';
  const found = receipts
    .filter(({ id, runId }) => id.startsWith(prefix) || runId.startsWith(prefix))
    .toSorted((a, b) => (a.id < b.id ? 1 : -1));
  const [last] = found;
  if (last === undefined) {
    const what = typed === undefined ? 'no receipt' : `no receipt "${typed.slice(0, 80)}"`;
    throw new AxError('RECEIPT_UNKNOWN', `${what} in ${source}`, {
      hint: MADE_BY,
    });
  }
  const isOne = found.every(({ id }) => id === last.id);
  const isOneRun =
    prefix !== '' && found.every(({ runId }) => runId === last.runId && runId.startsWith(prefix));
  if (isOne || isOneRun) return last;
  const which =
    typed === undefined
      ? `${source} has more than one receipt`
      : `more than one receipt of ${source} begins with "${typed}"`;
  throw new AxError('ID_AMBIGUOUS', which, { hint: `say which, such as ${last.id}` });
}
