import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { describe, expect, it } from 'vitest';
import { statement } from '../support/evidence.ts';
import { createRig, filesBelow } from '../support/rig.ts';

const CANARY = 'c4n4ry/"5f1d 0a+b\'=';

/** What would show that the canary is somewhere, in whatever form. */
const NEEDLES = [
  CANARY,
  encodeURIComponent(CANARY),
  JSON.stringify(CANARY).slice(1, -1),
  Buffer.from(CANARY).toString('hex'),
  // The middle of its base64, at each offset.
  ...['', '-', '--'].map((before) =>
    Buffer.from(before + CANARY)
      .toString('base64')
      .slice(4, -4),
  ),
];

const has = (content: string | Buffer): string[] => NEEDLES.filter((needle) => content.includes(needle));

/** A text with the payload of each envelope in it decoded after it. */
function withPayloads(text: string): string {
  const payloads = [...text.matchAll(/"payload":\s*"([^"]+)"/g)].map(([, payload]) => payload ?? '');
  expect(payloads).not.toEqual([]);
  return [text, ...payloads.map((payload) => Buffer.from(payload, 'base64').toString())].join('\n');
}

describe('a secret', () => {
  it('in env, argv, output, errors and metadata is in nothing that ax keeps, shows or exports', async () => {
    const rig = await createRig();
    const metadata = JSON.stringify({ owner: CANARY, tags: [`x ${CANARY}`], labels: { note: `y${CANARY}` } });
    await rig.sign(`
      leak:
        shell: |
          printf '%s\\n' "$TOKEN" "$AX_INPUT_SAID"
          printf %s "$TOKEN" | base64; printf -- -%s "$TOKEN" | base64; printf -- --%s "$TOKEN" | base64
          printf %s "$TOKEN" | od -An -v -tx1 | tr -d ' \\n'; echo
          exit 3
        secrets: [TOKEN]
        params: { said: {} }
        rollback: [sh, -c, 'echo "back $TOKEN" >&2']
        metadata: ${metadata}
      wrong:
        run: [no-such-command, "{{said}}"]
        secrets: [TOKEN]
        params: { said: {} }
        metadata: ${metadata}
      guarded:
        run: [echo, "{{said}}"]
        secrets: [TOKEN]
        params: { said: {} }
        guards: [{ cel: "inputs.said == 'else'" }]
    `);
    const env = { TOKEN: CANARY };
    const said = ['--input', `said=${CANARY}`];
    const heard: string[] = [];
    const ax = async (status: number, ...args: string[]): Promise<string> => {
      const { exitCode, stdout, stderr } = await rig.axWith({ env }, ...args);
      expect([exitCode, stderr]).toEqual([status, expect.any(String)]);
      heard.push(stdout, stderr);
      return stdout;
    };
    expect(await ax(3, 'run', 'leak', '--quiet', ...said)).toContain('[secret:TOKEN]\n[secret:TOKEN]\n');
    await ax(69, 'run', 'wrong', ...said, '--json');
    await ax(77, 'run', 'guarded', ...said);
    const { receipts } = JSON.parse(await ax(0, 'receipts', 'list', '--json')) as {
      receipts: { id: string }[];
    };
    expect(receipts).toHaveLength(3);
    for (const { id } of receipts) {
      heard.push(withPayloads(await ax(0, 'receipts', 'decrypt', id, '--raw')));
      for (const what of ['decrypt', 'show', 'verify']) await ax(0, 'receipts', what, id, '--json');
    }
    for (const what of ['runs', 'audit list']) await ax(0, ...what.split(' '), '--json');
    expect(await ax(0, 'policy', 'explain', 'leak', ...said, '--json')).toContain('[secret:TOKEN]');
    await ax(0, 'policy', 'explain', 'guarded', ...said, '--verbose');
    await ax(77, 'policy', 'check', 'guarded', ...said);
    expect(await ax(0, 'run', '--dry-run', 'guarded', ...said)).toContain('[secret:TOKEN]');
    await ax(0, 'run', '--dry-run', 'guarded', ...said, '--json');
    const identity = await generateX25519Identity();
    const more: Readonly<Record<string, string[]>> = { age: ['-r', await identityToRecipient(identity)] };
    for (const format of ['in-toto', 'ndjson', 'html', 'dsse', 'slsa', 'age', 'jwe']) {
      const output = join(rig.base, `out.${format}`);
      await ax(0, 'receipts', 'export', '--all', '-f', format, ...(more[format] ?? []), '-o', output);
      const text = readFileSync(output, 'utf8');
      if (format === 'dsse' || format === 'slsa') heard.push(withPayloads(text));
    }
    expect(has(heard.join('\n'))).toEqual([]);
    const kept = filesBelow(rig.base).filter((path) => !/^project\/ax\.(yaml|lock)$/.test(path));
    expect(kept).toContain('out.html');
    for (const path of kept) expect(has(readFileSync(join(rig.base, path))), path).toEqual([]);
  });
});

describe('output', () => {
  // Put together by the task, so that the manifest holds none of it.
  const says = `
    says:
      shell: |
        echo "server: http://127.0.0.1:5173/ for ann@""example.org"
        echo "token gh""p_x7Kq2mV9LwTz4RbN8sYc1HdF6jPgA3eUo5Qi end"
  `;

  it('keeps credentials from who is watching, and personal data from what is kept', async () => {
    const rig = await createRig();
    await rig.sign(says);
    const { exitCode, stdout } = await rig.ax('run', 'says', '--quiet');
    expect(exitCode).toBe(0);
    expect(stdout).toBe(
      'server: http://127.0.0.1:5173/ for ann@example.org\ntoken [credential:github-token] end\n',
    );
    const { output } = (await statement(rig)) as { output: { stdout: { head: string } } };
    expect(output.stdout.head).toBe(
      'server: http://127.0.0.1:5173/ for [email]\ntoken [credential:github-token] end\n',
    );
  });

  it('keeps IP addresses out of what is kept where the policy says so, and shows them all the same', async () => {
    const rig = await createRig();
    const tasks = `
      says:
        run: [sh, -c, "echo from 203.0.113.7; exit 3", "{{peer}}"]
        params: { peer: {} }
    `;
    await rig.sign(tasks, 'policy: { scrub: { ipAddresses: true } }');
    const { exitCode, stdout } = await rig.ax('run', 'says', '--quiet', '--input', 'peer=2001:db8::7');
    expect(exitCode).toBe(3);
    expect(stdout).toBe('from 203.0.113.7\n');
    const { output, command } = (await statement(rig)) as {
      output: { stdout: { head: string } };
      command: { argv: string[] };
    };
    expect(output.stdout.head).toBe('from [ip]\n');
    expect(command.argv).toEqual(['sh', '-c', 'echo from [ip]; exit 3', '[ip]']);
  });

  it('has a policy whose spelling is checked', async () => {
    const rig = await createRig();
    rig.manifest('hello: { run: ["true"] }', 'policy: { scrub: { ipAddress: true } }');
    const { exitCode, stderr } = await rig.ax('sign');
    expect(exitCode).toBe(65);
    expect(stderr).toContain('ipAddresses');
    expect(rig.has('ax.lock')).toBe(false);
  });
});
