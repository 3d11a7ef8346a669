import type { Context } from '../context.ts';
import { isAxError } from '../errors.ts';
import { visible } from '../output/escape.ts';
import { errorDocument } from '../output/output.ts';
import { confirm } from '../output/prompt.ts';
import { CancelConfirmation, requestCancel } from '../runtime/cancel.ts';
import { type GlobalOptions, openSession, withStore } from './session.ts';

export interface CancelOptions extends GlobalOptions {
  readonly confirm?: string;
}

/** `ax cancel <run>`: a run that is executing is canceled on a second word only. */
export async function cancel(context: Context, id: string, options: CancelOptions): Promise<number> {
  const session = await openSession(context, options);
  const { output } = session;
  try {
    const { runId } = await withStore(session, (database) =>
      requestCancel(
        { context, database },
        {
          run: id.toUpperCase(),
          token: options.confirm ?? null,
          confirm:
            context.interactive && !output.json
              ? (run) => confirm(context, `Run ${run.id} of ${visible(run.task)} is executing. Cancel it?`)
              : null,
        },
      ),
    );
    output.line(`${output.style.green('canceled')}  ${runId}`);
    output.document({ schema: 'ax.cancel/1', outcome: 'canceled', runId });
    return 0;
  } catch (error) {
    const outcome = isAxError(error) ? OUTCOMES[error.code] : undefined;
    if (!isAxError(error) || outcome === undefined || !output.json) throw error;
    const token = error instanceof CancelConfirmation ? { token: error.token } : {};
    output.document({ ...errorDocument(error), schema: 'ax.cancel/1', outcome, ...token });
    return error.exitCode;
  }
}

const OUTCOMES: Readonly<Record<string, string>> = {
  CANCEL_CONFIRMATION_REQUIRED: 'confirmation-required',
  RATE_LIMITED: 'rate-limited',
  RUN_NOT_RUNNING: 'not-running',
};
