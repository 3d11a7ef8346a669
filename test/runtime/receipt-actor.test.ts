import { expect, test } from 'vitest';
import { inProcess } from '../support/invocation.ts';
import { createRig } from '../support/rig.ts';

test('a user whose name looks like personal data is named, and the receipt verifies', async () => {
  const rig = await createRig();
  await rig.sign('hello: {run: [echo, "write to ana@example.org"]}');
  const actor = { uid: process.getuid?.() ?? 0, name: 'ana@example.org' };
  const parts = inProcess(rig, { changes: { actor } });
  const { receiptId, outcome } = await parts.attempt(await parts.plan('hello'));
  expect(outcome).toBe('completed');
  expect((await rig.ax('receipts', 'verify', receiptId)).exitCode).toBe(0);
  const { predicate } = JSON.parse((await rig.ax('receipts', 'decrypt', receiptId)).stdout);
  expect(predicate.actor).toEqual(actor);
  expect(predicate.output.stdout.head).not.toContain('ana@example.org');
});
