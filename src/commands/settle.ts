import { isAxError } from '../errors.ts';
import { visible } from '../output/escape.ts';
import { lostRuns, settleRun } from '../runtime/settle.ts';
import { ownIdentity } from '../runtime/supervisor-identity.ts';
import type { Database } from '../store/database.ts';
import { evidenceKeys } from './keys-access.ts';
import type { Session } from './session.ts';

/**
 * Settles the runs whose supervisor is gone, and says so. Where their receipts cannot be made (no receipt key
 * at hand) they are left for a command that can: a run is not ended without its evidence.
 */
export function settleLost(session: Session, database: Database): void {
  const { context, output } = session;
  for (const run of lostRuns({ context, database })) {
    try {
      const keys = evidenceKeys(session, database);
      const receiptId = settleRun({ context, database, keys, supervisor: ownIdentity(context) }, run);
      if (receiptId === null) continue;
      output.warn(`run ${run.id} of ${visible(run.task)} lost its supervisor; settled, receipt ${receiptId}`);
    } catch (error) {
      if (!isAxError(error)) throw error;
      output.warn(
        `run ${run.id} of ${visible(run.task)} lost its supervisor and is not settled: ${error.message}`,
      );
    }
  }
}
