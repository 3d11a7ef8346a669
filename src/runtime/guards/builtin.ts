import { AxError } from '../../errors.ts';
import type { BuiltinGuard } from '../../manifest/guards/schema.ts';
import { evaluateActor } from './actor.ts';
import { evaluateApprovals } from './approvals.ts';
import { evaluateBranch } from './branch.ts';
import { evaluateChangeWindow } from './change-window.ts';
import { evaluateDependencies } from './dependencies.ts';
import { evaluateEnv } from './env.ts';
import { evaluateGitClean } from './git-clean.ts';
import { evaluateKeyAge } from './key-age.ts';
import { evaluateQuota } from './quota.ts';
import { evaluateRateLimit } from './rate-limit.ts';
import type { GuardSnapshot } from './snapshot.ts';
import type { Verdict } from './verdict.ts';

/**
 * What a built-in guard says about a snapshot. Pure: no clock, no I/O; the same arguments give the same answer,
 * and neither is changed.
 *
 * @throws for a guard or snapshot that is not of its type; whoever asks takes any throw for Fail.
 */
export function evaluateBuiltin(guard: BuiltinGuard, snapshot: GuardSnapshot): Verdict {
  // Two guards in one object would leave one of them unasked.
  if (Object.keys(guard).length !== 1) return refuse(guard);
  if ('changeWindow' in guard) return evaluateChangeWindow(guard.changeWindow, snapshot);
  if ('rateLimit' in guard) return evaluateRateLimit(guard.rateLimit, snapshot);
  if ('quota' in guard) return evaluateQuota(guard.quota, snapshot);
  if ('branch' in guard) return evaluateBranch(guard.branch, snapshot);
  if ('gitClean' in guard) return evaluateGitClean(guard.gitClean, snapshot);
  if ('actor' in guard) return evaluateActor(guard.actor, snapshot);
  if ('env' in guard) return evaluateEnv(guard.env, snapshot);
  if ('keyAge' in guard) return evaluateKeyAge(guard.keyAge, snapshot);
  if ('approvals' in guard) return evaluateApprovals(guard.approvals, snapshot);
  if ('dependencies' in guard) return evaluateDependencies(guard.dependencies, snapshot);
  return unreachable(guard);
}

function unreachable(guard: never): never {
  return refuse(guard);
}

function refuse(guard: object): never {
  const found = Object.keys(guard).join(', ').slice(0, 120) || 'none';
  throw new AxError('INTERNAL', `guard: expected one built-in guard, found ${found}`, {
    hint: 'this is a defect in ax; please report it',
  });
}
