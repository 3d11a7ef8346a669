/** How every part of a stored JWE is read: one shape, no choices, and one refusal. */
import { AxError } from '../errors.ts';
import { decodeBase64url } from './base64.ts';
import { isObject } from './json-shape.ts';

/** The value as an object with exactly these members. @throws RECEIPT_TAMPERED */
export function exactly(
  value: unknown,
  members: readonly string[],
  where: string,
): { readonly [member: string]: unknown } {
  const keys = isObject(value) ? Object.keys(value) : [];
  if (isObject(value) && keys.length === members.length && members.every((name) => keys.includes(name))) {
    return value;
  }
  throw tampered(`${where}: expected exactly the members ${members.join(', ')}, found something else`);
}

/** @throws RECEIPT_TAMPERED for anything but strict base64url. */
export function readBytes(value: unknown, where: string): Buffer {
  const bytes = typeof value === 'string' ? decodeBase64url(value) : undefined;
  if (bytes !== undefined) return bytes;
  throw tampered(`${where}: expected base64url without padding, found something else`);
}

export function tampered(problem: string, cause?: unknown): AxError {
  return new AxError('RECEIPT_TAMPERED', `receipt: ${problem}`, {
    hint: 'see what else has changed with: ax audit verify',
    cause,
  });
}
