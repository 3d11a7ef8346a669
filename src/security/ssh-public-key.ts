/** Public keys of OpenSSH: the blob of RFC 8709 (section 4), and the line of text around it (`id_ed25519.pub`). */
import { AxError } from '../errors.ts';
import { decodeBase64, encodeBase64, encodeBase64url } from './base64.ts';
import { KEY_BYTES } from './curve25519.ts';
import { sha256Hex } from './digest.ts';
import { importEd25519 } from './ed25519.ts';
import { thumbprint } from './jwk.ts';
import type { Ed25519VerificationKey } from './signing-keys.ts';
import { createSshReader, sshString } from './ssh-wire.ts';

/** The one algorithm of SSH whose signatures are those of a DSSE envelope as they are. */
export const SSH_ED25519 = 'ssh-ed25519';

/** More than any line with an Ed25519 key and a comment has. */
const MAX_LINE_CHARACTERS = 8 * 1024;

/** The blob that names a public key in SSH, in the agent's messages too. */
export function encodeSshPublicKey(raw: Uint8Array): Buffer {
  return Buffer.concat([sshString(SSH_ED25519), sshString(raw)]);
}

/** What `ssh-add -l` and `ssh-keygen -l` call a public key: the SHA-256 of its blob, in base64 without padding. */
export function sshFingerprint(raw: Uint8Array): string {
  const digest = Buffer.from(sha256Hex(encodeSshPublicKey(raw)), 'hex');
  return `SHA256:${encodeBase64(digest).replace(/=+$/, '')}`;
}

/** Whether a text begins as a public key of OpenSSH does, of whatever algorithm; no JWK does. */
export function isSshPublicKeyText(text: string): boolean {
  return /^(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[\w@.-]+(?:\s|$)/.test(text);
}

/**
 * Reads a line `ssh-ed25519 <base64> [comment]`. The comment is for people and is not read.
 *
 * @throws KEY_MALFORMED for several lines, another algorithm (which is named), anything but strict base64, a blob
 * with bytes missing, changed or left over, and a point that the rule in ed25519.ts refuses
 */
export function parseSshPublicKey(text: string, where: string): Ed25519VerificationKey {
  const line = text.replace(/\r?\n$/, '');
  if (line.length > MAX_LINE_CHARACTERS || /[\r\n]/.test(line)) {
    throw malformedSsh(where, 'expected one line with one public key, found more');
  }
  const [algorithm = '', base64 = ''] = line.split(/[ \t]+/, 2);
  requireEd25519(algorithm, where);
  // The URL-safe alphabet would be a second spelling.
  const blob = /[-_]/.test(base64) ? undefined : decodeBase64(base64);
  if (blob === undefined || blob.length === 0) {
    throw malformedSsh(where, `expected padded base64 after ${SSH_ED25519}, found other text`);
  }
  const publicKey = importEd25519(decodeSshPublicKey(blob, where));
  if (publicKey === undefined) {
    throw malformedSsh(where, 'expected a canonical Ed25519 point of large order, found other bytes');
  }
  const kid = thumbprint({ kty: 'OKP', crv: 'Ed25519', x: encodeBase64url(publicKey.raw) });
  return { kid, algorithm: 'Ed25519', publicKey };
}

/**
 * The 32 bytes of the key in a blob.
 *
 * @throws KEY_MALFORMED for another algorithm, another length, and bytes that are left over
 */
export function decodeSshPublicKey(blob: Buffer, where: string): Buffer {
  const reader = createSshReader(blob, (problem) => malformedSsh(where, problem));
  requireEd25519(reader.string('algorithm').toString('latin1'), where);
  const raw = reader.string('public key');
  reader.end('public key');
  if (raw.length === KEY_BYTES) return raw;
  throw malformedSsh(where, `public key: expected ${KEY_BYTES} bytes, found ${raw.length}`);
}

/** @throws KEY_MALFORMED with the name of the algorithm that was found, and what to do about it */
export function requireEd25519(algorithm: string, where: string): void {
  if (algorithm === SSH_ED25519) return;
  const name = /^[\w@.+-]{1,64}$/.test(algorithm) ? algorithm : 'something else';
  throw new AxError('KEY_MALFORMED', `${where}: expected an ${SSH_ED25519} key, found ${name}`, {
    hint: /-cert-v[0-9]+@/.test(name)
      ? 'a certificate is no key of its own: give the public key that it is about'
      : name.startsWith('sk-')
        ? 'a security key signs in a format of its own: ssh-keygen -t ed25519 makes one that ax can use'
        : 'ssh-keygen -t ed25519 makes one that ax can use',
  });
}

/** A KEY_MALFORMED refusal of a key of OpenSSH. */
export function malformedSsh(where: string, problem: string): AxError {
  return new AxError('KEY_MALFORMED', `${where}: ${problem}`, {
    hint: 'give the file as ssh-keygen -t ed25519 made it',
  });
}
