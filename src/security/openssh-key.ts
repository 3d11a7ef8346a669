/** Private keys of OpenSSH (PROTOCOL.key in its sources): one Ed25519 key that no passphrase protects. */
import { AxError } from '../errors.ts';
import { decodeBase64, encodeBase64url } from './base64.ts';
import { KEY_BYTES } from './curve25519.ts';
import { equalBytes } from './digest.ts';
import { type Ed25519PrivateJwk, thumbprint } from './jwk.ts';
import { parseSigningKey } from './signing-keys.ts';
import { decodeSshPublicKey, malformedSsh, requireEd25519 } from './ssh-public-key.ts';
import { createSshReader, type SshReader } from './ssh-wire.ts';

const LABEL = 'OPENSSH PRIVATE KEY';
const MAGIC = Buffer.from('openssh-key-v1\0');
/** What the private part is padded to where the cipher is `none`. */
const BLOCK_BYTES = 8;

/** Whether a text begins as a private key in PEM does, of OpenSSH or another program; no JWK does. */
export function isPrivatePem(text: string): boolean {
  return /^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/.test(text);
}

/**
 * Reads the text of such a file. Everything in it that can be checked is: the framing to the last byte, that both
 * copies of the public key are one, and that the private part belongs to it.
 *
 * @returns the key as a private JWK; the comment is for people and is not read
 * @throws KEY_MALFORMED for a key that is protected by a passphrase, of another algorithm (which is named), more
 * than one, in another format, or damaged. The message never holds a part of the key.
 */
export function parseOpensshPrivateKey(text: string, where: string): Ed25519PrivateJwk {
  const reader = createSshReader(decodePem(text, where), (problem) => malformedSsh(where, problem));
  if (!equalBytes(reader.bytes(MAGIC.length, 'format'), MAGIC)) {
    throw malformedSsh(where, 'expected the format openssh-key-v1, found another');
  }
  requireUnprotected(reader, where);
  const count = reader.uint32('number of keys');
  if (count !== 1) throw malformedSsh(where, `expected one key, found ${count}`);
  const raw = decodeSshPublicKey(reader.string('public key'), where);
  const seed = parsePrivateList(reader.string('private key'), { raw, where });
  reader.end('file');
  const named = { kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(raw) } as const;
  const jwk = { ...named, d: encodeBase64url(seed), kid: thumbprint(named) };
  // Signing with a pair that does not belong together would give the private key away.
  parseSigningKey(jwk, where);
  return jwk;
}

function decodePem(text: string, where: string): Buffer {
  const label = /^-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text)?.[1] ?? 'something else';
  if (label !== LABEL) {
    throw new AxError('KEY_MALFORMED', `${where}: expected an ${LABEL}, found ${label}`, {
      hint: 'ssh-keygen -t ed25519 makes one that ax can use',
    });
  }
  const body = /^-----BEGIN [A-Z ]+-----\n([A-Za-z0-9+/=\n]*)\n-----END OPENSSH PRIVATE KEY-----\n?$/.exec(
    text.replaceAll('\r\n', '\n'),
  )?.[1];
  const bytes = body === undefined ? undefined : decodeBase64(body.replaceAll('\n', ''));
  if (bytes !== undefined) return bytes;
  throw malformedSsh(where, `expected base64 between the two lines of one ${LABEL}, found other text`);
}

function requireUnprotected(reader: SshReader, where: string): void {
  const cipher = reader.string('cipher').toString('latin1');
  const kdf = reader.string('key derivation').toString('latin1');
  const options = reader.string('options of the key derivation');
  if (cipher === 'none' && kdf === 'none' && options.length === 0) return;
  if (cipher === 'none' || kdf === 'none') {
    throw malformedSsh(
      where,
      'cipher and key derivation: expected none of both, found one without the other',
    );
  }
  throw new AxError(
    'KEY_MALFORMED',
    `${where}: expected a key without a passphrase, found one that has one`,
    {
      hint: `let ssh-agent sign with it: ssh-add ${where}, then ax keys import ${where}.pub`,
    },
  );
}

/** @returns the seed: the first half of what SSH calls the private key, whose second half is the public key */
function parsePrivateList(list: Buffer, { raw, where }: { raw: Buffer; where: string }): Buffer {
  const refuse = (problem: string): AxError => malformedSsh(where, problem);
  const reader = createSshReader(list, refuse);
  if (list.length % BLOCK_BYTES !== 0) {
    throw refuse(`private key: expected a multiple of ${BLOCK_BYTES} bytes, found ${list.length}`);
  }
  // The same random number twice, by which a wrong passphrase would show; here, damage.
  const check = reader.uint32('check');
  if (reader.uint32('check') !== check) {
    throw refuse('check: expected the same number twice, found two');
  }
  requireEd25519(reader.string('algorithm').toString('latin1'), where);
  const publicPart = reader.string('public key');
  const pair = reader.string('private key');
  reader.string('comment');
  const padding = reader.rest();
  if (padding.length >= BLOCK_BYTES || padding.some((byte, index) => byte !== index + 1)) {
    throw refuse('padding: expected the bytes 1, 2, 3…, found others');
  }
  if (pair.length !== 2 * KEY_BYTES) {
    throw refuse(`private key: expected ${2 * KEY_BYTES} bytes, found ${pair.length}`);
  }
  if (!equalBytes(publicPart, raw) || !equalBytes(pair.subarray(KEY_BYTES), raw)) {
    throw refuse('expected one public key in all three places, found several');
  }
  return pair.subarray(0, KEY_BYTES);
}
