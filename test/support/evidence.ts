import type * as z from 'zod';
import type { Rig } from './rig.ts';
import { document, receiptsList } from './shapes.ts';

export type Listed = z.infer<typeof receiptsList>['receipts'];

/** The receipts of a rig's store, the newest first. */
export async function receipts(rig: Rig): Promise<Listed> {
  return document(receiptsList, (await rig.ax('receipts', 'list', '--json')).stdout).receipts;
}

/** What the newest receipt says, or the newest of a task: the predicate of its statement. */
export async function statement(rig: Rig, task?: string): Promise<Record<string, unknown>> {
  const newest = (await receipts(rig)).find((receipt) => task === undefined || receipt.task === task);
  if (newest === undefined) throw new Error('expected a receipt, found none');
  return JSON.parse((await rig.ax('receipts', 'decrypt', newest.id)).stdout).predicate;
}
