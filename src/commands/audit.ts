import type { Context } from '../context.ts';
import { visible } from '../output/escape.ts';
import { table } from '../output/table.ts';
import { listAudit, verifyAudit } from '../store/audit.ts';
import { findRun } from '../store/runs.ts';
import { type GlobalOptions, openSession, withExistingStore, withStore } from './session.ts';

export interface AuditOptions extends GlobalOptions {
  readonly type?: string;
  readonly run?: string;
  readonly limit?: number;
}

/** `ax audit list`: the newest records, oldest of them first. */
export async function listCommand(context: Context, options: AuditOptions): Promise<number> {
  const session = await openSession(context, options);
  const records = await withExistingStore(session, [], (database) =>
    listAudit(database, {
      limit: options.limit ?? 100,
      ...(options.type === undefined ? {} : { type: options.type }),
      ...(options.run === undefined ? {} : { runId: findRun(database, options.run.toUpperCase()).id }),
    }),
  );
  const { output } = session;
  output.line(
    table(
      ['SEQ', 'AT', 'TYPE', 'RUN', 'DATA'],
      records.map((record) => [
        String(record.seq),
        new Date(record.at).toISOString(),
        record.type,
        record.runId ?? '',
        visible(JSON.stringify(record.data)),
      ]),
      output.style,
    ),
  );
  output.document({
    schema: 'ax.audit.list/1',
    records: records.map((record) => ({ ...record, at: new Date(record.at).toISOString() })),
  });
  return 0;
}

/** `ax audit verify`: recomputes the chain. */
export async function verifyCommand(context: Context, options: GlobalOptions): Promise<number> {
  const session = await openSession(context, options);
  const { records, head } = await withStore(session, (database) => verifyAudit(database));
  const { output } = session;
  output.line(`${output.style.green('ok')}  ${records} record(s), each follows from the one before it`);
  output.line(`    head ${head}`);
  output.note('A chain cannot show a tail that was cut off: note the head elsewhere to notice that.');
  output.document({ schema: 'ax.audit.verify/1', ok: true, records, head });
  return 0;
}
