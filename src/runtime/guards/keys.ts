import type { KeyRole } from '../../store/key-file.ts';
import type { Keyring } from '../../store/keyring.ts';
import type { SnapshotKey } from './snapshot.ts';

/**
 * The keys of this keyring that a run relies on: signing keys that signed its manifest, the host key, and receipt
 * keys that its receipts are sealed to; the oldest first.
 *
 * When a key was made is known of the keyring's own keys alone. Keys of other signers, recipients (of
 * `AX_RECIPIENTS` or the keyring) and an `AX_RECEIPT_KEY` that is not in the keyring have no age here: a `keyAge`
 * guard does not ask about them. A recipient's is its reader's to know.
 *
 * @param reliesOn kids: of the keys whose signatures of the manifest were counted, and of what receipts are sealed to
 */
export function keysOf(
  keyring: Keyring,
  reliesOn: { signers: readonly string[]; recipients: readonly string[]; hostKid: string },
): SnapshotKey[] {
  const { signers, recipients, hostKid } = reliesOn;
  const kids: Readonly<Record<KeyRole, readonly string[]>> = {
    signing: signers,
    approval: [],
    host: [hostKid],
    receipt: recipients,
    recipient: [],
  };
  return keyring
    .filter(({ kid, role }) => kids[role].includes(kid))
    .map(({ kid, role, createdAt }) => ({ kid, role, createdAt }));
}
