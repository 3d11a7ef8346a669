import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from '../../src/manifest/compile.ts';
import type { Manifest } from '../../src/manifest/schema.ts';
import { parseSource } from '../../src/manifest/source.ts';
import { MANIFEST_PAYLOAD_TYPE } from '../../src/manifest/verify.ts';
import { canonicalJson } from '../../src/security/canonical.ts';
import { serializeEnvelope, signEnvelope } from '../../src/security/dsse-sign.ts';
import { parseSigningKey, type SigningKey } from '../../src/security/signing-keys.ts';
import type { Rig } from './rig.ts';

/** The signing keys of a rig's keyring, oldest first. */
export function signingKeys(rig: Rig): SigningKey[] {
  return readdirSync(join(rig.home, 'keys'))
    .map((name) => JSON.parse(readFileSync(join(rig.home, 'keys', name), 'utf8')))
    .filter(({ role }) => role === 'signing')
    .sort((a, b) => Date.parse(a.createdAt) - Date.parse(b.createdAt))
    .map(({ jwk }) => parseSigningKey(jwk, 'test key'));
}

export interface Crafted {
  /** When it is signed, milliseconds since the epoch. */
  readonly now?: number;
  readonly version?: number;
  readonly payloadType?: string;
  readonly keys?: readonly SigningKey[];
  /** Changes what is signed, to what `ax sign` would not sign. */
  readonly change?: (manifest: Manifest) => object;
}

/** Writes the ax.lock that the rig's keys would have made of its ax.yaml at another time, or of something else. */
export function craftLock(rig: Rig, crafted: Crafted = {}): void {
  const sourceBytes = Buffer.from(rig.read('ax.yaml'));
  const manifest = compile({
    source: parseSource(sourceBytes, 'ax.yaml'),
    sourceBytes,
    roots: { root: rig.project, searchPath: rig.env.PATH ?? '' },
    version: crafted.version ?? 1,
    now: crafted.now ?? Date.now(),
  });
  const payload = Buffer.from(canonicalJson(crafted.change?.(manifest) ?? manifest));
  const keys = crafted.keys ?? signingKeys(rig).slice(-1);
  rig.write(
    'ax.lock',
    serializeEnvelope(signEnvelope(crafted.payloadType ?? MANIFEST_PAYLOAD_TYPE, payload, keys)),
  );
}
