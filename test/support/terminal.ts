import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, vi } from 'vitest';
import { AX, type Rig } from './rig.ts';

/** The path of tmux; undefined where there is none, and a test that needs it is skipped. */
export const tmux = (process.env.PATH ?? '')
  .split(':')
  .map((folder) => join(folder, 'tmux'))
  .find(existsSync);

export interface Dialogue {
  /** What is waited for on the screen before the answer is typed. */
  readonly question?: string;
  readonly answer?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs ax on a terminal of its own, and answers what it asks. */
export async function onTerminal(
  rig: Rig,
  command: string,
  { question, answer = '', env = {} }: Dialogue,
): Promise<{ screen: string; status: number }> {
  const call = (...args: string[]) =>
    execFileSync(tmux as string, ['-S', join(rig.base, 'tmux'), '-f', '/dev/null', ...args], {
      encoding: 'utf8',
    });
  const assignments = Object.entries({ ...rig.env, ...env, TERM: 'screen' }).map(
    ([name, value]) => `${name}='${value}'`,
  );
  const script = `env -i ${assignments.join(' ')} '${process.execPath}' '${AX}' ${command}; echo "status $?"; tmux -S '${join(rig.base, 'tmux')}' wait-for -S done; cat`;
  onTestFinished(() => void call('kill-server'));
  call('new-session', '-d', '-x', '250', '-y', '50', '-c', rig.project, '/bin/sh', '-c', script);
  const screen = () => `${call('capture-pane', '-p', '-J').replace(/ +$/gm, '').trimEnd()}\n`;
  if (question !== undefined) {
    await vi.waitFor(() => expect(screen()).toContain(question), { timeout: 30_000 });
    call('send-keys', answer, 'Enter');
  }
  call('wait-for', 'done');
  const text = screen();
  return { screen: text, status: Number(/^status (\d+)$/m.exec(text)?.[1]) };
}
