import { createCipheriv, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A receipt of the older store, as it was in clear. */
export interface LegacyContent {
  kind: string;
  planHash: string;
  createdAt: string;
  [name: string]: unknown;
}

/** The name that store gave a receipt's file. */
export function legacyName({ kind, planHash, createdAt }: LegacyContent): string {
  const plan = planHash.replace(/[^A-Za-z0-9_-]/g, '_') || 'unknown';
  return `${createdAt.replace(/[^A-Za-z0-9]/g, '-')}-${kind}-${plan}.json`;
}

/** A sealed file, by the shape that store wrote: AES-256-GCM over indented JSON, parts in base64. */
export function legacyFile(content: object, key: Buffer): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  const ciphertext = Buffer.concat([cipher.update(JSON.stringify(content, null, 2)), cipher.final()]);
  const encrypted = {
    version: 1,
    algorithm: 'aes-256-gcm',
    iv: iv.toString('base64'),
    ciphertext: ciphertext.toString('base64'),
    authTag: cipher.getAuthTag().toString('base64'),
  };
  return JSON.stringify({ version: 1, encrypted }, null, 2);
}

/** The n-th receipt of a store, each a second after the one before. */
export function legacyContent(n: number): LegacyContent {
  const createdAt = new Date(Date.UTC(2025, 10, 2, 10, 0, n)).toISOString();
  return { kind: n % 2 === 0 ? 'PLAN' : 'EXECUTION', planHash: `plan-${n}`, jobId: n, createdAt };
}

/** Makes a store of `count` receipts, sealed under `key`, or in clear without one. */
export function makeLegacyStore(folder: string, count: number, key: Buffer | null): LegacyContent[] {
  mkdirSync(folder, { recursive: true });
  return Array.from({ length: count }, (_, n) => {
    const content = legacyContent(n);
    const text = key === null ? JSON.stringify(content, null, 2) : legacyFile(content, key);
    writeFileSync(join(folder, legacyName(content)), text);
    return content;
  });
}
