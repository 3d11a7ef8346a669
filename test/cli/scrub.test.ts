import { readFileSync } from 'node:fs';
import { join } from 'node:path';
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

describe('a secret', () => {
  it('passed in env, argv, output and an error is nowhere that ax writes, in any form', async () => {
    const rig = await createRig();
    await rig.sign(`
      leak:
        shell: |
          printf '%s\\n' "$TOKEN" "$AX_INPUT_SAID"
          printf %s "$TOKEN" | base64; printf -- -%s "$TOKEN" | base64; printf -- --%s "$TOKEN" | base64
          printf %s "$TOKEN" | od -An -v -tx1 | tr -d ' \\n'; echo
          exit 3
        secrets: [TOKEN]
        params: { said: {} }
      wrong:
        run: [no-such-command, "{{said}}"]
        secrets: [TOKEN]
        params: { said: {} }
    `);
    const env = { TOKEN: CANARY };
    const ran = await rig.axWith({ env }, 'run', 'leak', '--quiet', '--input', `said=${CANARY}`);
    expect(ran.exitCode).toBe(3);
    const refused = await rig.axWith({ env }, 'run', 'wrong', '--input', `said=${CANARY}`);
    expect(refused.exitCode).toBe(69);
    const said =
      ran.stdout + ran.stderr + refused.stdout + refused.stderr + JSON.stringify(await statement(rig));
    expect(NEEDLES.filter((needle) => said.includes(needle))).toEqual([]);
    expect(ran.stdout).toContain('[secret:TOKEN]\n[secret:TOKEN]\n');
    for (const path of filesBelow(rig.base)) {
      const content = readFileSync(join(rig.base, path));
      expect(
        NEEDLES.filter((needle) => content.includes(needle)),
        path,
      ).toEqual([]);
    }
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
