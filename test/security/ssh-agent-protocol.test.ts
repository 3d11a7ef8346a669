import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { pae } from '../../src/security/dsse.ts';
import {
  createMessageReader,
  encodeIdentitiesRequest,
  encodeSignRequest,
  hasIdentity,
  MAX_AGENT_MESSAGE_BYTES,
  parseSignature,
} from '../../src/security/ssh-agent-protocol.ts';
import { encodeSshPublicKey } from '../../src/security/ssh-public-key.ts';
import { createSshReader, sshString, sshUint32 } from '../../src/security/ssh-wire.ts';
import { codeOf } from '../support/code-of.ts';

const RAW = randomBytes(32);
const SIGNATURE = randomBytes(64);

const key = (blob: Uint8Array, comment = '') => Buffer.concat([sshString(blob), sshString(comment)]);
const identities = (count: number, ...keys: Buffer[]) =>
  Buffer.concat([Buffer.of(12), sshUint32(count), ...keys]);
const signed = (signature: Uint8Array = SIGNATURE, algorithm = 'ssh-ed25519') =>
  Buffer.concat([Buffer.of(14), sshString(Buffer.concat([sshString(algorithm), sshString(signature)]))]);
const refused = (call: () => unknown) => expect(codeOf(call)).toBe('AGENT_UNAVAILABLE');

test('the requests are those of the draft, byte for byte', () => {
  expect(encodeIdentitiesRequest().toString('hex')).toBe('000000010b');
  const raw = Buffer.alloc(32, 0xaa);
  expect(encodeSignRequest(raw, Buffer.from('hi')).toString('hex')).toBe(
    `00000042${'0d'}${'00000033'}${'0000000b'}${Buffer.from('ssh-ed25519').toString('hex')}` +
      `${'00000020'}${'aa'.repeat(32)}${'00000002'}${'6869'}${'00000000'}`,
  );
});

test('what is signed cannot be what SSH signs: neither a session id nor SSHSIG begins like it', () => {
  const message = pae('application/vnd.ax.manifest.v1+json', Buffer.from('{}'));
  expect(message.readUInt32BE()).toBeGreaterThan(MAX_AGENT_MESSAGE_BYTES);
  expect(message.toString('latin1', 0, 6)).not.toBe('SSHSIG');
});

test('a message that no agent takes is refused before it is asked', () => {
  const overhead = encodeSignRequest(RAW, Buffer.alloc(0)).length - 4;
  const most = MAX_AGENT_MESSAGE_BYTES - overhead;
  expect(encodeSignRequest(RAW, Buffer.alloc(most)).readUInt32BE()).toBe(MAX_AGENT_MESSAGE_BYTES);
  refused(() => encodeSignRequest(RAW, Buffer.alloc(most + 1)));
});

describe('a message', () => {
  it('is put together from pieces of any size', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.integer({ min: 1, max: 40 }),
        (body, step) => {
          const framed = sshString(body);
          const reader = createMessageReader();
          const answers: (Buffer | null)[] = [];
          for (let at = 0; at < framed.length; at += step)
            answers.push(reader.push(framed.subarray(at, at + step)));
          expect(answers.slice(0, -1).every((answer) => answer === null)).toBe(true);
          expect(answers.at(-1)?.equals(body)).toBe(true);
        },
      ),
    );
  });

  it('that is empty, too long or followed by anything is refused as soon as that shows', () => {
    refused(() => createMessageReader().push(sshUint32(0)));
    refused(() => createMessageReader().push(sshUint32(MAX_AGENT_MESSAGE_BYTES + 1)));
    refused(() => createMessageReader().push(sshUint32(0xffff_ffff)));
    expect(createMessageReader().push(sshUint32(MAX_AGENT_MESSAGE_BYTES))).toBeNull();
    refused(() => createMessageReader().push(Buffer.concat([sshString('x'), Buffer.of(0)])));
  });
});

describe('a list of keys', () => {
  it('has the key, or has it not', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.uint8Array({ maxLength: 60 }), fc.string({ maxLength: 20 }))),
        (others) => {
          const keys = others.map(([blob, comment]) => key(blob, comment));
          expect(hasIdentity(identities(keys.length, ...keys), RAW)).toBe(false);
          const all = [...keys, key(encodeSshPublicKey(RAW))];
          expect(hasIdentity(identities(all.length, ...all), RAW)).toBe(true);
        },
      ),
    );
    expect(hasIdentity(identities(1, key(Buffer.concat([encodeSshPublicKey(RAW), Buffer.of(0)]))), RAW)).toBe(
      false,
    );
  });

  it('that does not end where it says is refused', () => {
    const one = identities(1, key(encodeSshPublicKey(RAW), 'me'));
    for (let length = 0; length < one.length; length++)
      refused(() => hasIdentity(one.subarray(0, length), RAW));
    refused(() => hasIdentity(Buffer.concat([one, Buffer.of(0)]), RAW));
    refused(() => hasIdentity(identities(0, key(encodeSshPublicKey(RAW))), RAW));
    refused(() => hasIdentity(identities(0xffff_ffff, key(encodeSshPublicKey(RAW))), RAW));
  });
});

describe('a signature', () => {
  it('is 64 bytes of the right algorithm in exactly its message', () => {
    expect(parseSignature(signed()).equals(SIGNATURE)).toBe(true);
    const good = signed();
    for (let length = 0; length < good.length; length++)
      refused(() => parseSignature(good.subarray(0, length)));
    refused(() => parseSignature(Buffer.concat([good, Buffer.of(0)])));
    refused(() => parseSignature(signed(SIGNATURE, 'ssh-rsa')));
    refused(() => parseSignature(signed(SIGNATURE, 'sk-ssh-ed25519@openssh.com')));
    for (const length of [0, 63, 65]) refused(() => parseSignature(signed(Buffer.alloc(length))));
  });

  it('is not what an agent says that fails, or answers something else', () => {
    expect(() => parseSignature(Buffer.of(5))).toThrow('ssh-agent refuses to sign with the key');
    expect(() => hasIdentity(Buffer.of(5), RAW)).toThrow('ssh-agent does not list its keys');
    for (let type = 0; type < 256; type++) if (type !== 14) refused(() => parseSignature(Buffer.of(type, 0)));
    refused(() => hasIdentity(signed(), RAW));
  });

  it('comes of no other bytes, and nothing but a refusal of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        refused(() => parseSignature(Buffer.from(bytes)));
        const code = codeOf(() => hasIdentity(Buffer.from(bytes), RAW));
        expect([undefined, 'AGENT_UNAVAILABLE']).toContain(code);
      }),
    );
  });
});

test('strings and numbers come back as they went in, one after the other', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.uint8Array(), fc.nat({ max: 0xffff_ffff }))), (parts) => {
      const bytes = Buffer.concat(
        parts.map((part) => (typeof part === 'number' ? sshUint32(part) : sshString(part))),
      );
      const reader = createSshReader(bytes, (problem) => {
        throw new Error(problem);
      });
      const read = parts.map((part) =>
        typeof part === 'number' ? reader.uint32('number') : Uint8Array.from(reader.string('text')),
      );
      expect(read).toEqual(parts);
      reader.end('all');
    }),
  );
});
