import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseTrust } from '../../src/manifest/trust.ts';
import { type Verification, verifyManifest } from '../../src/manifest/verify.ts';
import { sha256Hex } from '../../src/security/digest.ts';
import { createRig, type Rig } from '../support/rig.ts';

/**
 * Every byte of a lock file is changed in turn. What is signed (payload, payloadType) and the signature itself are
 * covered: such a change is refused. What DSSE leaves unauthenticated (key id hints, white space, members that it
 * does not name) may be accepted, and then changes nothing that runs.
 */

const REFUSALS = [65, 76, 77];
/** Another letter or digit; another case; no UTF-8 any more. */
const MASKS = [0x01, 0x20, 0x80];
const FULL = process.env.AX_TEST_FULL === '1';

async function signed(): Promise<{ rig: Rig; lock: Buffer }> {
  const rig = await createRig();
  await rig.sign('hello: { shell: touch started }');
  return { rig, lock: readFileSync(join(rig.project, 'ax.lock')) };
}

function flip(lock: Buffer, at: number, mask: number): Buffer {
  const flipped = Buffer.from(lock);
  flipped[at] = (flipped[at] ?? 0) ^ mask;
  return flipped;
}

/**
 * What is signed and the signatures, read as leniently as any reader might: null when there is no such reading.
 * Made here without the code under test, which is held against it.
 */
function coveredParts(bytes: Buffer): string | null {
  try {
    const { payloadType, payload, signatures } = JSON.parse(
      new TextDecoder('utf-8', { fatal: true }).decode(bytes),
    );
    const sigs = signatures.map(({ sig }: { sig: string }) => Buffer.from(sig, 'base64').toString('hex'));
    return JSON.stringify([payloadType, Buffer.from(payload, 'base64').toString('hex'), sigs]);
  } catch {
    return null;
  }
}

describe('a byte of ax.lock that was changed', () => {
  it('is refused wherever it is signed, and otherwise changes nothing: all bytes', async () => {
    const { rig, lock } = await signed();
    const trust = parseTrust(readFileSync(join(rig.home, 'trust.json')), 'trust.json');
    const verify = (bytes: Buffer): Verification =>
      verifyManifest(bytes, { trust, revoked: new Map(), now: Date.now(), highestVersionSeen: () => 0 });
    const original = verify(lock);
    if (!original.ok) throw original.error;
    const covered = coveredParts(lock);
    const counts = { refused: 0, accepted: 0 };

    for (let at = 0; at < lock.length; at++) {
      for (const mask of MASKS) {
        const flipped = flip(lock, at, mask);
        const where = `byte ${at} ^ ${mask}`;
        const found = verify(flipped);
        if (!found.ok) {
          counts.refused += 1;
          expect(REFUSALS, `${where}: ${found.error.message}`).toContain(found.error.exitCode);
          expect(found.error.hint, where).toBeTypeOf('string');
          continue;
        }
        counts.accepted += 1;
        expect(coveredParts(flipped), where).toBe(covered);
        expect(found.verified.digest, where).toBe(original.verified.digest);
        expect(found.verified.manifest, where).toEqual(original.verified.manifest);
        expect(found.verified.keyids, where).toEqual(original.verified.keyids);
        expect(found.verified.lockSha256, where).toBe(sha256Hex(flipped));
      }
    }

    // Both happen: the payload alone is half of the file, and so are hints of which a letter may change.
    expect(counts.refused).toBeGreaterThan(lock.length);
    expect(counts.accepted).toBeGreaterThan(100);
  });

  it('starts no child: a sample of bytes, through the binary', async () => {
    const { rig, lock } = await signed();
    const step = Math.floor(lock.length / 25);
    const positions = Array.from({ length: 25 }, (_, index) => index * step);
    for (const [index, at] of positions.entries())
      await runFlipped(rig, lock, at, index % 2 === 0 ? 0x01 : 0x20);
  });

  it.skipIf(!FULL)(
    'starts no child: all bytes, through the binary (AX_TEST_FULL=1)',
    async () => {
      const workers = await Promise.all(Array.from({ length: 4 }, createRig));
      const { lock } = await signed();
      await Promise.all(
        workers.map(async (rig, worker) => {
          for (let at = worker; at < lock.length; at += workers.length) await runFlipped(rig, lock, at, 0x01);
        }),
      );
    },
    60 * 60_000,
  );
});

/** Runs a changed lock file, and holds what came of it against what was changed. */
async function runFlipped(rig: Rig, lock: Buffer, at: number, mask: number): Promise<void> {
  const flipped = flip(lock, at, mask);
  const where = `byte ${at} ^ ${mask}`;
  rig.write('ax.lock', flipped);
  rmSync(join(rig.project, 'started'), { force: true });
  const { exitCode, stderr } = await rig.ax('run', 'hello');
  const changed = coveredParts(flipped) !== coveredParts(lock);
  if (changed || exitCode !== 0) {
    expect(REFUSALS, `${where}: ${stderr}`).toContain(exitCode);
    expect(rig.has('started'), where).toBe(false);
  } else {
    expect(rig.has('started'), where).toBe(true);
  }
}
