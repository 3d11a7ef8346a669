/** The key agreement of ECDH-ES+A256KW (RFC 7518 section 4.6) on X25519 (RFC 8037 section 3.2). */
import { createHash, type KeyObject } from 'node:crypto';
import { agreeX25519, type X25519PublicKey } from './x25519.ts';

const KEK_BITS = 256;

/**
 * The 256-bit key that both sides of an agreement wrap the content key with: ephemeral private and recipient's
 * public key on the one side, the recipient's private and `epk` on the other.
 */
export function deriveKek(privateKey: KeyObject, publicKey: X25519PublicKey): Buffer {
  const z = agreeX25519(privateKey, publicKey);
  try {
    return concatKdf(z);
  } finally {
    z.fill(0);
  }
}

/** NIST SP 800-56A section 5.8.1 as RFC 7518 section 4.6.2 fills it in; one round, as SHA-256 has the key's length. */
function concatKdf(z: Uint8Array): Buffer {
  const algorithmId = lengthPrefixed(Buffer.from('ECDH-ES+A256KW'));
  // apu and apv are optional, and ax sends neither.
  const parties = [lengthPrefixed(Buffer.alloc(0)), lengthPrefixed(Buffer.alloc(0))];
  return createHash('sha256')
    .update(Buffer.concat([uint32(1), z, algorithmId, ...parties, uint32(KEK_BITS)]))
    .digest();
}

function lengthPrefixed(bytes: Buffer): Buffer {
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
