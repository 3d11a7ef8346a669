import type { Context } from '../context.ts';
import type { AxError } from '../errors.ts';
import { isAxError, AxError as Refusal } from '../errors.ts';
import { checkDependencies } from '../manifest/dependencies.ts';
import { visibleBlock } from '../output/escape.ts';
import { errorShape } from '../output/output.ts';
import { readKeyring, requireEvidenceKeys, unlockKeyring } from './keys-access.ts';
import { DRIFT, hasDrifted, readLock, verifyLock } from './lock.ts';
import { type GlobalOptions, openSession, type Session } from './session.ts';

interface Line {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly error?: AxError;
}

/** `ax verify`: everything `ax run` checks, and every failure of it; starts nothing. */
export async function verify(context: Context, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  await unlockKeyring(session);
  const lock = readLock(session);
  const verification = await verifyLock(session, lock);
  const lines: Line[] = verification.checks.map(({ name, detail, error }) =>
    error === null ? { name, ok: true, detail } : { name, ok: false, detail, error },
  );
  if (verification.ok) markSuperseded(session, lines, verification.verified.keyids);
  const manifest = verification.ok ? verification.verified.manifest : verification.manifest;
  if (manifest !== null) {
    const roots = { root: lock.root, searchPath: context.env.PATH ?? '' };
    for (const { pinned, problem } of checkDependencies(manifest.dependencies, roots)) {
      const name = `dependency ${pinned.path}`;
      if (problem === null) lines.push({ name, ok: true, detail: `sha256:${pinned.sha256}` });
      else
        lines.push(
          failed(
            name,
            new Refusal('DEPENDENCY_CHANGED', problem, { hint: 'ax sign, if it is meant to be so' }),
          ),
        );
    }
    const drifted = hasDrifted(lock, manifest);
    lines.push({ name: 'source', ok: true, detail: drifted ? DRIFT : 'ax.yaml is what was signed' });
  }
  lines.push(checkEvidence(session));
  return report(session, lines);
}

/** A signature by a key of this keyring that has a successor still counts, and is worth a look. */
function markSuperseded(session: Session, lines: Line[], keyids: readonly string[]): void {
  const superseded = readKeyring(session).filter(
    ({ kid, state }) => state === 'retired' && keyids.includes(kid),
  );
  if (superseded.length === 0) return;
  const note = superseded.map(({ kid }) => `${kid} is superseded, valid then and now`).join('; ');
  const at = lines.findIndex(({ name }) => name === 'signatures');
  const line = lines[at];
  if (line !== undefined) lines[at] = { ...line, detail: `${line.detail}; ${note}` };
}

/** A run whose evidence cannot be sealed would not be started. */
function checkEvidence(session: Session): Line {
  try {
    const recipients = requireEvidenceKeys(session, readKeyring(session));
    return { name: 'receipt key', ok: true, detail: recipients.map((key) => key.kid).join(', ') };
  } catch (error) {
    if (isAxError(error)) return failed('receipt key', error);
    throw error;
  }
}

function failed(name: string, error: AxError): Line {
  return { name, ok: false, detail: error.message, error };
}

function report({ output, context }: Session, lines: readonly Line[]): number {
  const { style } = output;
  for (const { name, ok, detail, error } of lines) {
    const mark = ok ? style.green('ok    ') : style.red('failed');
    output.line(`${mark}  ${visibleBlock(`${name}: ${detail}`).replaceAll('\n', '\n        ')}`);
    if (error?.hint !== undefined) output.line(`        ${style.cyan('hint')}: ${error.hint}`);
  }
  const first = lines.find((line) => line.error !== undefined)?.error;
  output.document({
    schema: 'ax.verify/1',
    ok: first === undefined,
    checks: lines.map(({ error, ...line }) =>
      error === undefined ? line : { ...line, error: errorShape(error) },
    ),
  });
  if (first !== undefined && !output.json) {
    const failures = lines.filter((line) => !line.ok).length;
    context.stderr.write(`ax: ${failures} of ${lines.length} checks failed\n`);
  }
  return first?.exitCode ?? 0;
}
