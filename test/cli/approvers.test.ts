import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRig, PROJECT, type Rig } from '../support/rig.ts';

/** Keys that approve and do not sign: in the keyring (role approval) and in trust (`approvers`). */

const TASK = `deploy:
  run: [touch, started]
  guards: [{ approvals: { threshold: 1, notAuthor: true } }]`;

async function must(rig: Rig, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await rig.ax(...args);
  if (exitCode !== 0) throw new Error(`ax ${args.join(' ')}: ${exitCode}: ${stderr}`);
  return stdout;
}

/** Ana has a signing and an approval key in a home of her own; hers, the approval key's file and kid. */
async function ana() {
  const rig = await createRig();
  await rig.sign(TASK);
  const home = join(rig.base, 'ana');
  const author = JSON.parse(await must(rig, 'trust', 'export', PROJECT));
  rig.write('trust.json', JSON.stringify(author));
  await must(rig, 'trust', 'import', 'trust.json', '--yes', '--home', home);
  await must(rig, 'keys', 'generate', '--home', home);
  await must(rig, 'keys', 'generate', '--role', 'receipt', '--home', home);
  await must(rig, 'keys', 'generate', '--role', 'approval', '--home', home);
  const exported = await must(rig, 'keys', 'export', '--role', 'approval', '--home', home);
  rig.write('ana.jwk', exported);
  return { rig, home, kid: String(JSON.parse(exported).kid) };
}

const approve = (rig: Rig, home: string, ...more: string[]) =>
  must(rig, 'approve', 'deploy', '--yes', '--output', 'a.json', '--home', home, ...more);

describe('an approver', () => {
  it('lets a guarded task start, and is not in the trust of others as a signer', async () => {
    const { rig, home, kid } = await ana();
    const added = await must(rig, 'trust', 'add', PROJECT, 'ana.jwk', '--for', 'approvals');
    expect(added).toMatch(
      new RegExp(`^trusted  for ${PROJECT}: 1 of [\\w-]{43}; approvals also by ${kid}\n$`),
    );
    expect(await must(rig, 'trust', 'list')).toMatch(new RegExp(`${PROJECT} +approvals +${kid} +Ed25519`));
    await approve(rig, home);
    const { exitCode } = await rig.ax('run', 'deploy', '--approval', 'a.json');
    expect(exitCode).toBe(0);
    expect(rig.has('started')).toBe(true);
  });

  it('signs nothing that runs', async () => {
    const { rig, home, kid } = await ana();
    await must(rig, 'trust', 'add', PROJECT, 'ana.jwk', '--for', 'approvals');
    // Her signing key cannot be told to be this one, so the file of the key is renamed to be a signing key.
    const file = join(home, 'keys', `${kid}.json`);
    const stored = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...stored, role: 'signing' }));
    await must(rig, 'sign', '--yes', '--key', kid, '--home', home);
    const { exitCode, stderr } = await rig.ax('run', 'deploy');
    expect(exitCode).toBe(77);
    expect(stderr).toContain('error[SIGNATURE_UNTRUSTED]');
    expect(rig.has('started')).toBe(false);
  });

  it('does not count towards the threshold of signers', async () => {
    const { rig } = await ana();
    await must(rig, 'trust', 'add', PROJECT, 'ana.jwk', '--for', 'approvals');
    const { exitCode, stderr } = await rig.ax(
      'trust',
      'add',
      PROJECT,
      'ana.jwk',
      '--for',
      'approvals',
      '--threshold',
      '2',
    );
    expect(exitCode).toBe(78);
    expect(stderr).toContain('expected at least 2 keys for a threshold of 2, found 1');
  });

  it('counts no more once it is revoked or removed', async () => {
    const { rig, home, kid } = await ana();
    await must(rig, 'trust', 'add', PROJECT, 'ana.jwk', '--for', 'approvals');
    await approve(rig, home);
    expect(await must(rig, 'trust', 'remove', PROJECT, kid)).not.toContain(kid);
    const removed = await rig.ax('run', 'deploy', '--approval', 'a.json');
    expect(removed.exitCode).toBe(75);
    expect(removed.stderr).toContain('not signed by a key that is trusted for acme/web');

    await must(rig, 'trust', 'add', PROJECT, 'ana.jwk', '--for', 'approvals');
    const revoked = await must(rig, 'keys', 'revoke', kid, '--yes');
    expect(revoked).toContain('approval');
    const after = await rig.ax('run', 'deploy', '--approval', 'a.json');
    expect(after.exitCode).toBe(75);
    expect(after.stderr).toContain(`its key ${kid} was revoked at`);
    expect(rig.has('started')).toBe(false);
  });

  it('is not left alone in trust, and a shared secret is none', async () => {
    const { rig } = await ana();
    const alone = await rig.ax('trust', 'add', 'acme/other', 'ana.jwk', '--for', 'approvals');
    expect(alone.exitCode).toBe(77);
    expect(alone.stderr).toContain(
      'error[TRUST_REFUSED]: acme/other: expected a key that signs its manifest',
    );
    const secret = { kty: 'oct', alg: 'HS256', k: Buffer.alloc(32, 7).toString('base64url') };
    rig.write('secret.jwk', JSON.stringify(secret), 0o600);
    const hmac = await rig.ax('trust', 'add', PROJECT, 'secret.jwk', '--for', 'approvals');
    expect(hmac.exitCode).toBe(78);
    expect(hmac.stderr).toContain('expected public keys as approvers, found an HMAC key');
  });
});

describe('the key that `ax approve` takes', () => {
  it('is the approval key where there is one, and no signing key in its place once it is revoked', async () => {
    const { rig, home, kid } = await ana();
    expect(await approve(rig, home)).toContain('approved  deploy');
    expect(rig.read('a.json')).toContain(kid);
    await must(rig, 'keys', 'revoke', kid, '--yes', '--home', home);
    const { exitCode, stderr } = await rig.ax('approve', 'deploy', '--yes', '-o', 'b.json', '--home', home);
    expect(exitCode).toBe(77);
    expect(stderr).toContain(`error[KEY_REVOKED]: the approval key ${kid} was revoked`);
    expect(stderr).toContain('ax keys rotate --role approval');
    expect(rig.has('b.json')).toBe(false);
    await must(rig, 'keys', 'rotate', '--role', 'approval', '--home', home);
    await must(rig, 'approve', 'deploy', '--yes', '-o', 'b.json', '--home', home);
    expect(rig.read('b.json')).not.toContain(kid);
  });

  it('signs no manifest', async () => {
    const { rig, home, kid } = await ana();
    const { exitCode, stderr } = await rig.ax('sign', '--yes', '--key', kid, '--home', home);
    expect(exitCode).toBe(66);
    expect(stderr).toContain('expected one signing key');
  });
});
