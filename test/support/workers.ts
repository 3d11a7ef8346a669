import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const WORKER = fileURLToPath(new URL('./store-worker.ts', import.meta.url));

/** Starts processes of store-worker.ts, lets all of them go at once, and gives what each of them printed. */
export async function runWorkers(jobs: readonly (readonly string[])[]): Promise<string[]> {
  const workers = jobs.map((args) => {
    const child = spawn(process.execPath, [WORKER, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    const ready = new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
        if (output.startsWith('ready\n')) resolve();
      });
      child.once('close', () => resolve());
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      errors += chunk;
    });
    const done = new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => {
        if (status === 0) resolve(output.replace('ready\n', '').trimEnd());
        else reject(new Error(`${args.join(' ')}: status ${status}\n${errors}`));
      });
    });
    return { child, ready, done };
  });
  await Promise.all(workers.map(({ ready }) => ready));
  for (const { child } of workers) child.stdin.end('go\n');
  return Promise.all(workers.map(({ done }) => done));
}
