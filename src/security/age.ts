/** Encrypting to age recipients (age-encryption.org/v1), by the library of age's own author. */
import { ReadableStream } from 'node:stream/web';
import { Encrypter } from 'age-encryption';
import { AxError } from '../errors.ts';

/** Turns a plaintext of any length into an age file, piece by piece. */
export type EncryptToAge = (plaintext: AsyncIterable<Uint8Array>) => Promise<AsyncIterable<Uint8Array>>;

/**
 * An encrypter for whoever holds the identity of any of these recipients. The file key and the ephemeral keys are
 * drawn by the library from the system's generator, not from `Context`: it takes no other.
 *
 * @throws KEY_MALFORMED for text that is no age recipient, a secret identity above all
 */
export function encryptToAge(recipients: readonly string[]): EncryptToAge {
  const encrypter = new Encrypter();
  for (const [index, recipient] of recipients.entries()) {
    try {
      encrypter.addRecipient(recipient);
    } catch (error) {
      // What was given is not repeated: it may be the secret half.
      throw new AxError('KEY_MALFORMED', `recipient ${index + 1}: expected an age recipient, age1…`, {
        hint: 'print the recipient of an identity with: age-keygen -y key.txt',
        cause: error,
      });
    }
  }
  return (plaintext) => encrypter.encrypt(ReadableStream.from(plaintext));
}
