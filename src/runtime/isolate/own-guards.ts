import { evaluateBuiltin } from '../guards/builtin.ts';
import { evaluateModeration } from '../guards/moderation.ts';
import type { GuardSnapshot } from '../guards/snapshot.ts';
import { parseSnapshotText } from '../guards/snapshot-text.ts';
import { boundVerdict, guardContent, notEvaluated } from './guard-reply.ts';
import type { BuiltinJob, BuiltinsMessage, ModerationJob } from './job.ts';
import type { Run } from './serve.ts';

/** The guards that come with ax: a chunk of its own, since most runs have none. */

export function openBuiltin(job: BuiltinJob): Run {
  return () => guardContent({ verdict: evaluateBuiltin(job.config, snapshotOf(job)), spent: false });
}

/** Each has its own answer, whatever the others do. */
export function openBuiltins(job: BuiltinsMessage): Run {
  return () => {
    const snapshot = snapshotOf(job);
    const verdicts = job.configs.map((config) => {
      try {
        return boundVerdict(evaluateBuiltin(config, snapshot));
      } catch (error) {
        return notEvaluated(error);
      }
    });
    return { verdicts, spent: false };
  };
}

export function openModeration(job: ModerationJob): Run {
  return () => {
    const { task, inputs, recent, now } = snapshotOf(job);
    const { title, description } = task;
    return guardContent({
      ...evaluateModeration(job.config, { title, description, inputs }, recent, now),
      spent: false,
    });
  };
}

/** Made by ax, and strict JSON still; which members it has is the business of each guard. */
function snapshotOf({ snapshotText }: BuiltinJob | BuiltinsMessage | ModerationJob): GuardSnapshot {
  return parseSnapshotText(snapshotText).value as unknown as GuardSnapshot;
}
