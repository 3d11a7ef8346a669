import { Option } from 'commander';
import { several } from './options.ts';
import type { Tree } from './tree.ts';

/** `ax keys`: the keyring. */
export function addKeys({ add, group, context }: Tree): void {
  const keys = group('keys', 'manage the keyring');
  const rotating = ['signing', 'approval', 'host', 'receipt'];
  const role = (help: string, roles: string[]) => new Option('--role <role>', help).choices(roles);
  const algorithm = new Option('--algorithm <name>', 'for signing keys (default: ed25519)').choices([
    'ed25519',
    'hmac',
  ]);
  const expires = new Option('--expires <duration>', 'after which it signs and seals nothing (1s to 3650d)');
  add(
    keys,
    {
      name: 'list',
      summary: 'list keys with state, age, due date, expiry and how many receipts each opens',
      examples: ['ax keys list', 'ax keys list --json'],
    },
    async (options: object) => (await import('../commands/keys.ts')).listCommand(context, options),
  );
  add(
    keys,
    {
      name: 'generate',
      summary: 'make the first key of a role, or another recipient',
      description:
        'Make the first key of a role; the next one is made by `ax keys rotate`. An approval key is what `ax approve` ' +
        'signs with in the place of the signing key. A recipient is an X25519 pair that ' +
        'receipts are sealed to, beside the receipt key or in its place; there may be up to 15. Export its public ' +
        'part to machines that are to write receipts without being able to read them.',
      options: [
        role('what the key is for (default: signing)', [...rotating, 'recipient']),
        algorithm,
        expires,
      ],
      examples: [
        'ax keys generate',
        'ax keys generate --expires 90d',
        'ax keys generate --role receipt',
        'ax keys generate --role recipient',
        'ax keys generate --algorithm hmac',
      ],
    },
    async (options: object) => (await import('../commands/keys.ts')).generateCommand(context, options),
  );
  add(
    keys,
    {
      name: 'rotate',
      summary: 'put a new key in the place of a role’s current one',
      description:
        'Make a new key. For the receipt key (the default), every receipt of this store is re-wrapped for it; with ' +
        '--reencrypt, the content key of each is replaced as well, so that a content key which got out opens nothing ' +
        'that is here. Recipients that receipts have beside the receipt key stay, revoked ones do not; one whose public ' +
        'key is not here or has expired ends it before it begins, unless --without names it. A rotation that was cut short is ' +
        'finished by the next one. For the signing key, what the old one signed still verifies, and ax.lock wants a ' +
        'new signature. Rotation cannot take back what was copied: whoever has an old key, or a content key, and an ' +
        'old copy of the store (a backup, a snapshot of the file system, an export, blocks that a disk has not ' +
        'overwritten) can still read those receipts.',
      options: [
        role('which key (default: receipt)', rotating),
        algorithm,
        expires,
        new Option('--reencrypt', 'give every receipt a fresh content key too'),
        new Option(
          '--without <kid>',
          'with --reencrypt: a reader that receipts are not sealed to any more; may be given again',
        ).argParser(several),
        new Option(
          '--catch-up',
          'make no new key: bring this store under the active one, which another has made',
        ),
      ],
      examples: [
        'ax keys rotate',
        'ax keys rotate --reencrypt',
        'ax keys rotate --catch-up --store ../web/.ax',
        'ax keys rotate --role signing --expires 45d',
      ],
    },
    async (options: object) => (await import('../commands/keys-rotate.ts')).rotateCommand(context, options),
  );
  add(
    keys,
    {
      name: 'export',
      summary: 'print a public key as a JWK',
      arguments: [['[kid]', 'the beginning of its kid (default: the active key of --role)']],
      options: [role('which key, where no kid is given (default: signing)', [...rotating, 'recipient'])],
      examples: ['ax keys export > alice.jwk', 'ax keys export --role recipient > reader.jwk'],
    },
    async (kid: string | undefined, options: object) =>
      (await import('../commands/keys.ts')).exportCommand(context, kid, options),
  );
  add(
    keys,
    {
      name: 'import',
      summary: 'add a key of SSH to sign with, or the public key of a reader or another host',
      description:
        'Put the key of a file into the keyring. An Ed25519 key of OpenSSH becomes the active signing key: of a private ' +
        'one without a passphrase, both parts are kept, and the file stays as it is; of a public one (.pub), ax signs ' +
        'through the ssh-agent that SSH_AUTH_SOCK leads to, and never has the private part. The public X25519 key of a ' +
        'reader, a JWK such as `ax keys export --role recipient` prints, is one that receipts are sealed to from now ' +
        'on, to be opened where its private part is; a keyring with recipients and without a receipt key writes ' +
        'receipts that it cannot read. The Ed25519 JWK of a host (--role host) verifies the receipts that it has signed, ' +
        'in a copy of its store (--store), and signs nothing here; there may be up to 64. Compare its kid with who runs ' +
        'that host: that comparison is all there is. A private JWK is refused.',
      arguments: [['<file>', 'an ssh-ed25519 public key, an OpenSSH private key, or a public JWK']],
      options: [role('whose JWK it is (default: recipient, for an X25519 key)', ['recipient', 'host'])],
      examples: [
        'ax keys import ~/.ssh/id_ed25519.pub',
        'ax keys import deploy_key',
        'ax keys import reader.jwk',
        'ax keys import --role host ci.jwk',
      ],
    },
    async (file: string, options: object) =>
      (await import('../commands/keys-import.ts')).importCommand(context, file, options),
  );
  add(
    keys,
    {
      name: 'protect',
      summary: 'put the private keys under a passphrase, or change it',
      description:
        'Encrypt the private parts of the keyring under a passphrase (scrypt, AES-256-GCM). From then on commands that ' +
        'sign, run or decrypt take it from AX_KEYRING_PASSPHRASE or ask for it on a terminal, and new keys are ' +
        'protected too. Where all keys are protected, the passphrase is changed: the new one is asked for, or taken ' +
        'from AX_KEYRING_NEW_PASSPHRASE. Cut short, it is finished by running it again. A task runs as you and ' +
        'can read what ax has in its environment and memory: this protects keys at rest.',
      examples: ['ax keys protect'],
    },
    async (options: object) => (await import('../commands/keys-protect.ts')).protectCommand(context, options),
  );
  add(
    keys,
    {
      name: 'unprotect',
      summary: 'take the passphrase off the private keys',
      examples: ['ax keys unprotect'],
    },
    async (options: object) =>
      (await import('../commands/keys-protect.ts')).unprotectCommand(context, options),
  );
  add(
    keys,
    {
      name: 'revoke',
      summary: 'make a key count no more, from the next verification on',
      description:
        'Revoke a key of the keyring, or one that is trusted here. What a revoked signing key signed does not run, and ' +
        'no approval by it counts, whatever date it bears: a thief can write any. A revoked host key verifies the ' +
        'receipts that the audit log has from before the revocation, and no others. A revoked receipt or recipient key ' +
        'seals nothing new and still opens what was sealed to it. Asks, or wants --yes; it cannot be taken back. It ' +
        'holds on this machine. To hand it on, export the key by its kid: the JWK then says that it is revoked, is refused ' +
        'wherever a key is read, and revokes the key on another machine with --import. Nobody has signed that: ask the ' +
        'owner, and record it in a store of your own, not in a copied one that is to be verified.',
      arguments: [['[kid]', 'the beginning of its kid']],
      options: [
        new Option('--import <file>', 'a public JWK that is marked as revoked, in place of a kid'),
        new Option('--reason <text>', 'one line that is kept with it'),
        new Option('-y, --yes', 'do not ask'),
      ],
      examples: [
        'ax keys revoke 3q2-7w --reason "laptop stolen"',
        'ax keys revoke 3q2-7w --yes',
        'ax keys revoke --import alice.jwk',
      ],
    },
    async (kid: string | undefined, options: object) =>
      (await import('../commands/keys-revoke.ts')).revokeCommand(context, kid, options),
  );
  add(
    keys,
    {
      name: 'remove',
      summary: 'take a retired or revoked key out of the keyring for good',
      description:
        'Remove the file of a receipt or recipient key that is retired or revoked and that no receipt is sealed to any ' +
        'more. Every store that the keyring was used in is looked through, and takes no receipt under the key from then ' +
        'on; while receipts, a run that goes on or a rotation refer to it, the key stays. A store that is not there any ' +
        'more has to be named by --forget-store. What nobody can know of (exports, copies of stores, backups, ' +
        'snapshots) cannot be opened with this keyring afterwards; and the file of a key that was removed may still be ' +
        'in backups, snapshots, and blocks that a disk has not overwritten. Asks, or wants --yes; it cannot be taken ' +
        'back.',
      arguments: [['<kid>', 'the beginning of its kid']],
      options: [
        new Option(
          '--forget-store <dir>',
          'a store that is gone for good, receipts and all; may be given again',
        ).argParser(several),
        new Option('-y, --yes', 'do not ask'),
      ],
      examples: ['ax keys remove 3q2-7w', 'ax keys remove 3q2-7w --forget-store /srv/old/.ax --yes'],
    },
    async (kid: string, options: object) =>
      (await import('../commands/keys-remove.ts')).removeCommand(context, kid, options),
  );
}
